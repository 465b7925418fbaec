"""One volume that a node offers, over NBD on a Unix socket."""

from __future__ import annotations

import json
import time
from pathlib import Path

from artesian.engines.ceph import names
from artesian.engines.ceph.bindings import load_rados, load_rbd
from artesian.engines.ceph.errors import CephNodeError
from artesian.engines.ceph.keys import keyring, volume_key
from artesian.engines.ceph.monitors import Monitors
from artesian.engines.ceph.process_config import ProcessConfig, read_config, volume_socket
from artesian.engines.ceph.waiting import Command, Pauses
from artesian.host.files import write_durably

_CHANGING_S = 1.0


def prepare(path: Path) -> Command | None:
    """Wait until it may be offered; what it is to become, or nothing if it is not to be offered any more."""
    pauses = Pauses()
    while True:
        config = read_config(path)
        try:
            with Monitors.as_admin(config.fsid, config.monitors, config.secret) as monitors:
                if not _is_mapped(monitors, config):
                    return None
                pool, image = _names(monitors, config.volume_id)
                left = _left_behind(monitors, config.volume_id)
                # Who holds a volume that is mapped to this node was here before us, and is dead. But if it
                # has been mapped elsewhere since, who holds it may be its new owner.
                if not _is_mapped(monitors, config):
                    return None
                for address in left:
                    monitors.command("osd blocklist", blocklistop="add", addr=address)
            break
        except CephNodeError as error:
            pauses.wait(str(error))
    who = names.volume_entity(config.volume_id)
    key = volume_key(config.secret, config.volume_id, config.guid)
    write_durably(config.home / "keys" / f"{who}.keyring", keyring(config.secret, who, key), 0o600)
    (config.home / volume_socket(config.volume_id)).parent.mkdir(mode=0o700, exist_ok=True)
    return Command(exporter(config, pool, image))


def exporter(config: ProcessConfig, pool: str, image: str) -> list[str]:
    """What is acknowledged is kept, and requests wait for storage that is away. Sockets are named as seen
    from the node's folder: their whole paths may be longer than the kernel takes."""
    blockdev = {
        "driver": "rbd",
        "node-name": "volume",
        "pool": pool,
        "image": image,
        "conf": str(config.conf),
        "user": names.volume_entity(config.volume_id).removeprefix("client."),
        "cache": {"direct": True, "no-flush": False},
        "discard": "unmap",
    }
    export = {
        "type": "nbd",
        "id": "export",
        "node-name": "volume",
        "name": config.volume_id,
        "writable": True,
    }
    server = {"addr": {"type": "unix", "path": volume_socket(config.volume_id)}, "max-connections": 0}
    return [
        *("qemu-storage-daemon", "--blockdev", json.dumps(blockdev)),
        *("--nbd-server", json.dumps(server), "--export", json.dumps(export)),
    ]


def _is_mapped(monitors: Monitors, config: ProcessConfig) -> bool:
    mapped = monitors.get(names.key("mapped", config.guid, config.volume_id))
    return mapped is not None and str(mapped.get("token", "")) == config.token


def _names(monitors: Monitors, volume_id: str) -> tuple[str, str]:
    """Of the pool and the image, as they are called now. Raises CephNodeError."""
    rados, rbd = load_rados(), load_rbd()
    pool_id, _, image_id = volume_id.partition("-")
    try:
        pool = str(monitors.rados.pool_reverse_lookup(int(pool_id)))
        with monitors.rados.open_ioctx(pool) as pool_context:
            for one in rbd.RBD().list2(pool_context):
                if one["id"] == image_id:
                    return pool, str(one["name"])
    except (rados.Error, rbd.Error, ValueError) as error:
        raise CephNodeError(f"volume {volume_id} cannot be looked up: {error}") from None
    raise CephNodeError(f"there is no volume {volume_id}")


def _left_behind(monitors: Monitors, volume_id: str) -> list[str]:
    """The addresses of those that hold it and are not cut off. Whoever just changes something about it holds
    it for a moment only. Raises CephNodeError."""
    cut_off = {str(one["addr"]) for one in monitors.ask("osd blocklist ls")}
    first = [one for one in _lockers(monitors, volume_id) if one not in cut_off]
    if not first:
        return []
    time.sleep(_CHANGING_S)
    return [one for one in _lockers(monitors, volume_id) if one in first]


def _lockers(monitors: Monitors, volume_id: str) -> list[str]:
    """The addresses of those that hold it. Raises CephNodeError."""
    rados, rbd = load_rados(), load_rbd()
    pool_id, _, image_id = volume_id.partition("-")
    try:
        with (
            monitors.rados.open_ioctx2(int(pool_id)) as pool_context,
            rbd.Image(pool_context, image_id=image_id, read_only=True) as image,
        ):
            found = image.list_lockers()
    except (rados.Error, rbd.Error) as error:
        raise CephNodeError(f"who holds volume {volume_id} is not known: {error}") from None
    return [str(address) for _, _, address in found["lockers"]] if found else []
