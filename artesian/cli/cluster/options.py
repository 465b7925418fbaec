"""Options and arguments that the cluster's commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from artesian.model.sizes import parse_duration


def seconds(written: str) -> float:
    """The value of an option that is a time: 2h, 30m."""
    try:
        return parse_duration(written)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


Folder = Annotated[
    Path,
    typer.Option("--dir", envvar="ARTESIAN_DIR", help="The cluster's folder.", show_default="~/artesian"),
]
# Somebody may have no home, as in a container; then this is no folder, and --dir is needed.
DEFAULT_FOLDER = Path(os.path.expanduser("~")) / "artesian"
NodeName = Annotated[str, typer.Argument(metavar="NODE", help="A node's name.")]
Timeout = Annotated[float, typer.Option("--timeout", help="How long to wait, in seconds.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait until it is so.")]
