"""`artesian spec`: what is wanted, as it was given, and whether another text would be taken."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from artesian.cli import options as common
from artesian.cli.cluster import options
from artesian.cli.cluster.access import Api
from artesian.cli.cluster.plans import naming, read
from artesian.cli.output import Output

spec = typer.Typer(no_args_is_help=True, help="What is wanted of the cluster; `apply --spec` gives it.")


@spec.command()
def show(folder: options.Folder = options.DEFAULT_FOLDER, as_json: common.Json = False) -> None:
    """Show the spec as it was given last."""
    document = Api(folder).get("/spec")
    text = document["text"].rstrip("\n") or "# There is no spec: all free disks go into one pool."
    Output(as_json).result(document, text)


@spec.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A spec, in YAML.")],
    folder: options.Folder = options.DEFAULT_FOLDER,
    as_json: common.Json = False,
) -> None:
    """See whether a spec would be taken, and what in it would do nothing. Nothing is changed."""
    api, output = Api(folder), Output(as_json)
    with naming(file):
        document = api.post("/spec/check", {"text": read(file)})
    for warning in document["warnings"]:
        output.warn(warning)
    output.result(document, f"{file} would be taken.")
