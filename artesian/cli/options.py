"""Options and arguments that many commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from artesian.model.sizes import parse_size


def parsed_size(text: str) -> int:
    """Bytes of a size like 8GiB. Raises BadParameter."""
    try:
        return parse_size(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _node(text: str) -> int:
    number = text.removeprefix("node-")
    if not (number.isascii() and number.isdigit()):
        raise typer.BadParameter(f"{text!r} is not a node like 2 or node-2")
    return int(number)


Folder = Annotated[
    Path,
    typer.Option("--dir", envvar="ARTESIAN_DIR", help="The engine's folder.", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Force = Annotated[bool, typer.Option("--force", help="Do it all the same; unflushed data may be lost.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Node = Annotated[int, typer.Argument(parser=_node, metavar="NODE", help="A node's number.")]
NodeOption = Annotated[int, typer.Option("--node", parser=_node, metavar="NODE", help="On which node.")]
Volume = Annotated[str, typer.Argument(metavar="VOLUME", help="A volume's name or id.")]
Size = Annotated[int, typer.Argument(parser=parsed_size, metavar="SIZE", help="Such as 8GiB.")]
SizeOption = Annotated[int, typer.Option(parser=parsed_size, metavar="SIZE")]
DiskSize = Annotated[
    int | None, typer.Option(parser=parsed_size, metavar="SIZE", help="Of each new disk (default 2GiB).")
]
OptionalSize = Annotated[int | None, typer.Option(parser=parsed_size, metavar="SIZE")]
