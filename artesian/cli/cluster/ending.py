"""`artesian down`: everything is let go of in good order, and ended."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from artesian.cli import options as common
from artesian.cli.cluster import mesos_options, options, scheduler_process
from artesian.cli.cluster.access import Api, wait_for
from artesian.cli.cluster.agents import wait_for_agents
from artesian.cli.cluster.connection import refuse_connected
from artesian.cli.cluster.stores import erase_store
from artesian.cli.consent import confirm
from artesian.cli.output import Output, Progress
from artesian.clusters.local import LocalCluster
from artesian.embedded.errors import EngineError
from artesian.embedded.local.errors import InTheWay, TookTooLong
from artesian.model.errors import ArtesianError, NotPossible, NotThere

_LETTING_GO_S = 20.0
Node = Mapping[str, Any]  # as the API shows it


def down(
    folder: options.Folder = options.DEFAULT_FOLDER,
    destroy: Annotated[bool, typer.Option("--destroy", help="Delete the cluster and all its data.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Even though others use the disks, through an adopted engine.")
    ] = False,
    discard: Annotated[
        bool,
        typer.Option(
            "--discard", help="Lose what a volume whose storage does not answer has not written yet."
        ),
    ] = False,
    yes: common.Yes = False,
    timeout_s: options.Timeout = 60.0,
    as_json: common.Json = False,
) -> None:
    """Let go of all volumes, end everything, and say what was done. The data stays unless destroyed."""
    output = Output(as_json)
    folder = folder.absolute()
    refuse_connected(folder, "down")
    cluster = LocalCluster(folder)
    on_mesos = mesos_options.is_mesos(folder, None, {})
    if not (cluster.exists or on_mesos):
        raise NotThere(f"there is no cluster in {folder}")
    if destroy and on_mesos:
        raise NotPossible(
            "the disks of these nodes are not deleted from here; `artesian node remove` empties one"
        )
    if destroy and not yes:
        confirm(f"Delete the cluster in {folder} and all its data?", NotPossible)
    elif not yes:
        _ask_before_detaching(folder)
    receipt: list[str] = []
    with output.progress() as say:
        if scheduler_process.ensure(folder, unless=lambda: _nothing_runs(folder, cluster, on_mesos)) is None:
            receipt.append("nothing was running")
        else:
            receipt += _stop(folder, Ending(force, discard, timeout_s), say)
    if destroy:
        cluster.check_nothing_runs()
        receipt += [done] if (done := erase_store(folder)) else []
        shutil.rmtree(folder)
        receipt.append(f"deleted {folder} with all nodes and disks in it")
    kept = "" if destroy else "\nAll data is kept: `artesian up` brings it back."
    output.result({"receipt": receipt, "destroyed": destroy}, "\n".join(receipt) + kept)


def _ask_before_detaching(folder: Path) -> None:
    """At a terminal somebody is asked before volumes go away under their users; a script means it."""
    try:
        attached = _attached(_nodes(Api(folder))) if sys.stdin.isatty() else []
    except (ArtesianError, EngineError):
        return  # what does not answer is started first
    if attached:
        confirm(f"Detach {len(attached)} volumes ({', '.join(attached)}) and end everything?", NotPossible)


class Ending(NamedTuple):
    """How far somebody wants to go with ending everything."""

    force: bool
    discard: bool
    timeout_s: float


def _stop(folder: Path, ending: Ending, say: Progress) -> list[str]:
    """End everything in good order; what was done."""
    api = Api(folder)
    if was_ended := api.get("/status")["stopping"] == "all":
        api.put("/stopping", {"stopping": "volumes", "force": ending.force})  # agents are needed again
    wait_for_agents(api, say)
    if was_ended:  # what they have said of the end before is not what they say of the next one
        wait_for(lambda: _not_heard(_nodes(api)), ending.timeout_s, say)
    receipt = _let_go(api, ending, say)
    say("stopping processes …")
    running = dict.fromkeys(_running(_nodes(api)))
    api.put("/stopping", {"stopping": "all", "force": ending.force})
    api.post("/passes")  # whoever has not heard of it is behind from here on
    wait_for(lambda: _what_runs(api, running), ending.timeout_s, say)
    receipt += [f"stopped {name} on {node}" for node, name in running]
    receipt += api.post("/agents/end")["receipt"]
    scheduler_process.stop(folder)
    scheduler_process.note_ended(folder)
    return [*receipt, "stopped the scheduler"]


def _nothing_runs(folder: Path, cluster: LocalCluster, on_mesos: bool) -> bool:
    if on_mesos:
        return scheduler_process.has_ended(folder) is True
    try:
        cluster.check_nothing_runs()
    except NotPossible:
        return False
    return True


def _let_go(api: Api, ending: Ending, say: Progress) -> list[str]:
    """Detach all volumes; if one is in use, everything goes on as before. Raises InTheWay."""
    attached = _attached(_nodes(api))
    left = _detached(api, "volumes", ending, say)
    discarded: list[str] = []
    if left and ending.discard:
        discarded, left = left, _detached(api, "discard", ending, say)
    if left:
        problems = [one for node in api.get("/nodes") for one in node["problems"]]
        api.put("/stopping", {"stopping": "no"})
        hint = "" if ending.discard else "; if their storage is not to come back, use --discard"
        raise InTheWay(f"nothing was stopped: {'; '.join(problems) or 'volumes are in use'}{hint}")
    done = [f"detached {one}" for one in attached if one not in discarded]
    return done + [f"cut off {one}: what was not written yet is lost" for one in discarded]


def _detached(api: Api, how: str, ending: Ending, say: Progress) -> list[str]:
    """Let nodes let go of everything; what is still attached after a while."""
    api.put("/stopping", {"stopping": how, "force": ending.force})
    try:
        wait_for(
            lambda: "; ".join(f"volume on {one}" for one in _attached(_nodes(api))) or None,
            min(ending.timeout_s, _LETTING_GO_S),
            say,
        )
    except TookTooLong:
        return _attached(_nodes(api))
    return []


def _nodes(api: Api) -> Sequence[Node]:
    found: Sequence[Node] = api.get("/nodes")
    return found


def _attached(nodes: Sequence[Node]) -> list[str]:
    return [
        f"{node['name']} at {one['mounted_at'] or one['device']}"
        for node in nodes
        if node["state"] == "alive"
        for one in node["attachments"]
    ]


def _running(nodes: Sequence[Node]) -> list[tuple[str, str]]:
    return [
        (node["name"], one["name"])
        for node in nodes
        if node["state"] == "alive"
        for one in node["processes"]
        if one["running"]
    ]


def _what_runs(api: Api, seen: dict[tuple[str, str], None]) -> str | None:
    """What still runs; `seen` gets all that is seen to. A node that is silent may run anything, and one that
    has not heard yet what it is to do may be about to start it."""
    nodes = _nodes(api)
    silent = [node["name"] for node in nodes if node["state"] == "silent"]
    if silent:
        return f"node {', '.join(silent)} does not say what runs on it"
    running = _running(nodes)
    seen |= dict.fromkeys(running)
    if (because := _not_heard(nodes)) is not None:
        return because
    left = [f"{name} on {node}" for node, name in running] + _attached(nodes)
    return f"waiting for {left[0]} to end" if left else None


def _not_heard(nodes: Sequence[Node]) -> str | None:
    behind = [node["name"] for node in nodes if node["state"] == "alive" and node["behind"]]
    return f"waiting for node {behind[0]} to hear of it" if behind else None
