"""`artesian up`, `down`, `status`."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple, NoReturn

import typer

from artesian.cli import options as common
from artesian.cli.cluster import engines, mesos_options, options, scheduler_process
from artesian.cli.cluster.access import Api, wait_for
from artesian.cli.cluster.connection import refuse_connected
from artesian.cli.cluster.placing import cluster_name
from artesian.cli.cluster.plans import agree, give_spec, wait_until_done
from artesian.cli.cluster.stores import VARIABLE, erase_store, wanted_store
from artesian.cli.consent import confirm
from artesian.cli.output import Output, Progress
from artesian.clusters.local import DEFAULT_DISK_BYTES, LocalCluster
from artesian.embedded.errors import EngineError
from artesian.embedded.local.errors import InTheWay, TookTooLong
from artesian.host.files import locked
from artesian.model.errors import ArtesianError, NotPossible, NotThere
from artesian.scheduler.settings import changed_settings, save_settings

_WATCH_S = 1.0
_AGENTS_TIMEOUT_S = 30.0
_ENGINE_TIMEOUT_S = 60.0
_LETTING_GO_S = 20.0
Node = Mapping[str, Any]  # as the API shows it
_DEFAULT_NODES, _DEFAULT_DISKS = 3, 2


def up(
    context: typer.Context,
    folder: options.Folder = options.DEFAULT_FOLDER,
    nodes: Annotated[
        int | None, typer.Option(min=1, help="Make nodes up to this number (default 3).")
    ] = None,
    disks_per_node: Annotated[
        int | None, typer.Option(min=0, help="Disks of each new node (default 2).")
    ] = None,
    disk_size: common.OptionalSize = None,
    attributes: Annotated[
        Path | None, typer.Option(help="Attribute files for new nodes; disks they name are made.")
    ] = None,
    substrate: mesos_options.SubstrateKind = None,
    master: mesos_options.Master = None,
    role: mesos_options.Role = None,
    principal: mesos_options.Principal = None,
    secret_file: mesos_options.SecretFile = None,
    ca_file: mesos_options.CaFile = None,
    user: mesos_options.User = None,
    node_folder: mesos_options.NodeFolder = None,
    node_python: mesos_options.NodePython = None,
    address: mesos_options.Address = None,
    port: mesos_options.Port = None,
    spec: Annotated[Path | None, typer.Option(help="What is wanted, in YAML.")] = None,
    engine: engines.Engine = None,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help=f"Where a new cluster keeps its state: zk://… or etcd://…, or {VARIABLE} (default a file).",
        ),
    ] = None,
    schedulers: Annotated[
        int | None, typer.Option(min=1, help="How many schedulers run; one of them leads (default 1).")
    ] = None,
    yes: common.Yes = False,
    timeout_s: options.Timeout = 300.0,
    as_json: common.Json = False,
) -> None:
    """From bare nodes to storage: shows the plan, asks, and carries it out.

    In a new folder a cluster of bare nodes is made on this machine; with `--substrate mesos` the nodes are
    the agents of a Mesos cluster that is there. Everything goes on in the background; a later `up` starts
    what does not run, and finds all data.
    """
    output = Output(as_json)
    began = time.monotonic()
    folder = folder.absolute()
    asked = mesos_options.asked(context.params)
    refuse_connected(folder, "up")
    engines.check_spec(engine, spec)
    on_mesos = mesos_options.is_mesos(folder, substrate, asked)
    cluster = cluster_name(folder, asked) if on_mesos else None
    settings = changed_settings(folder, wanted_store(store), schedulers, cluster)
    if on_mesos:
        mesos_options.refuse_local(nodes, disks_per_node, disk_size, attributes)
        is_up = scheduler_process.has_ended(folder) is False
        if mesos_options.keep(folder, asked, mesos_options.ask_mesos, is_up=is_up):
            scheduler_process.stop(folder)  # the one that runs goes by what it was told
    else:
        _make_nodes(LocalCluster(folder), nodes, disks_per_node, disk_size, attributes)
    save_settings(folder, settings)
    with output.progress() as say:
        say("starting the scheduler …")
        scheduler_process.ensure(folder)
        api = Api(folder)
        api.put("/stopping", {"stopping": "no"})
        api.post("/passes")  # nodes that were made just now are seen from here on
        warnings = engines.ask_for(api, engine, output) if spec is None else give_spec(api, spec, output)
        _wait_for_agents(api, say)
        wait_for(lambda: _engine_away(api), _ENGINE_TIMEOUT_S, say)
    agree(api, output, None, yes)
    with output.progress() as say:
        wait_until_done(api, timeout_s, say)
        wait_for(lambda: _volume_away(api), _ENGINE_TIMEOUT_S, say)
    status = api.get("/status")
    seconds = time.monotonic() - began
    document = status | {"folder": str(folder), "seconds": round(seconds, 3), "warnings": warnings}
    output.result(document, f"{status['verdict']} ({seconds:.1f} s)")


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


def status(
    folder: options.Folder = options.DEFAULT_FOLDER,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Again and again, until Ctrl-C.")] = False,
    as_json: common.Json = False,
) -> None:
    """Show what is, what is being done, and what is held back and why."""
    from artesian.cli.cluster.tables import status_tables

    api = Api(folder)
    if not watch:
        document = api.get("/status")
        Output(as_json).result(document, lambda: status_tables(document))
        return
    if as_json:
        while True:
            print(json.dumps(api.get("/status")), flush=True)
            time.sleep(_WATCH_S)
    if not sys.stdout.isatty():
        _print_changes(api)
    from rich.live import Live

    with Live(screen=True, auto_refresh=False) as live:
        while True:
            live.update(status_tables(api.get("/status")), refresh=True)
            time.sleep(_WATCH_S)


def _print_changes(api: Api) -> NoReturn:
    """Lines for whatever reads them: those of the status that were not there a moment ago."""
    from artesian.cli.cluster.tables import status_lines

    before: list[str] = []
    while True:
        lines = status_lines(api.get("/status"))
        at = time.strftime("%Y-%m-%d %H:%M:%S")
        for line in lines:
            if line not in before:
                print(f"{at}  {line}", flush=True)
        before = lines
        time.sleep(_WATCH_S)


def _make_nodes(
    cluster: LocalCluster,
    nodes: int | None,
    disks_per_node: int | None,
    disk_size: int | None,
    attributes: Path | None,
) -> None:
    values = _read_attributes(attributes) if attributes is not None else {}
    made = cluster.create()
    if not made and nodes is None:
        return
    named = _disks_named_by(values)
    unnamed = disks_per_node if disks_per_node is not None else 0 if named else _DEFAULT_DISKS
    disks = [(disk, disk_size or DEFAULT_DISK_BYTES) for disk in [*named, *[None] * unnamed]]
    with locked(cluster.folder / "making.lock"):  # of several commands at once one makes them
        for number in range(1, (nodes or _DEFAULT_NODES) + 1):
            cluster.add_node(f"node-{number}", disks, values)


def _disks_named_by(attributes: dict[str, str]) -> list[str]:
    """The disks that a node's attributes speak of: "/dev/xvdf,/dev/xvdg" → xvdf and xvdg."""
    parts = [part.strip() for value in attributes.values() for part in value.split(",")]
    return sorted({part.removeprefix("/dev/") for part in parts if part.startswith("/dev/")})


def _read_attributes(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        raise NotPossible(f"{folder} is no folder with attribute files")
    return {path.name: path.read_text().strip() for path in sorted(folder.iterdir()) if path.is_file()}


def _wait_for_agents(api: Api, say: Progress) -> None:
    def look() -> str | None:
        try:
            silent = [
                node["name"]
                for node in api.get("/nodes")
                if node["state"] == "silent" and not (node["unreachable"] or node["problem"])
            ]
        except NotPossible as error:
            return str(error)
        return f"waiting for the agents of {', '.join(silent)}" if silent else None

    wait_for(look, _AGENTS_TIMEOUT_S, say)
    api.post("/passes")


def _volume_away(api: Api) -> str | None:
    """Volumes that were on nodes before come back to them; those of nodes that are off are not waited for."""
    alive = {node["name"] for node in api.get("/nodes") if node["state"] == "alive"}
    for one in api.get("/volumes"):
        if one["node"] in alive and not one["ready"]:
            return f"volume {one['name']}: {one['because']}"
    return None


def _engine_away(api: Api) -> str | None:
    """An engine that was made before needs a moment after its processes have been started again."""
    engine = api.get("/status")["engine"]
    if engine is None or engine["answers"] or not engine["made"]:
        return None
    return f"waiting for the engine: {engine['problem']}"


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
    _wait_for_agents(api, say)
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
