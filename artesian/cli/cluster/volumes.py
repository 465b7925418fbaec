"""`artesian volume`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from artesian.cli import options as common
from artesian.cli.cluster import options
from artesian.cli.cluster.access import Api, part, wait_for
from artesian.cli.consent import confirm
from artesian.cli.output import Output
from artesian.embedded.local.errors import TookTooLong
from artesian.model.errors import NotPossible, NotThere
from artesian.model.sizes import format_limits, format_size

Document = dict[str, Any]
volume = typer.Typer(no_args_is_help=True, help="Volumes: made, grown, attached, mounted, moved.")

Name = Annotated[str, typer.Argument(metavar="VOLUME", help="A volume's name.")]
NodeOption = Annotated[str | None, typer.Option("--node", metavar="NODE", help="On which node.")]
Mount = Annotated[
    Path | None, typer.Option("--mount", help="Mount it here; a file system is made if it is empty.")
]
Fstype = Annotated[str | None, typer.Option(help="ext4 or xfs.")]
Iops = Annotated[int | None, typer.Option(metavar="N", help="At most so many requests a second; 0: any.")]
Bandwidth = Annotated[
    int | None,
    typer.Option(parser=common.parsed_size, metavar="SIZE", help="At most this much a second; 0: any."),
]
_TIMEOUT_S = 60.0
_FILE_SYSTEM_TIMEOUT_S = 15.0


@volume.command()
def create(
    name: Name,
    size: common.Size,
    folder: options.Folder = options.DEFAULT_FOLDER,
    pool: Annotated[str | None, typer.Option(help="domain/pool, if there are several.")] = None,
    thick: Annotated[bool, typer.Option("--thick", help="Take all its space now.")] = False,
    node: NodeOption = None,
    mount: Mount = None,
    fstype: Fstype = None,
    iops: Iops = None,
    bandwidth: Bandwidth = None,
    no_wait: options.NoWait = False,
    timeout_s: options.Timeout = _TIMEOUT_S,
    as_json: common.Json = False,
) -> None:
    """Make a volume; attach and mount it too, if you say where."""
    api, output = Api(folder), Output(as_json)
    made = api.post(
        "/volumes",
        {
            "name": name,
            "size_bytes": size,
            "pool": pool,
            "thick": thick,
            "node": node,
            "mount_path": str(mount.absolute()) if mount is not None else None,
            "fstype": fstype,
            "limit_iops": iops or 0,
            "limit_bandwidth_bytes_per_s": bandwidth or 0,
        },
    )
    finish(api, output, name, no_wait, timeout_s, made["warnings"])


@volume.command()
def adopt(
    name: Name,
    folder: options.Folder = options.DEFAULT_FOLDER,
    timeout_s: options.Timeout = _TIMEOUT_S,
    as_json: common.Json = False,
) -> None:
    """Use a volume that an adopted engine has already, as it is."""
    api, output = Api(folder), Output(as_json)
    api.post(f"/volumes/{part(name)}/adopt")
    finish(api, output, name, False, timeout_s)


@volume.command("list")
def list_volumes(folder: options.Folder = options.DEFAULT_FOLDER, as_json: common.Json = False) -> None:
    """Show the volumes."""
    from artesian.cli.cluster.tables import volume_table

    document = Api(folder).get("/volumes")
    Output(as_json).result(document, lambda: volume_table(document))


@volume.command()
def show(name: Name, folder: options.Folder = options.DEFAULT_FOLDER, as_json: common.Json = False) -> None:
    """Show a volume."""
    document = Api(folder).get(f"/volumes/{part(name)}")
    Output(as_json).result(document, _text(document))


@volume.command()
def grow(
    name: Name,
    size: common.Size,
    folder: options.Folder = options.DEFAULT_FOLDER,
    no_wait: options.NoWait = False,
    timeout_s: options.Timeout = _TIMEOUT_S,
    as_json: common.Json = False,
) -> None:
    """Give a volume a new, larger size; the file system on it grows too."""
    api, output = Api(folder), Output(as_json)
    before = api.get(f"/volumes/{part(name)}")
    grown = api.patch(f"/volumes/{part(name)}", {"size_bytes": size})
    larger_than = before if size > before["size_bytes"] else None
    finish(api, output, name, no_wait, timeout_s, grown["warnings"], larger_than)


@volume.command()
def limit(
    name: Name,
    folder: options.Folder = options.DEFAULT_FOLDER,
    iops: Iops = None,
    bandwidth: Bandwidth = None,
    none: Annotated[bool, typer.Option("--none", help="No limit any more.")] = False,
    no_wait: options.NoWait = False,
    timeout_s: options.Timeout = _TIMEOUT_S,
    as_json: common.Json = False,
) -> None:
    """Limit what may be done with a volume in a second, on whatever node it is."""
    if none and (iops is not None or bandwidth is not None):
        raise typer.BadParameter("--none goes without --iops and --bandwidth")
    if none:
        iops = bandwidth = 0
    if iops is None and bandwidth is None:
        raise typer.BadParameter("say --iops, --bandwidth or --none")
    api, output = Api(folder), Output(as_json)
    api.patch(f"/volumes/{part(name)}", {"limit_iops": iops, "limit_bandwidth_bytes_per_s": bandwidth})
    finish(api, output, name, no_wait, timeout_s)


@volume.command()
def rename(
    name: Name,
    new_name: Annotated[str, typer.Argument(metavar="NEW_NAME")],
    folder: options.Folder = options.DEFAULT_FOLDER,
    timeout_s: options.Timeout = _TIMEOUT_S,
    as_json: common.Json = False,
) -> None:
    """Give a volume another name; whoever uses it is not disturbed."""
    api, output = Api(folder), Output(as_json)
    api.patch(f"/volumes/{part(name)}", {"new_name": new_name})
    finish(api, output, new_name, False, timeout_s)


@volume.command()
def delete(
    name: Name,
    folder: options.Folder = options.DEFAULT_FOLDER,
    yes: common.Yes = False,
    with_snapshots: Annotated[
        bool, typer.Option("--with-snapshots", help="Its snapshots too; else it stays as long as it has any.")
    ] = False,
    timeout_s: options.Timeout = _TIMEOUT_S,
    as_json: common.Json = False,
) -> None:
    """Delete a volume that is nowhere, and all that is in it."""
    api, output = Api(folder), Output(as_json)
    api.get(f"/volumes/{part(name)}")
    if not yes:
        kept = " and in its snapshots" if with_snapshots else ""
        confirm(f"Delete volume {name} and all that is in it{kept}?", NotPossible)
    api.delete(f"/volumes/{part(name)}", with_snapshots=with_snapshots)

    wait_until_gone(output, "volume", name, lambda: api.get("/volumes"), timeout_s)
    output.result({"name": name, "deleted": True}, f"Volume {name} is gone.")


@volume.command()
def attach(
    name: Name,
    node: Annotated[str, typer.Option("--node", metavar="NODE", help="To which node.")],
    folder: options.Folder = options.DEFAULT_FOLDER,
    mount: Mount = None,
    fstype: Fstype = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Also from a node that does not let go; what it had not flushed is lost."
        ),
    ] = False,
    no_wait: options.NoWait = False,
    timeout_s: options.Timeout = _TIMEOUT_S,
    as_json: common.Json = False,
) -> None:
    """Bring a volume to a node, away from where it is; the other node is cut off first."""
    api, output = Api(folder), Output(as_json)
    path = str(mount.absolute()) if mount is not None else None
    body = {"node": node, "mount_path": path, "fstype": fstype, "force": force}
    api.put(f"/volumes/{part(name)}/attachment", body)
    finish(api, output, name, no_wait, timeout_s)


@volume.command()
def detach(
    name: Name,
    folder: options.Folder = options.DEFAULT_FOLDER,
    force: Annotated[bool, typer.Option("--force", help="Also if the node does not let go of it.")] = False,
    no_wait: options.NoWait = False,
    timeout_s: options.Timeout = _TIMEOUT_S,
    as_json: common.Json = False,
) -> None:
    """Unmount a volume and take it from its node."""
    api, output = Api(folder), Output(as_json)
    api.delete(f"/volumes/{part(name)}/attachment", force=force)
    finish(api, output, name, no_wait, timeout_s)


def finish(
    api: Api,
    output: Output,
    name: str,
    no_wait: bool,
    timeout_s: float,
    warnings: Sequence[str] = (),
    larger_than: Document | None = None,
) -> None:
    """Wait until the volume is as wished, and show it; warnings first. `larger_than`: what it was before it
    grew, if it did."""
    for warning in warnings:
        output.warn(warning)

    def look() -> str | None:
        try:
            document = api.get(f"/volumes/{part(name)}")
        except NotThere:
            return f"volume {name} is being renamed"
        return None if document["ready"] else f"volume {name}: {document['because']}"

    if not no_wait:
        wait_for_wish(output, look, timeout_s, "done", f"artesian volume show {name}")
        if larger_than is not None:
            _wait_for_file_system(api, output, larger_than)
    document = api.get(f"/volumes/{part(name)}")
    output.result(document | {"warnings": list(warnings)}, _text(document))


def _wait_for_file_system(api: Api, output: Output, before: Document) -> None:
    """The node of a volume that grew says soon how large its file system is now, or why it is not."""

    def look() -> str | None:
        now = api.get(f"/volumes/{before['name']}")
        if now["total_bytes"] != before["total_bytes"] or now["note"]:
            return None
        return f"the file system of volume {before['name']} is being grown"

    if before["total_bytes"]:
        with output.progress() as say, contextlib.suppress(TookTooLong):
            wait_for(look, _FILE_SYSTEM_TIMEOUT_S, say)


def wait_for_wish(
    output: Output, look: Callable[[], str | None], timeout_s: float, done: str, shown: str
) -> None:
    """Until `look` gives None. Raises TookTooLong, with the command by which it is `shown` whether it is
    `done`."""
    with output.progress() as say:
        try:
            wait_for(look, timeout_s, say)
        except TookTooLong as error:
            raise TookTooLong(
                f"{error}; it stays wanted, and is {done} as soon as it can be: {shown}"
            ) from None


def wait_until_gone(
    output: Output, kind: str, name: str, all_of: Callable[[], list[Document]], timeout_s: float
) -> None:
    """Until none of this name is left among `all_of` a kind. Raises TookTooLong."""

    def look() -> str | None:
        left = [one for one in all_of() if one["name"] == name]
        return f"{kind} {name}: {left[0]['because'] or 'it is being deleted'}" if left else None

    with output.progress() as say:
        wait_for(look, timeout_s, say)


def _text(document: Document) -> str:
    parts = [f"Volume {document['name']} of {format_size(document['size_bytes'])} in pool {document['pool']}"]
    if document["mounted_at"] is not None:
        parts.append(f"mounted on {document['node']} at {document['mounted_at']} ({document['device']})")
    elif document["device"] is not None:
        parts.append(f"on {document['node']} as {document['device']}")
    elif document["node"] is None:
        parts.append("attached nowhere")
    limits = format_limits(document["limit_iops"], document["limit_bandwidth_bytes_per_s"])
    if limits:
        parts.append(f"at most {limits}")
    if document["iops"]:
        parts.append(f"now {document['iops']:.0f} and {format_size(document['bandwidth_bytes_per_s'])}")
    if document["total_bytes"]:
        used, total = format_size(document["used_bytes"]), format_size(document["total_bytes"])
        parts.append(f"{used} of {total} used")
    if document["note"]:
        parts.append(str(document["note"]))
    if not document["ready"]:
        parts.append(str(document["because"]))
    return ", ".join(parts) + "."
