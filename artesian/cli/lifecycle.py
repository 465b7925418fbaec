"""`artesian engine up`, `down`, `status`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from artesian.cli import attachments, options
from artesian.cli.consent import confirm
from artesian.cli.output import Output
from artesian.embedded.errors import ConfigError
from artesian.embedded.local import engine as engines
from artesian.embedded.local.engine import LocalEngine, Started
from artesian.embedded.local.errors import InTheWay
from artesian.embedded.local.layout import USER
from artesian.embedded.local.planning import Wish

_WATCH_S = 1.0


def up(
    folder: options.Folder,
    nodes: Annotated[int | None, typer.Option(help="Number of nodes (default 3).")] = None,
    disks_per_node: Annotated[int | None, typer.Option(help="Disks of each node (default 2).")] = None,
    disk_size: options.OptionalSize = None,
    managers: Annotated[int | None, typer.Option(help="1, 3 or 5 (default 3).")] = None,
    fault_sets: Annotated[int | None, typer.Option(help="3 or more; none if not given.")] = None,
    gateway_port: Annotated[int | None, typer.Option(help="Of the REST interface.")] = None,
    as_json: options.Json = False,
) -> None:
    """Start an engine, and make it if there is none.

    Nodes and disks that are asked for beyond what is there are added; all data of earlier runs is found
    again; what is running already is left alone.
    """
    output = Output(as_json)
    wish = Wish(nodes, disks_per_node, disk_size, managers, fault_sets, gateway_port)
    with output.progress() as progress:
        engine, done = engines.up(folder, wish, progress)
    document = _up_document(engine, done)
    output.result(document, _up_text(engine, document, done))


def down(
    folder: options.Folder,
    destroy: Annotated[bool, typer.Option("--destroy", help="Delete the engine and all its data.")] = False,
    force: options.Force = False,
    yes: options.Yes = False,
    as_json: options.Json = False,
) -> None:
    """Stop an engine. Its data stays, unless it is to be destroyed."""
    output = Output(as_json)
    engine = LocalEngine(folder)
    if destroy and not yes:
        confirm(f"Delete the engine in {engine.folder} and all its data?", ConfigError)
    with engine.changing():
        with output.progress() as progress:
            _take_down_attachments(engine, force)
            ended = engine.down(progress)
        gone = engine.destroy() if destroy else False
    text = f"Stopped {len(ended)} processes." if ended else "Nothing was running."
    if destroy:
        text += f" The engine in {engine.folder} is gone" + (
            "." if gone else "; other files in it were left."
        )
    output.result({"stopped": ended, "destroyed": destroy, "folder_removed": gone}, text)


def status(
    folder: options.Folder,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Again and again, until Ctrl-C.")] = False,
    as_json: options.Json = False,
) -> None:
    """Show managers and who leads, servers, devices, pools and how they heal, volumes and mappings."""
    if watch:
        _watch(folder, as_json)
    else:
        from artesian.cli.tables import status_tables  # loaded only where a table is printed

        document = status_document(LocalEngine(folder))
        Output(as_json).result(document, lambda: status_tables(document))


def status_document(engine: LocalEngine) -> dict[str, Any]:
    """The engine's status, with what is attached on this machine."""
    from artesian.embedded.local.status import status as engine_status  # loads half of the engine

    document = engine_status(engine)
    attached = [attachments.as_document(found) for found in attachments.every(engine)]
    for mapping in document["mappings"]:
        mapping["attached"] = next(
            (
                found
                for found in attached
                if (found["node"], found["volume_id"]) == (mapping["node"], mapping["volume_id"])
            ),
            None,
        )
    document["attachments"] = attached
    return document


def _watch(folder: Path, as_json: bool) -> None:
    from rich.live import Live

    from artesian.cli.tables import status_tables

    engine = LocalEngine(folder)
    if as_json:
        while True:
            print(json.dumps(status_document(engine)), flush=True)
            time.sleep(_WATCH_S)
    with Live(screen=sys.stdout.isatty(), auto_refresh=False) as live:
        while True:
            live.update(status_tables(status_document(engine), brief=True), refresh=True)
            time.sleep(_WATCH_S)


def _take_down_attachments(engine: LocalEngine, force: bool) -> None:
    found = attachments.every(engine)
    if found and not force:
        names = ", ".join(
            str(one.mounted.path if one.mounted else one.attachment.device if one.attachment else one.folder)
            for one in found
        )
        raise InTheWay(f"volumes are still attached here ({names}); detach them first, or use --force")
    for one in found:
        attachments.unmount(engine, one.volume_id, one.node, force=True)


def _up_document(engine: LocalEngine, done: Started) -> dict[str, Any]:
    description = engine.description
    return {
        "folder": str(engine.folder),
        "made": done.made,
        "extended": done.extended,
        "started": list(done.started),
        "seconds": round(done.seconds, 3),
        "gateway": description.gateway_url,
        "user": USER,
        "password": engine.layout.read_password(),
        "password_file": str(engine.layout.password),
        "certificate": str(engine.layout.certificates / "gateway.crt"),
        "nodes": [
            {
                "node": node.number,
                "name": node.name,
                "ip": node.ip,
                "fault_set": node.fault_set,
                "nbd_socket": str(engine.layout.nbd_socket(node.number)),
                "disks": [str(engine.layout.disk(node, disk)) for disk in node.disks],
            }
            for node in description.nodes
        ],
    }


def _up_text(engine: LocalEngine, document: dict[str, Any], done: Started) -> str:
    if done.made:
        what = f"The engine in {engine.folder} is ready"
    elif done.started or done.extended:
        what = f"The engine in {engine.folder} is ready again"
    else:
        what = f"The engine in {engine.folder} was running already"
    lines = [
        f"{what} ({done.seconds:.1f} s).",
        f"  gateway   {document['gateway']}",
        f"  user      {document['user']}",
        f"  password  {document['password']}  (in {document['password_file']})",
    ]
    for index, node in enumerate(document["nodes"]):
        disks = f"{len(node['disks'])} disk{'' if len(node['disks']) == 1 else 's'}"
        fault_set = f", fault set {node['fault_set']}" if node["fault_set"] else ""
        lines.append(
            f"  {'nodes ' if index == 0 else '      '}    {node['name']}  {node['ip']}  {disks}{fault_set}"
        )
    return "\n".join(lines)
