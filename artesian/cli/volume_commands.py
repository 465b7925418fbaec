"""`artesian engine volume …`, `map`, `unmap`, `attach`, `detach`, `mount`, `unmount`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from artesian.attach.filesystem import FsType
from artesian.cli import attachments, options
from artesian.cli.lifecycle import status_document
from artesian.cli.output import Output
from artesian.embedded.local import volumes
from artesian.embedded.local.engine import LocalEngine
from artesian.embedded.local.errors import NotRunning
from artesian.embedded.local.layout import POOL
from artesian.model.sizes import format_size

volume = typer.Typer(no_args_is_help=True, help="Create, list, grow, rename and delete volumes.")


@volume.command()
def create(
    name: Annotated[str, typer.Argument(help="At most 31 characters.")],
    size: options.Size,
    folder: options.Folder,
    thick: Annotated[bool, typer.Option("--thick", help="Allocate all space now.")] = False,
    pool: Annotated[str, typer.Option(help="Name of the storage pool.")] = POOL,
    as_json: options.Json = False,
) -> None:
    """Create a volume; its size is a multiple of 1 GiB."""
    output = Output(as_json)
    with output.progress() as progress:
        progress("allocating …" if thick else "creating …")
        volume_id = volumes.create(LocalEngine(folder), name, size, thick=thick, pool=pool)
    document = {"id": volume_id, "name": name, "size_bytes": size, "thin": not thick}
    output.result(document, f"Volume {name} of {format_size(size)} is there (id {volume_id}).")


@volume.command("list")
def list_volumes(folder: options.Folder, as_json: options.Json = False) -> None:
    """List all volumes, and where they are mapped and attached."""
    document = status_document(LocalEngine(folder))
    if document["problem"] is not None:
        raise NotRunning(document["problem"])

    def table() -> Any:
        from artesian.cli.tables import volume_tables

        return volume_tables(document)

    Output(as_json).result(document["volumes"], table)


@volume.command()
def grow(
    name: options.Volume, size: options.Size, folder: options.Folder, as_json: options.Json = False
) -> None:
    """Give a volume a new, larger size; what is attached or mounted here grows with it."""
    output = Output(as_json)
    engine = LocalEngine(folder)
    with output.progress() as progress:
        progress("growing …")
        volume_id = volumes.grow(engine, name, size)
        grown = list(attachments.take_over_size(engine, volume_id, size))
    document = {
        "id": volume_id,
        "size_bytes": size,
        "attachments": [{"node": node, "problem": problem or None} for node, problem in grown],
    }
    lines = [f"Volume {name} has {format_size(size)} now."]
    lines += [f"On node {node}: {problem}." for node, problem in grown if problem]
    output.result(document, "\n".join(lines))


@volume.command()
def rename(
    name: options.Volume,
    new_name: Annotated[str, typer.Argument(metavar="NEW_NAME")],
    folder: options.Folder,
    as_json: options.Json = False,
) -> None:
    """Give a volume another name."""
    volume_id = volumes.rename(LocalEngine(folder), name, new_name)
    Output(as_json).result({"id": volume_id, "name": new_name}, f"Volume {name} is {new_name} now.")


@volume.command()
def delete(name: options.Volume, folder: options.Folder, as_json: options.Json = False) -> None:
    """Delete a volume that is mapped to no node, and all its data."""
    volume_id = volumes.delete(LocalEngine(folder), name)
    Output(as_json).result({"id": volume_id}, f"Volume {name} is gone.")


def map_volume(
    name: options.Volume,
    node: options.Node,
    folder: options.Folder,
    read_only: Annotated[bool, typer.Option("--read-only", help="The node may not write.")] = False,
    as_json: options.Json = False,
) -> None:
    """Give a node the right to use a volume; prints the NBD address at which it has it."""
    engine = LocalEngine(folder)
    volume_id = volumes.map_to_node(engine, name, node, read_only=read_only)
    address = str(attachments.wait_for_export(engine, volume_id, node))
    Output(as_json).result(
        {"id": volume_id, "node": node, "nbd": address}, f"Volume {name} is mapped to node {node}: {address}"
    )


def unmap_volume(
    name: options.Volume, node: options.Node, folder: options.Folder, as_json: options.Json = False
) -> None:
    """Take the right to use a volume from a node, which is fenced: it cannot write any more."""
    engine = LocalEngine(folder)
    found, _ = volumes.find_mapping(engine, name, node)
    attachments.check_not_attached(engine, found.id, node)
    volumes.unmap_from_node(engine, found.id, node)
    Output(as_json).result(
        {"id": found.id, "node": node}, f"Volume {name} is not mapped to node {node} any more."
    )


def attach(
    name: options.Volume, node: options.NodeOption, folder: options.Folder, as_json: options.Json = False
) -> None:
    """Make a block device of a volume, by the first way that works on this machine."""
    output = Output(as_json)
    with output.progress() as progress:
        progress("attaching …")
        attached = attachments.attach(LocalEngine(folder), name, node)
    document = {
        "device": str(attached.device),
        "block_device": attached.device.is_block_device(),
        "driver": attached.driver,
        "read_only": attached.read_only,
        "process_ids": list(attached.process_ids),
        "passed_over": attached.passed_over,
    }
    lines = [f"{attached.device}  ({attached.driver}{', read-only' if attached.read_only else ''})"]
    lines += [f"  not {driver}: {reason}" for driver, reason in attached.passed_over.items()]
    output.result(document, "\n".join(lines))


def detach(
    name: options.Volume,
    node: options.NodeOption,
    folder: options.Folder,
    force: options.Force = False,
    as_json: options.Json = False,
) -> None:
    """Take a volume's block device away; not while it is mounted or open, unless forced."""
    detached = attachments.detach(LocalEngine(folder), name, node, force=force)
    text = f"Volume {name} is detached." if detached else f"Volume {name} was not attached."
    Output(as_json).result({"detached": detached}, text)


def mount(
    name: options.Volume,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="An empty folder; made if it is missing.")],
    node: options.NodeOption,
    folder: options.Folder,
    fstype: Annotated[FsType | None, typer.Option(help="For an empty volume (default ext4).")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Make a new file system; what is on the volume is lost.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Attach a volume and mount its file system; one is made if the volume is empty."""
    output = Output(as_json)
    with output.progress() as progress:
        progress("mounting …")
        attached, mounted = attachments.mount(
            LocalEngine(folder), name, node, path, fstype, overwrite=overwrite
        )
    document = {
        "path": str(mounted.path),
        "fstype": str(mounted.fstype),
        "made": mounted.made,
        "grown": mounted.grown,
        "device": str(attached.device),
        "driver": attached.driver,
        "process_ids": list(attached.process_ids),
    }
    made = "made and " if mounted.made else ""
    output.result(
        document, f"{mounted.fstype} {made}mounted at {mounted.path}  ({attached.device}, {attached.driver})"
    )


def unmount(
    name: Annotated[str, typer.Argument(metavar="VOLUME|PATH", help="A volume, or where it is mounted.")],
    folder: options.Folder,
    node: Annotated[int | None, typer.Option(help="If it is attached on several nodes.")] = None,
    force: options.Force = False,
    as_json: options.Json = False,
) -> None:
    """Unmount a volume's file system and detach the volume."""
    output = Output(as_json)
    with output.progress() as progress:
        progress("unmounting …")
        found = attachments.unmount(LocalEngine(folder), name, node, force=force)
    path = str(found.mounted.path) if found.mounted is not None else None
    text = f"Unmounted {path} and detached it." if path else f"{name} was not mounted; detached it."
    output.result({"volume_id": found.volume_id, "node": found.node, "path": path}, text)
