"""`artesian drill`: provoke a real fault on purpose, and see what the cluster does about it."""

from __future__ import annotations

import getpass
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from artesian.cli import options as common
from artesian.cli.cluster import options, scheduler_process
from artesian.cli.cluster.access import Api, part
from artesian.cli.outcome import ExitCode
from artesian.cli.output import Output
from artesian.embedded.local.errors import NotRunning, TookTooLong
from artesian.model.drill import DrillKind
from artesian.model.errors import NotPossible
from artesian.model.sizes import parse_duration

drill = typer.Typer(no_args_is_help=True, help="Real faults, provoked on purpose, watched and undone.")

_POLL_S = 0.3
_BEYOND_LIMIT_S = 600.0  # preparing, verifying and undoing come on top of the drill's limit
Document = dict[str, Any]


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _share(text: str) -> float:
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = math.nan
    if not math.isfinite(share):
        raise typer.BadParameter(f"{text!r} is not a share like 85%")
    return share


Kind = Annotated[DrillKind, typer.Argument(metavar="NAME", help="As `artesian drill list` shows them.")]
DrillId = Annotated[str, typer.Argument(metavar="[ID]", help="A drill's id, or its beginning; the last one.")]


@drill.command("list")
def list_drills(folder: options.Folder = options.DEFAULT_FOLDER, as_json: common.Json = False) -> None:
    """Show every drill: what it does, whether it can be done here, and what came of it last."""
    from artesian.cli.cluster.drill_tables import drill_table

    document = Api(folder).get("/drills")
    Output(as_json).result(document, lambda: drill_table(document))


@drill.command()
def run(
    kind: Kind,
    folder: options.Folder = options.DEFAULT_FOLDER,
    node: Annotated[str | None, typer.Option(help="On this node.")] = None,
    thing: Annotated[str | None, typer.Option(help="This pool, disk or provider.")] = None,
    hold: Annotated[
        float | None, typer.Option(parser=_duration, metavar="TIME", help="How long the fault lasts.")
    ] = None,
    limit: Annotated[
        float | None, typer.Option(parser=_duration, metavar="TIME", help="After that it has failed.")
    ] = None,
    share: Annotated[
        float | None,
        typer.Option(parser=_share, metavar="SHARE", help="How full a pool is made, such as 85%."),
    ] = None,
    disturb: Annotated[bool, typer.Option("--disturb", help="Even a node with volumes in use.")] = False,
    wait_approval: Annotated[
        bool, typer.Option("--wait-approval", help="Wait until remedies that ask are agreed to.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would do.")] = False,
    no_wait: options.NoWait = False,
    as_json: common.Json = False,
) -> None:
    """Provoke a fault on this very cluster, watch what is done about it, verify the data, and undo it.

    Refuses while anything is wrong. Ends with 0 if the cluster has healed in time and nothing was lost.
    """
    from artesian.cli.cluster.drill_tables import dry_run_text, report_text

    if kind is DrillKind.KILL_SCHEDULER and no_wait:
        raise NotPossible("this command starts the scheduler again, and so waits for it: leave out --no-wait")
    api, output = Api(folder), Output(as_json)
    if not dry_run:
        api.post("/passes")
    document = api.post(
        "/drills",
        {
            "kind": str(kind),
            "node": node,
            "thing": thing,
            "hold_s": hold,
            "limit_s": limit,
            "share": share,
            "disturb": disturb,
            "wait_approval": wait_approval,
            "restarts_scheduler": kind is DrillKind.KILL_SCHEDULER,
            "who": getpass.getuser(),
            "dry_run": dry_run,
        },
    )
    if dry_run:
        output.result(document, lambda: dry_run_text(document))
        return
    if no_wait:
        output.result(document, f"Drill {document['id']} begins: artesian drill show {document['id']}")
        return
    with output.progress() as say:
        document = _wait(folder, document, say)
    output.result(document, lambda: report_text(document))
    if document["state"] != "passed":
        raise typer.Exit(ExitCode.FAILED)


@drill.command()
def show(
    drill_id: DrillId = "", folder: options.Folder = options.DEFAULT_FOLDER, as_json: common.Json = False
) -> None:
    """Show a drill: what was done to whom, when it was noticed and healed, and whether anything was lost."""
    from artesian.cli.cluster.drill_tables import report_text

    document = Api(folder).get(f"/drills/{part(drill_id or 'last')}")
    Output(as_json).result(document, lambda: report_text(document))


@drill.command()
def abort(folder: options.Folder = options.DEFAULT_FOLDER, as_json: common.Json = False) -> None:
    """End the drill that is under way, and undo it."""
    document = Api(folder).post("/drills/abort", {"who": getpass.getuser()})
    Output(as_json).result(document, f"Drill {document['id']} is being undone.")


def _wait(folder: Path, drill: Document, say: Callable[[str], None]) -> Document:
    """Until it is over. A scheduler that a drill has killed is started again here."""
    deadline = time.monotonic() + drill["limit_s"] + _BEYOND_LIMIT_S
    while True:
        try:
            found: Document = Api(folder).get(f"/drills/{drill['id']}")
        except NotRunning:
            if drill["kind"] != DrillKind.KILL_SCHEDULER:
                raise
            say("the scheduler is gone, and is started again …")
            scheduler_process.ensure(folder)
            continue
        except NotPossible:  # it has just been started, and has not looked at anything yet
            time.sleep(_POLL_S)
            continue
        if not found["open"]:
            return found
        if time.monotonic() > deadline:
            raise TookTooLong(f"drill {drill['id']} is {found['state']}: {found['waits_for']}")
        say(f"{found['state']}: {found['waits_for']} ({found['acknowledged']} writes acknowledged) …")
        time.sleep(_POLL_S)
