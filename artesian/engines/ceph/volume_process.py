"""One volume that a node offers, over NBD on a Unix socket.

Nobody finds that socket until its address in the cluster is written down there: whoever takes the right to
the volume away must know whom to cut off, also if he has not been heard of for long, and holds no lock.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from artesian.engines.ceph import names
from artesian.engines.ceph.bindings import load_rados, load_rbd
from artesian.engines.ceph.errors import CephNodeError, CommandFailed
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
                _need_right(monitors, config)
                pool, image = _names(monitors, config.volume_id)
                left = _left_behind(monitors, config.volume_id)
                # Who holds a volume to which this node has the right was here before us, and is dead. But if
                # it has been mapped elsewhere since, who holds it may be its new owner.
                if not _is_mapped(monitors, config):
                    return None
                _need_right(monitors, config)
                for address in left:
                    monitors.command("osd blocklist", blocklistop="add", addr=address)
            break
        except CephNodeError as error:
            pauses.wait(str(error))
    who = names.volume_entity(config.volume_id)
    key = volume_key(config.secret, config.volume_id, config.guid)
    write_durably(config.home / "keys" / f"{who}.keyring", keyring(config.secret, who, key), 0o600)
    (config.home / volume_socket(config.volume_id)).parent.mkdir(mode=0o700, exist_ok=True)
    return Command(exporter(config, pool, image, os.getpid()))


def introduce(config: ProcessConfig, process_id: int) -> None:
    """Write down who offers it, and let him be found: for the client's process. What he is called on his way
    tells him from those before him. Raises CephNodeError, OSError."""
    with Monitors.as_admin(config.fsid, config.monitors, config.secret) as monitors:
        with _image(monitors, config.volume_id) as image:
            addresses = sorted(str(one["addr"]) for one in image.watchers_list())
        if not addresses:
            raise CephNodeError(f"nobody is seen to have volume {config.volume_id} open")
        key = names.key("opened", config.guid, config.volume_id)
        monitors.set(key, {"addresses": addresses, "process_id": process_id})
        _need_right(monitors, config)  # after it was written down: who takes the right looks afterwards
    found_at = config.home / volume_socket(config.volume_id)
    (config.home / unnoticed(config.volume_id, process_id)).rename(found_at)


def unnoticed(volume_id: str, process_id: int) -> str:
    """The socket of one who is not to be found yet, as seen from the node's folder."""
    return f"{volume_socket(volume_id)}.{process_id}"


def exporter(config: ProcessConfig, pool: str, image: str, process_id: int) -> list[str]:
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
    server = {"addr": {"type": "unix", "path": unnoticed(config.volume_id, process_id)}, "max-connections": 0}
    return [
        *("qemu-storage-daemon", "--blockdev", json.dumps(blockdev)),
        *("--nbd-server", json.dumps(server), "--export", json.dumps(export)),
    ]


def _is_mapped(monitors: Monitors, config: ProcessConfig) -> bool:
    mapped = monitors.get(names.key("mapped", config.guid, config.volume_id))
    return mapped is not None and str(mapped.get("token", "")) == config.token


def _need_right(monitors: Monitors, config: ProcessConfig) -> None:
    """To be told to offer a volume is not to have the right to it: that is its key. Raises CephNodeError."""
    try:
        (known,) = monitors.ask("auth get", entity=names.volume_entity(config.volume_id))
    except CommandFailed as error:
        if error.number != errno.ENOENT:
            raise
        raise CephNodeError(f"volume {config.volume_id} is not given to anybody yet") from None
    if known["key"] != volume_key(config.secret, config.volume_id, config.guid):
        raise CephNodeError(f"volume {config.volume_id} is another node's")


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
    with _image(monitors, volume_id) as image:
        found = image.list_lockers()
    return [str(address) for _, _, address in found["lockers"]] if found else []


@contextlib.contextmanager
def _image(monitors: Monitors, volume_id: str) -> Iterator[Any]:
    """To look at. Raises CephNodeError."""
    rados, rbd = load_rados(), load_rbd()
    pool_id, _, image_id = volume_id.partition("-")
    try:
        with (
            monitors.rados.open_ioctx2(int(pool_id)) as pool_context,
            rbd.Image(pool_context, image_id=image_id, read_only=True) as image,
        ):
            yield image
    except (rados.Error, rbd.Error) as error:
        raise CephNodeError(f"who holds volume {volume_id} is not known: {error}") from None
