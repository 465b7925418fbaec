"""A node's client: it offers the volumes that are mapped to it, each by a process of its own.

As long as monitors do not answer, everything stays as it is.
"""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

from artesian.engines.ceph import names
from artesian.engines.ceph.errors import CephNodeError
from artesian.engines.ceph.keys import cephx_key
from artesian.engines.ceph.launching import Launcher, Place, known
from artesian.engines.ceph.monitors import Monitors
from artesian.engines.ceph.process_config import ProcessConfig, Role, read_config, volume_socket
from artesian.engines.ceph.volume_process import introduce, unnoticed
from artesian.engines.ceph.waiting import Pauses

_LOOK_S, _LOOK_SOON_S = 0.25, 0.05
_LOOK_FOR_CUT_OFF_S = 1.0
_FIRST_S, _LONGEST_S = 0.2, 2.0
_LIVES_S = 10.0


def prepare(path: Path) -> None:
    """Until it is ended."""
    Client(path).run()


@dataclass(slots=True)
class _Tries:
    """When a volume's process was started last, and how long it is left alone if it ends soon."""

    at_s: float
    pause_s: float = _FIRST_S


class Client:
    """One node's."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._config = read_config(path)
        self._monitors: Monitors | None = None
        self._launcher = Launcher()
        self._tries: dict[str, _Tries] = {}
        self._introducing: dict[str, threading.Thread] = {}
        self._cut_off: set[str] = set()
        self._looked_s = float("-inf")

    def run(self) -> None:
        """For ever."""
        pauses = Pauses()
        while True:
            try:
                wanted = self._mapped()
                self._offer(wanted)
                self._end_cut_off(wanted)
            except (CephNodeError, OSError) as error:
                self._let_go()
                pauses.wait(str(error))
                continue
            pauses = Pauses()
            self._launcher.reap()
            time.sleep(_LOOK_SOON_S if self._introducing else _LOOK_S)

    def _mapped(self) -> dict[str, ProcessConfig]:
        """What is to be offered, by the names of the processes. Raises CephNodeError."""
        if self._monitors is None:
            self._config = read_config(self._path)
            self._monitors = self._connect(self._config)
        found = self._monitors.documents(names.key("mapped", self._config.guid, ""))
        configs = (self._volume(key[-1], value) for key, value in found.items())
        return {config.name: config for config in configs}

    def _connect(self, config: ProcessConfig) -> Monitors:
        """Says who runs here by being connected: the connection stays."""
        who = names.client_entity(config.guid)
        key = cephx_key(config.secret, who)
        with Monitors.as_admin(config.fsid, config.monitors, config.secret) as admin:
            admin.ensure_entity(who, key, _caps(config.guid))
            admin.set(names.key("clients", config.guid), {"node": config.node, "address": config.address})
        monitors = Monitors(config.fsid, config.monitors, who, key)
        _ = monitors.rados
        return monitors

    def _let_go(self) -> None:
        if self._monitors is not None:
            self._monitors.close()
            self._monitors = None

    def _volume(self, volume_id: str, value: dict[str, object]) -> ProcessConfig:
        return replace(
            self._config,
            role=Role.VOLUME,
            name=f"volume-{volume_id}",
            volume_id=volume_id,
            token=str(value.get("token", "")),
            size_bytes=int(str(value.get("size_bytes", 0))),
        )

    # --- processes

    def _offer(self, wanted: dict[str, ProcessConfig]) -> None:
        """Raises OSError, and TimeoutError for a process that does not even die."""
        places = {place.name: place for place in known(self._config.home) if place.role is Role.VOLUME}
        configs = {name: _known_config(place) for name, place in places.items()}
        outdated = [
            place for name, place in places.items() if not _is_current(configs[name], wanted.get(name))
        ]
        self._launcher.stop(outdated)
        for place in outdated:
            if not _is_same(configs[place.name], wanted.get(place.name)):
                forget(self._config.home, place.name.removeprefix("volume-"))
            self._tries.pop(place.name, None)
        now_s = time.monotonic()
        for name, config in wanted.items():
            place = Place(self._config.home, Role.VOLUME, name)
            if place.running is None and self._may_try(name, now_s):
                if not place.config.exists():
                    place.write(config)
                self._launcher.start(place)
            self._introduce(config, place)

    def _end_cut_off(self, wanted: dict[str, ProcessConfig]) -> None:
        """Of one who hung for long, and was taken for dead, nothing is taken any more: as long as the volume
        is to be offered here, somebody else does. Raises CephNodeError, OSError."""
        monitors, now_s = self._monitors, time.monotonic()
        if monitors is None or now_s - self._looked_s < _LOOK_FOR_CUT_OFF_S:
            return
        cut_off = {str(one["addr"]) for one in monitors.ask("osd blocklist ls")}
        own = names.key("opened", self._config.guid, "")
        opened = monitors.documents(own) if cut_off - self._cut_off else {}
        for (_, _, volume_id), one in opened.items():
            place = Place(self._config.home, Role.VOLUME, f"volume-{volume_id}")
            running = place.running
            if place.name not in wanted or running is None:
                continue
            if running.process_id == one["process_id"] and cut_off & set(one["addresses"]):
                print(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {place.name} was cut off", flush=True)
                self._launcher.stop([place])
        self._cut_off, self._looked_s = cut_off, now_s

    def _introduce(self, config: ProcessConfig, place: Place) -> None:
        """Let one who has opened his volume be found. Storage that is away keeps the others from nothing."""
        under_way = self._introducing.get(place.name)
        if under_way is not None and under_way.is_alive():
            return
        self._introducing.pop(place.name, None)
        running = place.running
        if running is None:
            return
        if (place.folder / unnoticed(config.volume_id, running.process_id)).exists():
            arguments = (config, running.process_id)
            thread = threading.Thread(target=_introduce, args=arguments, name=place.name, daemon=True)
            self._introducing[place.name] = thread
            thread.start()

    def _may_try(self, name: str, now_s: float) -> bool:
        tries = self._tries.get(name)
        if tries is None:
            self._tries[name] = _Tries(now_s)
            return True
        if now_s - tries.at_s > _LIVES_S:
            tries.pause_s = _FIRST_S
        if now_s - tries.at_s < tries.pause_s:
            return False
        self._tries[name] = _Tries(now_s, min(tries.pause_s * 2, _LONGEST_S))
        return True


def _introduce(config: ProcessConfig, process_id: int) -> None:
    try:
        introduce(config, process_id)
    except (CephNodeError, OSError) as error:  # it is tried again
        print(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {config.name} is not offered yet: {error}", flush=True)


def _caps(guid: str) -> dict[str, str]:
    """The store is everybody's, and may keep secrets of others: a client reads what is mapped to it, and who
    has opened it there."""
    allowed = [
        f'allow command "config-key {verb}" with key prefix "{names.key(kind, guid, "")}"'
        for kind in ("mapped", "opened")
        for verb in ("dump", "get")
    ]
    return {"mon": ", ".join(["profile rbd", *allowed]), "mgr": "profile rbd"}


def forget(folder: Path, volume_id: str) -> None:
    """What is left of a volume that is not offered any more. By its folder being gone those who still wait
    for it know that it does not come back."""
    shutil.rmtree((folder / volume_socket(volume_id)).parent, ignore_errors=True)
    (folder / "keys" / f"{names.volume_entity(volume_id)}.keyring").unlink(missing_ok=True)


def _known_config(place: Place) -> ProcessConfig | None:
    try:
        return read_config(place.config)
    except (OSError, ValueError):
        return None


def _is_current(known: ProcessConfig | None, wanted: ProcessConfig | None) -> bool:
    """Whether a process offers what is to be offered. An export keeps its size for life."""
    return (
        known is not None
        and wanted is not None
        and _is_same(known, wanted)
        and known.size_bytes >= wanted.size_bytes
    )


def _is_same(known: ProcessConfig | None, wanted: ProcessConfig | None) -> bool:
    """Whether it is the same right to a volume, though the volume may have grown."""
    if known is None or wanted is None:
        return False
    return (known.token, known.guid) == (wanted.token, wanted.guid)
