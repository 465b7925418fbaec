"""A node's monitor.

Its data is made once. A cluster that is new begins with all its monitors; one that was there before says
itself who its monitors are, and until it says so nothing is made: monitors that make up their own companions
could found a second cluster.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from artesian.engines.ceph import names
from artesian.engines.ceph.conf import monitor_address
from artesian.engines.ceph.errors import CephNodeError
from artesian.engines.ceph.keys import cephx_key, keyring_entry
from artesian.engines.ceph.monitors import Monitors, listens
from artesian.engines.ceph.process_config import ProcessConfig, read_config
from artesian.engines.ceph.waiting import Command, Pauses, daemon, run
from artesian.host.files import put_aside

_ALL = "allow *"
_ANSWER_S = 1.0
MGR_CAPS = {"mon": "allow profile mgr", "osd": _ALL, "mds": _ALL}


def prepare(path: Path) -> Command:
    """Make the monitor's data; what it is to become."""
    config = read_config(path)
    if config.data.exists() and _was_let_go(config):
        put_aside(config.data)  # it must not come back with what it knew then
    pauses = Pauses()
    while not config.data.exists():
        try:
            _make(config)
        except CephNodeError as error:
            pauses.wait(str(error))
            config = read_config(path)
    more = ("--public-addrv", monitor_address(config.address))
    return Command(daemon("mon", config.conf, config.entity, *more))


def is_member(config: ProcessConfig, answer_s: float, others: Iterable[str] = ()) -> bool:
    """Whether the living cluster has a monitor of this name or at this address; `others` may be asked, too.
    Raises CephNodeError."""
    known = sorted({*config.monitors, *others})
    with Monitors.as_admin(config.fsid, known, config.secret, answer_s=answer_s) as monitors:
        return _is_in(monitors, config)


def _need_place(monitors: Monitors, config: ProcessConfig) -> None:
    """A node that does not know yet that its monitor was taken out must not bring it back. Raises
    CephNodeError."""
    if not _is_in(monitors, config) and monitors.get(names.key("invited", config.entity)) is None:
        raise CephNodeError("the cluster expects no monitor here")


def _is_in(monitors: Monitors, config: ProcessConfig) -> bool:
    found = monitors.ask("mon dump")["mons"]
    address = f"{config.address}:{names.MONITOR_PORT}"
    return any(
        one["name"] == config.entity
        or any(place["addr"] == address for place in one["public_addrs"]["addrvec"])
        for one in found
    )


def _was_let_go(config: ProcessConfig) -> bool:
    """Whether a living cluster has no place for the monitor whose data is here. As long as none answers, it
    may be this one that is needed for it."""
    others = [one for one in config.monitors if one != monitor_address(config.address)]
    if not any(map(listens, others)):
        return False
    try:
        return not is_member(config, _ANSWER_S)
    except CephNodeError:
        return False


def _make(config: ProcessConfig) -> None:
    """As a whole or not at all. Raises CephNodeError, OSError."""
    fresh = config.home / f"{config.name}.new"
    if fresh.exists():
        shutil.rmtree(fresh)
    fresh.mkdir(mode=0o700)
    monmap, keyring = config.home / "run" / "monmap", config.home / "run" / "mon-keyring"
    if config.is_new:
        _write_new_monmap(config, monmap)
    else:
        with Monitors.as_admin(config.fsid, config.monitors, config.secret) as monitors:
            _need_place(monitors, config)
            monmap.write_bytes(monitors.command("mon getmap"))
    keyring.write_text(first_keyring(config.secret, config.mgrs))
    words = daemon("mon", config.conf, config.entity, "--mkfs", "--mon-data", str(fresh))
    run(*words, "--monmap", str(monmap), "--keyring", str(keyring))
    keyring.unlink()
    fresh.rename(config.data)
    folder = os.open(config.home, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(folder)
    os.close(folder)


def _write_new_monmap(config: ProcessConfig, path: Path) -> None:
    words = ["monmaptool", "--create", "--clobber", "--fsid", config.fsid]
    words += ["--set-min-mon-release", "pacific", "--enable-all-features"]
    for name, address in config.members:
        words += ["--addv", name, monitor_address(address)]
    run(*words, str(path))


def first_keyring(secret: str, mgrs: Iterable[str]) -> str:
    """Whom a new cluster knows from the start."""
    everything = dict.fromkeys(("mon", "osd", "mgr", "mds"), _ALL)
    entities = {"mon.": {"mon": _ALL}, names.ADMIN: everything, names.OWNER: everything}
    entities |= {f"mgr.{name}": MGR_CAPS for name in mgrs}
    return "".join(keyring_entry(one, cephx_key(secret, one), caps) for one, caps in entities.items())
