"""`artesian restart`: every process of the engine is started anew, one node at a time."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from artesian.cli import options as common
from artesian.cli.cluster import options
from artesian.cli.cluster.access import Api, wait_for
from artesian.cli.cluster.plans import table
from artesian.cli.consent import confirm
from artesian.cli.output import Output
from artesian.model.errors import Conflict, NotPossible


def restart(
    folder: options.Folder = options.DEFAULT_FOLDER,
    on: Annotated[
        list[str] | None, typer.Option("--node", metavar="NODE", help="Only this one; may be repeated.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the plan.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Begin with no other node.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with one that was cancelled or has stopped.")
    ] = False,
    yes: common.Yes = False,
    no_wait: options.NoWait = False,
    timeout_s: options.Timeout = 3600.0,
    as_json: common.Json = False,
) -> None:
    """Restart the engine's processes, one node at a time: after an upgrade, or for settings to take effect.

    Volumes stay in use, and what offers them is not restarted: they get it by being attached anew.
    """
    if sum((dry_run, cancel, resume)) > 1 or ((cancel or resume) and on):
        raise typer.BadParameter(
            "--dry-run, --cancel and --resume exclude each other; --node is for a new one"
        )
    api, output, who = Api(folder), Output(as_json), getpass.getuser()
    if cancel:
        document = api.post("/restart/cancel", {"who": who})
        output.result(document, "No other node is begun with.")
        return
    wanted = {"nodes": on or [], "who": who}
    if dry_run:
        document = api.post("/restart", wanted | {"dry_run": True})
        output.result(document, lambda: table(document))
        return
    if not yes:
        which = ", ".join(on) if on else "all nodes, one after the other"
        confirm(f"Restart the engine's processes on {which}?", NotPossible, "this restarts processes")
    document = api.post("/restart/resume", {"who": who}) if resume else api.post("/restart", wanted)
    if not no_wait:
        with output.progress() as say:
            wait_for(lambda: _missing(api), timeout_s, say)
        document = api.get("/restart")
    output.result(document, f"{document['sentence'][0].upper()}{document['sentence'][1:]}.")


def _missing(api: Api) -> str | None:
    """What it waits for. Raises Conflict if it ends before its time."""
    document = api.get("/restart")
    if document["state"] == "done":
        return None
    sentence = str(document["sentence"])
    if document["state"] != "going":
        raise Conflict(f"the restart is {sentence}")
    return f"{sentence} (it goes on until: artesian restart --cancel)"
