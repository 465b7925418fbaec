"""`artesian up`, `status`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from artesian.cli import options as common
from artesian.cli.cluster import engines, mesos_options, options, scheduler_process
from artesian.cli.cluster.access import Api, wait_for
from artesian.cli.cluster.agents import unseen, wait_for_agents, wait_for_substrate
from artesian.cli.cluster.connection import refuse_connected
from artesian.cli.cluster.placing import cluster_name
from artesian.cli.cluster.plans import agree, fail_without_engine, give_spec, wait_until_done
from artesian.cli.cluster.stores import VARIABLE, wanted_store
from artesian.cli.output import Output, Progress, moment
from artesian.clusters.local import DEFAULT_DISK_BYTES, LocalCluster
from artesian.host.files import locked
from artesian.model.errors import NotPossible
from artesian.scheduler.settings import changed_settings, save_settings

_WATCH_S = 1.0
_ENGINE_TIMEOUT_S = 60.0
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
    disk_size: common.DiskSize = None,
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
        wait_for_agents(api, say)
        wait_for(lambda: _engine_away(api), _ENGINE_TIMEOUT_S, say)
    agree(api, output, None, yes)
    with output.progress() as say:
        while not _are_all_served(api, timeout_s, say):
            wait_for_substrate(api, say)
            wait_for_agents(api, say)
        wait_for(lambda: _volume_away(api), _ENGINE_TIMEOUT_S, say)
    status = api.get("/status")
    seconds = time.monotonic() - began
    document = status | {"folder": str(folder), "seconds": round(seconds, 3), "warnings": warnings}
    output.result(document, f"{status['verdict']} ({seconds:.1f} s)")
    fail_without_engine(status, api.get("/plan")["steps"])


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
        at = moment(time.time())
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


def _are_all_served(api: Api, timeout_s: float, say: Progress) -> bool:
    """Carry the plan out, and tell whether it was that of all nodes, none of them unseen for a moment."""
    before = unseen(api)
    wait_until_done(api, timeout_s, say)
    return before is None and unseen(api) is None


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
