"""`artesian pause`, `resume`."""

from __future__ import annotations

import getpass
from typing import Annotated, Any

import typer

from artesian.cli import options as common
from artesian.cli.cluster import options
from artesian.cli.cluster.access import Api
from artesian.cli.output import Output

Scopes = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[SCOPE]...",
        help="pool:DOMAIN/POOL, node:NAME, remedies, remedy:KIND or rule:NAME; nothing: everything.",
    ),
]
Document = dict[str, Any]


def pause(
    scopes: Scopes = None,
    folder: options.Folder = options.DEFAULT_FOLDER,
    lasting: Annotated[
        float | None,
        typer.Option("--for", parser=options.seconds, metavar="TIME", help="It ends then: 2h, 30m."),
    ] = None,
    because: Annotated[str, typer.Option(help="Why: shown wherever something waits for it.")] = "",
    as_json: common.Json = False,
) -> None:
    """Hold back everything, or what is done to a pool, a node or by remedies. What runs goes on."""
    body = {"scopes": scopes or [], "for_s": lasting, "because": because, "who": getpass.getuser()}
    document = Api(folder).post("/pauses", body)
    Output(as_json).result(document, _text(document))


def resume(
    scopes: Scopes = None,
    folder: options.Folder = options.DEFAULT_FOLDER,
    as_json: common.Json = False,
) -> None:
    """Let steps be taken again; what was paused by name goes on when that is named."""
    document = Api(folder).post("/pauses/end", {"scopes": scopes or [], "who": getpass.getuser()})
    said = "Steps are taken again." if not document else f"Still paused:\n{_text(document)}"
    Output(as_json).result(document, said)


def _text(document: list[Document]) -> str:
    return "\n".join(f"{one['sentence'][0].upper()}{one['sentence'][1:]}." for one in document)
