"""A disk's OSD.

It says of its disk what there is to say, and waits until the disk is accepted: then the disk is formatted, if
that has not been done, and the OSD runs. What is on a disk that is not ours is never written over.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import time
from dataclasses import replace
from pathlib import Path

from artesian.engines.ceph import disk_fitness, names
from artesian.engines.ceph.bluestore_label import TOKEN, Label, clear, read_label
from artesian.engines.ceph.disk_fitness import Fitness
from artesian.engines.ceph.errors import CephNodeError
from artesian.engines.ceph.keys import cephx_key, keyring
from artesian.engines.ceph.monitors import Json, Monitors
from artesian.engines.ceph.process_config import ProcessConfig, read_config
from artesian.engines.ceph.quick_deaths import QuickDeaths
from artesian.engines.ceph.waiting import Command, Pauses, daemon, run
from artesian.host.files import write_durably

_LOOK_AGAIN_S = 5.0
_SMALL = {"TCMALLOC_MAX_TOTAL_THREAD_CACHE_BYTES": str(16 << 20)}


def prepare(path: Path) -> Command:
    """Wait until the disk may be an OSD, and make it one; what it is to become."""
    config = read_config(path)
    forget_disk(config)
    deaths = QuickDeaths(_deaths(config.home, config.name))
    deaths.wait()
    with Waiting(path, deaths.sentence) as waiting:
        osd, disk = waiting.until_accepted()
    config = read_config(path)
    _describe(config, disk)
    deaths.begin()
    more = ("--osd-data", str(config.data), "--public-addr", config.address, "--cluster-addr", config.address)
    return Command(daemon("osd", config.conf, str(osd), *more), _SMALL if config.small else {})


class Waiting:
    """For a disk to be accepted, and to be there."""

    def __init__(self, path: Path, dies: str) -> None:
        """`dies`: what there is to say of an OSD that has ended again and again."""
        self._path = path
        self._dies = dies
        self._config = read_config(path)
        self._monitors = self._connect()
        self._looked_at: tuple[float, str | None, Fitness] | None = None

    def __enter__(self) -> Waiting:
        return self

    def __exit__(self, *_: object) -> None:
        self._monitors.close()

    def until_accepted(self) -> tuple[int, str]:
        """The OSD's number, and its formatted disk."""
        pauses = Pauses()
        while True:
            self._follow()
            try:
                found = self._step()
                if isinstance(found, tuple):
                    return found
                pauses.wait(found)
            except CephNodeError as error:
                pauses.wait(str(error))

    def _follow(self) -> None:
        config = read_config(self._path)
        if config.monitors != self._config.monitors:
            self._monitors.close()
            self._config = config
            self._monitors = self._connect()
        self._config = config

    def _connect(self) -> Monitors:
        return Monitors.as_admin(self._config.fsid, self._config.monitors, self._config.secret)

    def _step(self) -> tuple[int, str] | str:
        """The OSD's number and its disk, or what is waited for. Raises CephNodeError."""
        uuid = self._config.uuid
        known = self._monitors.get(names.key("devices", uuid))
        if known is None:
            return self._not_accepted()
        fitness, disk = self._look()
        osd, token = int(known["osd"]), str(known.get("token", ""))
        if fitness.wrong or disk is None:
            self._publish(fitness)
            return fitness.wrong
        if _is_of(fitness.label, token) or self._has_served(known, fitness.label):
            self._make_folder(osd, disk)
        elif known.get("leaving"):
            return "the disk is being removed, and nothing is on it"
        else:
            self._format(osd, token, disk)
        self._publish(fitness)
        return osd, disk

    def _not_accepted(self) -> str:
        fitness, disk = self._look()
        label = fitness.label
        # A disk that was removed is of no use with what is on it, and the cluster misses nothing of it.
        if disk is not None and label is not None and label.uuid == self._config.uuid:
            if self._is_osd():
                return "an OSD of the cluster, which was not accepted"
            if self._monitors.get(names.key("removed", self._config.uuid)) is None:
                wrong = f"{disk} is an OSD of which the cluster does not say that it was removed"
                self._publish(replace(fitness, wrong=wrong))
                return wrong
            clear(disk, self._config.uuid)
            shutil.rmtree(self._config.data, ignore_errors=True)
            self._looked_at = None
            fitness, disk = self._look()
        self._publish(replace(fitness, failed=False))  # one that is not there cannot be accepted
        return fitness.wrong or "the disk is not accepted yet"

    def _is_osd(self) -> bool:
        found = self._monitors.ask("osd dump")["osds"]
        return any(one["uuid"] == self._config.uuid for one in found)

    def _has_served(self, device: Json, label: Label | None) -> bool:
        """Whether what is on the disk has been in use since it was accepted, whatever token was written down
        afterwards, by somebody who did not know: then it counts. Not so what one of the same number was."""
        if label is None or not label.is_complete or label.osd != str(device["osd"]):
            return False
        since, known = int(device.get("epoch", 0)), self._monitors.ask("osd dump")["osds"]
        return any(
            (one["uuid"], one["osd"]) == (label.uuid, device["osd"]) and one["up_from"] > since
            for one in known
        )

    def _look(self) -> tuple[Fitness, str | None]:
        """At a disk that was looked at just before, not again: tools have to be run for it."""
        disk = disk_fitness.find(self._config.paths)
        now = time.monotonic()
        if self._looked_at is not None:
            at, known, fitness = self._looked_at
            if now - at < _LOOK_AGAIN_S and known == disk:
                return fitness, disk
        fitness = disk_fitness.look(disk, self._config.uuid)
        self._looked_at = now, disk, fitness
        return fitness, disk

    def _publish(self, fitness: Fitness) -> None:
        """What the node says of the disk."""
        value: dict[str, object] = {"size_bytes": fitness.size_bytes}
        if fitness.failed or self._dies:
            value = {"failed": fitness.wrong or self._dies}
        elif fitness.wrong:
            value = {"refused": fitness.wrong}
        self._monitors.set(names.key("disks", self._config.uuid), value)

    # --- the disk

    def _format(self, osd: int, token: str, disk: str) -> None:
        """Make the disk an OSD. Whatever has come onto it since is left alone. Raises CephNodeError."""
        config = self._config
        fitness = disk_fitness.look(disk, config.uuid)
        if not fitness.wrong and fitness.label is not None and not _is_of(fitness.label, token):
            # It was not made to the end, so it has never run; or it was removed since, and is accepted again.
            clear(disk, config.uuid)
            fitness = disk_fitness.look(disk, config.uuid)
        self._looked_at = None
        if fitness.wrong or fitness.label is not None:
            self._publish(fitness)
            raise CephNodeError(fitness.wrong or f"{disk} is being written to by somebody else")
        if config.data.exists():
            shutil.rmtree(config.data)
        config.data.mkdir(mode=0o700)
        self._write_files(osd, disk)
        words = daemon("osd", config.conf, str(osd), "--mkfs", "--no-mon-config", "--osd-uuid", config.uuid)
        run(*words, "--osd-data", str(config.data))
        run("ceph-bluestore-tool", "set-label-key", "--dev", disk, "-k", TOKEN, "-v", token)
        label = read_label(disk)
        if not _is_of(label, token):
            raise CephNodeError(f"{disk} was formatted, but does not say so")

    def _make_folder(self, osd: int, disk: str) -> None:
        """Of an OSD whose disk has everything: what else is needed follows from it."""
        config = self._config
        config.data.mkdir(mode=0o700, exist_ok=True)
        values = {
            "ceph_fsid": config.fsid,
            "fsid": config.uuid,
            "ready": "ready",
            "type": "bluestore",
            "whoami": str(osd),
        }
        for name, value in values.items():
            if not (config.data / name).exists():
                write_durably(config.data / name, value + "\n", 0o600)
        self._write_files(osd, disk)

    def _write_files(self, osd: int, disk: str) -> None:
        config = self._config
        key = cephx_key(config.secret, f"osd.{config.uuid}")
        write_durably(config.data / "keyring", keyring(config.secret, f"osd.{osd}", key), 0o600)
        block = config.data / "block"
        block.unlink(missing_ok=True)
        block.symlink_to(disk)


def _is_of(label: Label | None, token: str) -> bool:
    """Whether a disk that carries our label was made to the end since it was accepted."""
    return label is not None and label.is_complete and label.token == token


def _deaths(folder: Path, name: str) -> Path:
    return folder / "run" / f"{name}.deaths"


def forget_deaths(folder: Path, name: str) -> None:
    """Of an OSD that was ended."""
    _deaths(folder, name).unlink(missing_ok=True)


def _description(config: ProcessConfig) -> Path:
    return config.home / "run" / f"{config.name}.disk"


def forget_disk(config: ProcessConfig) -> None:
    """Of an OSD that runs no more."""
    _description(config).unlink(missing_ok=True)


def was_taken_out(config: ProcessConfig) -> bool:
    """Whether the disk of an OSD that runs is a file, and has no name any more: the OSD would not notice."""
    try:
        document = json.loads(_description(config).read_text())
        if document["is_device"]:
            return False
        facts = [os.stat(path) for path in config.paths if os.path.exists(path)]
    except (OSError, ValueError, KeyError):
        return False
    return (document["device"], document["inode"]) not in {(one.st_dev, one.st_ino) for one in facts}


def _describe(config: ProcessConfig, disk: str) -> None:
    """For `was_taken_out`."""
    facts = os.stat(disk)
    is_device = stat.S_ISBLK(facts.st_mode)
    document = {"is_device": is_device, "device": facts.st_dev, "inode": facts.st_ino}
    write_durably(_description(config), json.dumps(document) + "\n", 0o600)
