"""`artesian volume snapshot`, `snapshots`, `clone`, `delete-snapshot`."""

from __future__ import annotations

from typing import Annotated

import typer

from artesian.cli import options as common
from artesian.cli.cluster import options, volumes
from artesian.cli.cluster.access import Api, part
from artesian.cli.cluster.volumes import Name, finish, wait_for_wish, wait_until_gone
from artesian.cli.consent import confirm
from artesian.cli.output import Output
from artesian.model.errors import NotPossible
from artesian.model.sizes import format_size

SnapshotName = Annotated[str, typer.Argument(metavar="NAME", help="A snapshot's name.")]
commands = volumes.volume  # with those of this module among them
_TIMEOUT_S, _COPY_TIMEOUT_S = 60.0, 600.0


@commands.command()
def snapshot(
    volume: Name,
    name: SnapshotName,
    folder: options.Folder = options.DEFAULT_FOLDER,
    no_wait: options.NoWait = False,
    timeout_s: options.Timeout = _TIMEOUT_S,
    as_json: common.Json = False,
) -> None:
    """Keep what a volume has now, also while it is used: every write that was flushed before is in it."""
    api, output = Api(folder), Output(as_json)
    api.post(f"/volumes/{part(volume)}/snapshots", {"name": name})
    path = f"/volumes/{part(volume)}/snapshots/{part(name)}"

    def look() -> str | None:
        document = api.get(path)
        return None if document["ready"] else f"snapshot {name} of volume {volume}: {document['because']}"

    if not no_wait:
        wait_for_wish(output, look, timeout_s, "taken", f"artesian volume snapshots {volume}")
    document = api.get(path)
    said = f"Snapshot {name} of volume {volume} is wanted."
    if document["size_bytes"] is not None:
        said = f"Snapshot {name} of volume {volume} has {format_size(document['size_bytes'])}."
    output.result(document, said)


@commands.command()
def snapshots(
    volume: Annotated[str | None, typer.Argument(metavar="[VOLUME]", help="Only those of this one.")] = None,
    folder: options.Folder = options.DEFAULT_FOLDER,
    as_json: common.Json = False,
) -> None:
    """Show the snapshots of volumes."""
    from artesian.cli.cluster.tables import snapshot_table

    document = Api(folder).get("/snapshots", **({} if volume is None else {"volume": volume}))
    Output(as_json).result(document, lambda: snapshot_table(document))


@commands.command()
def clone(
    volume: Name,
    name: SnapshotName,
    new_volume: Annotated[str, typer.Argument(metavar="NEW_VOLUME", help="What the new volume is called.")],
    folder: options.Folder = options.DEFAULT_FOLDER,
    no_wait: options.NoWait = False,
    timeout_s: options.Timeout = _COPY_TIMEOUT_S,
    as_json: common.Json = False,
) -> None:
    """Make a volume with what a snapshot has: copied, so that each of the two may be deleted."""
    api, output = Api(folder), Output(as_json)
    made = api.post(f"/volumes/{part(volume)}/snapshots/{part(name)}/clone", {"name": new_volume})
    finish(api, output, new_volume, no_wait, timeout_s, made["warnings"])


@commands.command("delete-snapshot")
def delete_snapshot(
    volume: Name,
    name: SnapshotName,
    folder: options.Folder = options.DEFAULT_FOLDER,
    yes: common.Yes = False,
    timeout_s: options.Timeout = _TIMEOUT_S,
    as_json: common.Json = False,
) -> None:
    """Keep no longer what a volume had; volumes that were made of it stay as they are."""
    api, output = Api(folder), Output(as_json)
    api.get(f"/volumes/{part(volume)}/snapshots/{part(name)}")
    if not yes:
        confirm(f"Delete snapshot {name} of volume {volume}?", NotPossible)
    api.delete(f"/volumes/{part(volume)}/snapshots/{part(name)}")
    wait_until_gone(output, "snapshot", name, lambda: api.get("/snapshots", volume=volume), timeout_s)
    document = {"volume": volume, "name": name, "deleted": True}
    output.result(document, f"Snapshot {name} of volume {volume} is gone.")
