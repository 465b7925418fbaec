"""`artesian node`, `disk`, and `local` for the machines of a local cluster."""

from __future__ import annotations

import contextlib
from typing import Annotated, Any

import typer

from artesian.cli import options as common
from artesian.cli.cluster import options
from artesian.cli.cluster.access import Api, part, wait_for
from artesian.cli.output import Output
from artesian.clusters.local import DEFAULT_DISK_BYTES, LocalCluster
from artesian.embedded.local.errors import NotRunning, TookTooLong
from artesian.model.errors import ArtesianError, Conflict, NotThere

node = typer.Typer(no_args_is_help=True, help="Nodes of the cluster.")
disk = typer.Typer(no_args_is_help=True, help="Raw disks of the nodes.")
local = typer.Typer(no_args_is_help=True, help="The machines of a local cluster: add, switch off and on.")

_FIRST_REPORT_TIMEOUT_S = 20.0
Disk = Annotated[str, typer.Argument(metavar="DISK", help="A disk's path, name or identity.")]


@node.command("list")
def list_nodes(folder: options.Folder = options.DEFAULT_FOLDER, as_json: common.Json = False) -> None:
    """Show the nodes."""
    from artesian.cli.cluster.tables import node_table

    document = Api(folder).get("/nodes")
    Output(as_json).result(document, lambda: node_table(document))


@node.command()
def show(
    name: options.NodeName, folder: options.Folder = options.DEFAULT_FOLDER, as_json: common.Json = False
) -> None:
    """Show a node with its processes and attachments."""
    document = _find_node(Api(folder), name)
    Output(as_json).result(document, lambda: _node_text(document))


@node.command()
def add(
    name: options.NodeName, folder: options.Folder = options.DEFAULT_FOLDER, as_json: common.Json = False
) -> None:
    """Use a node again that was removed."""
    Output(as_json).result(Api(folder).post(f"/nodes/{part(name)}/add"), f"Node {name} may be used.")


@node.command()
def remove(
    name: options.NodeName,
    folder: options.Folder = options.DEFAULT_FOLDER,
    no_wait: options.NoWait = False,
    timeout_s: options.Timeout = 600.0,
    as_json: common.Json = False,
) -> None:
    """Take a node out: its data moves away first."""
    api, output = Api(folder), Output(as_json)
    api.post(f"/nodes/{part(name)}/remove")
    api.post("/passes")
    if not no_wait:
        with output.progress() as say:
            wait_for(lambda: _still_in_use(api, name), timeout_s, say)
    text = f"Node {name} is {'being removed' if no_wait else 'removed'}."
    output.result({"node": name, "removed": not no_wait}, text)


@node.command()
def maintain(
    name: options.NodeName,
    end: Annotated[bool, typer.Option("--end", help="It is over.")] = False,
    folder: options.Folder = options.DEFAULT_FOLDER,
    no_wait: options.NoWait = False,
    timeout_s: options.Timeout = 60.0,
    as_json: common.Json = False,
) -> None:
    """Prepare a node for being away: nothing is rebuilt meanwhile, and nothing new is put on it."""
    api, output = Api(folder), Output(as_json)
    api.post(f"/nodes/{part(name)}/{'unmaintain' if end else 'maintain'}")
    api.post("/passes")
    if not no_wait:
        with output.progress() as say:
            wait_for(lambda: _maintenance_missing(api, name), timeout_s, say)
    text = f"Node {name} is in maintenance: it may be switched off now."
    if end:
        text = f"Node {name} is no longer in maintenance."
    elif no_wait:
        text = f"Node {name} goes into maintenance as soon as nothing speaks against it."
    output.result({"node": name, "in_maintenance": not end, "done": not no_wait}, text)


def _maintenance_missing(api: Api, name: str) -> str | None:
    found = next(one["maintenance"] for one in api.get("/nodes") if one["name"] == name)
    if found["done"]:
        return None
    because = found["because"] or f"the engine is told of node {name}"
    return f"{because} (it stays wanted until: artesian node maintain {name} --end)"


@disk.command("list")
def list_disks(
    folder: options.Folder = options.DEFAULT_FOLDER,
    on: Annotated[str | None, typer.Option("--node", help="Of this node only.")] = None,
    as_json: common.Json = False,
) -> None:
    """Show every disk, whether it may be taken, and why."""
    from artesian.cli.cluster.tables import disk_table

    document = [one for one in Api(folder).get("/disks") if on in (None, one["node"])]
    Output(as_json).result(document, lambda: disk_table(document))


@disk.command("remove")
def remove_disk(
    name: options.NodeName,
    which: Disk,
    folder: options.Folder = options.DEFAULT_FOLDER,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what its pool would lose, and whether that fits.")
    ] = False,
    no_wait: options.NoWait = False,
    timeout_s: options.Timeout = 600.0,
    as_json: common.Json = False,
) -> None:
    """Take a disk out of its pool: its data moves away first. It does not come back by itself."""
    api, output = Api(folder), Output(as_json)
    asked = api.post(f"/nodes/{part(name)}/disks/remove", {"disk": which, "dry_run": dry_run})
    identity, loss = asked["identity"], asked["loss"]
    said = loss["because"] if loss is not None else f"disk {which} of node {name} is in no pool"
    if dry_run:
        output.result(asked, f"{said[0].upper()}{said[1:]}.")
        return
    if loss is not None and not loss["fits"]:
        output.warn(said)
    api.post("/passes")
    if not no_wait:
        with output.progress() as say:
            wait_for(lambda: _disk_in_use(api, name, identity), timeout_s, say)
    text = f"Disk {which} of node {name} is {'being ' * no_wait}removed."
    if loss is not None:
        text += f"\n{said[0].upper()}{said[1:]}."
    output.result({"node": name, "disk": which, "loss": loss}, text)


@disk.command("return")
def return_disk(
    name: options.NodeName,
    which: Disk,
    folder: options.Folder = options.DEFAULT_FOLDER,
    as_json: common.Json = False,
) -> None:
    """Let a disk be taken again that was removed, or be used again that has failed and is well now."""
    document = Api(folder).post(f"/nodes/{part(name)}/disks/return", {"disk": which})
    Output(as_json).result(document, f"Disk {which} of node {name} may be used again.")


@local.command("add")
def add_machine(
    name: options.NodeName,
    folder: options.Folder = options.DEFAULT_FOLDER,
    disks: Annotated[int, typer.Option(min=0, help="How many disks.")] = 2,
    disk_size: common.DiskSize = None,
    as_json: common.Json = False,
) -> None:
    """Put a bare machine with raw disks into the cluster; the plan shows what becomes of it."""
    cluster = _cluster(folder)
    if any(one.name == name for one in cluster.nodes()):
        raise Conflict(f"there is a machine {name} already; a disk more is: artesian local add-disk {name}")
    cluster.add_node(name, [(None, disk_size or DEFAULT_DISK_BYTES)] * disks)
    paths = [str(path) for path in sorted(cluster.dev(name).iterdir())]
    output = Output(as_json)
    with contextlib.suppress(ArtesianError, NotRunning, TookTooLong), output.progress() as say:
        api = Api(folder)
        api.post("/passes")  # without a scheduler the machine is seen by the next one
        wait_for(lambda: _not_heard(api, name), _FIRST_REPORT_TIMEOUT_S, say)
    output.result({"node": name, "disks": paths}, f"Machine {name} has {disks} raw disks.")


def _not_heard(api: Api, name: str) -> str | None:
    if any(node["name"] == name and node["state"] == "alive" for node in api.get("/nodes")):
        return None
    return f"waiting for the agent of {name}"


@local.command("add-disk")
def add_disk(
    name: options.NodeName,
    folder: options.Folder = options.DEFAULT_FOLDER,
    size: common.DiskSize = None,
    as_json: common.Json = False,
) -> None:
    """Put a raw disk into a machine."""
    path = _cluster(folder).add_disk(name, size or DEFAULT_DISK_BYTES)
    Output(as_json).result({"node": name, "disk": str(path)}, f"{path} is there.")


@local.command("off")
def switch_off(
    name: options.NodeName, folder: options.Folder = options.DEFAULT_FOLDER, as_json: common.Json = False
) -> None:
    """As if a machine's power went: everything on it is killed at once."""
    killed = _cluster(folder).switch_off(name)
    Output(as_json).result(
        {"node": name, "killed": killed}, f"Machine {name} is off ({killed} processes killed)."
    )


@local.command("on")
def switch_on(
    name: options.NodeName, folder: options.Folder = options.DEFAULT_FOLDER, as_json: common.Json = False
) -> None:
    """Let a machine run again."""
    was_off = _cluster(folder).switch_on(name)
    Output(as_json).result({"node": name, "was_off": was_off}, f"Machine {name} is on.")


def _cluster(folder: Any) -> LocalCluster:
    cluster = LocalCluster(folder)
    if not cluster.exists:
        raise NotThere(f"there is no cluster in {folder}")
    return cluster


def _find_node(api: Api, name: str) -> dict[str, Any]:
    nodes = api.get("/nodes")
    for one in nodes:
        if one["name"] == name:
            found: dict[str, Any] = one
            return found
    raise NotThere(f"there is no node {name}; there are {', '.join(one['name'] for one in nodes)}")


def _still_in_use(api: Api, name: str) -> str | None:
    roles = _find_node(api, name)["roles"]
    if not roles:
        return None
    held = [one["because"] for one in api.get("/status")["held"] if one["arguments"].get("node") == name]
    return held[0] if held else f"node {name} is still {', '.join(roles)}"


def _disk_in_use(api: Api, name: str, which: str) -> str | None:
    for one in api.get("/disks"):
        if one["node"] == name and one["identity"] == which:
            if one["pool"] is None:
                return None
            held = [
                step["because"]
                for step in api.get("/status")["held"]
                if step["arguments"].get("identity") == one["identity"]
            ]
            return held[0] if held else f"data is moving away from {one['path']}"
    return None


def _node_text(document: dict[str, Any]) -> str:
    lines = [f"{document['name']}  {document['state']}  {document['address']}"]
    lines += [f"  {role}" for role in document["roles"]]
    lines += [f"  process {one['name']}: {_process_text(one)}" for one in document["processes"]]
    stale = " (when last heard of)" if document.get("stale") else ""
    lines += [
        f"  volume {one['volume_id']} at {one['mounted_at'] or one['device']} {one['problem']}".rstrip()
        + stale
        for one in document["attachments"]
    ]
    lines += [f"  attribute {key}: {value}" for key, value in document["attributes"].items()]
    lines += [f"  problem: {one}" for one in document["problems"]]
    return "\n".join(lines)


def _process_text(process: dict[str, Any]) -> str:
    """Its number is shown as long as it is known to run."""
    state = str(process.get("state") or ("runs" if process["running"] else "does not run"))
    return f"{state}, {process['process_id']}" if state == "runs" else state
