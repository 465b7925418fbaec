"""`artesian engine node …`, `disk …`, and the processes in the foreground: `mdm`, `sds`, `sdc`, `gateway`."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from artesian.cli import options
from artesian.cli.lifecycle import status_document
from artesian.cli.output import Output
from artesian.embedded.local import disks
from artesian.embedded.local.engine import LocalEngine
from artesian.embedded.local.errors import NotRunning
from artesian.embedded.local.layout import ProcessPlace, Role
from artesian.model.sizes import format_size

node = typer.Typer(no_args_is_help=True, help="Kill, stop and start the processes of a node.")
disk = typer.Typer(no_args_is_help=True, help="Add disks to a node, remove and list them.")

_Roles = Annotated[str, typer.Option("--role", help="sds, sdc, mdm or all.")]


def _places(engine: LocalEngine, number: int, role: str) -> list[ProcessPlace]:
    if role not in ("sds", "sdc", "mdm", "all"):
        raise typer.BadParameter(f"{role!r} is none of sds, sdc, mdm, all", param_hint="--role")
    return engine.places(number, tuple(Role) if role == "all" else (Role(role),))


def _report(output: Output, done: str, names: list[str]) -> None:
    text = f"{done} {', '.join(names)}." if names else "There was nothing to do."
    output.result({done.lower(): names}, text)


@node.command()
def kill(
    number: options.Node, folder: options.Folder, role: _Roles = "all", as_json: options.Json = False
) -> None:
    """End a node's processes at once, as a crash does (kill -9)."""
    engine = LocalEngine(folder)
    _report(Output(as_json), "Killed", engine.kill(_places(engine, number, role)))


@node.command()
def stop(
    number: options.Node, folder: options.Folder, role: _Roles = "all", as_json: options.Json = False
) -> None:
    """End a node's processes cleanly."""
    engine = LocalEngine(folder)
    output = Output(as_json)
    with engine.changing(), output.progress() as progress:
        progress("stopping …")
        names = engine.stop(_places(engine, number, role))
    _report(output, "Stopped", names)


@node.command()
def start(
    number: options.Node, folder: options.Folder, role: _Roles = "all", as_json: options.Json = False
) -> None:
    """Start those of a node's processes that are not running."""
    engine = LocalEngine(folder)
    output = Output(as_json)
    with engine.changing(), output.progress() as progress:
        progress("starting …")
        names = engine.start(_places(engine, number, role))
        engine.settle(names)
    _report(output, "Started", names)


@disk.command("add")
def add_disk(
    number: options.NodeOption,
    folder: options.Folder,
    size: options.OptionalSize = None,
    as_json: options.Json = False,
) -> None:
    """Add a disk to a node; the pool draws it in by itself."""
    output = Output(as_json)
    engine = LocalEngine(folder)
    with output.progress() as progress:
        added = disks.add(engine, number, size, progress)
    path = engine.layout.disk(engine.description.node(number), added)
    document = {"node": number, "disk": added.number, "path": str(path), "size_bytes": added.size_bytes}
    output.result(document, f"Disk {added.number} of node {number} is in use: {path}")


@disk.command("remove")
def remove_disk(
    number: Annotated[int, typer.Argument(metavar="DISK", help="The disk's number on its node.")],
    node_number: options.NodeOption,
    folder: options.Folder,
    as_json: options.Json = False,
) -> None:
    """Move a disk's data away, then take it out of the pool and delete it."""
    output = Output(as_json)
    with output.progress() as progress:
        disks.remove(LocalEngine(folder), node_number, number, progress)
    output.result({"node": node_number, "disk": number}, f"Disk {number} of node {node_number} is gone.")


@disk.command("list")
def list_disks(folder: options.Folder, as_json: options.Json = False) -> None:
    """List all disks and how they are."""
    engine = LocalEngine(folder)
    document = status_document(engine)
    if document["problem"] is not None:
        raise NotRunning(document["problem"])
    by_path = {device["path"]: device for device in document["devices"]}
    rows: list[dict[str, Any]] = []
    for where in engine.description.nodes:
        for one in where.disks:
            path = str(engine.layout.disk(where, one))
            device = by_path.pop(path, None)
            size = {"node": where.number, "disk": one.number, "path": path, "file_bytes": one.size_bytes}
            rows.append(size | {"device": device})
    rows += [
        {"node": device["node"], "disk": None, "path": path, "file_bytes": None, "device": device}
        for path, device in by_path.items()
    ]

    def table() -> Any:
        from artesian.cli.tables import table_of

        return table_of(
            ["node", "disk", "condition", "used", "size", "path"],
            [
                [
                    str(row["node"] or "?"),
                    str(row["disk"] or "?"),
                    row["device"]["condition"] if row["device"] else "not in the pool",
                    format_size(row["device"]["used_bytes"]) if row["device"] else "",
                    format_size(row["device"]["size_bytes"] if row["device"] else row["file_bytes"]),
                    row["path"],
                ]
                for row in rows
            ],
        )

    Output(as_json).result(rows, table)


_Config = Annotated[Path, typer.Option("--config", help="The process' config file.", show_default=False)]


def foreground(role: Role) -> Callable[[Path], None]:
    """The command that runs one process in the foreground."""

    def run(config: _Config) -> None:
        main = importlib.import_module(f"artesian.embedded.{role}.__main__").main
        raise typer.Exit(main([str(config)]))

    run.__doc__ = f"Run one {role} in the foreground, until SIGTERM or Ctrl-C."
    return run
