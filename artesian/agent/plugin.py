"""The Docker volume plugin of a node: where it listens, and what it does by itself now and then."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from artesian.agent.config import AgentConfig
from artesian.agent.volume_calls import VolumeCalls
from artesian.agent.volume_users import users_of
from artesian.attach import attaching, mounting
from artesian.attach.errors import AttachError
from artesian.model.assignment import Assignment
from artesian.model.errors import ArtesianError
from artesian.volumes.known import KnownVolumes
from artesian.volumes.protocol import VolumeDriver
from artesian.volumes.server import PluginServer
from artesian.volumes.service import VolumeService
from artesian.volumes.shim import write_shim
from artesian.volumes.uses import Uses

DRIVER = "artesian"
SYSTEM_PLUGINS = Path("/run/docker/plugins")  # where Docker, podman and dvdcli look
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_LOOK_S = 2.0
_LOOK_CLOSELY_S = 30.0

log = structlog.get_logger()


class NodePlugin:
    """`config` and `assignment` give the present ones. A machine's own plugin is where container engines look
    for it; that of a node which is only a folder is in that folder."""

    def __init__(
        self,
        folder: Path,
        config: Callable[[], AgentConfig],
        assignment: Callable[[], Assignment],
        is_mute: Callable[[], bool],
    ) -> None:
        self._folder = folder
        self._problem = ""
        self._ended = threading.Event()
        calls = VolumeCalls(config, is_mute)
        node = _Node(folder, config().node, assignment)
        uses = Uses(folder / "container-volumes.json", _boot())
        known = KnownVolumes(folder / "known-volumes.json", calls)
        self._service = VolumeService(calls, node, uses, known, folder / "mounts", _Time())
        self._server = PluginServer(socket_of(folder, config()), VolumeDriver(self._service))

    def start(self) -> None:
        """Serve, and look after it in a thread."""
        threading.Thread(target=self._run, name="container volumes", daemon=True).start()

    def close(self) -> None:
        """Serve no more; what is mounted stays."""
        self._ended.set()
        self._server.close()

    def problems(self) -> tuple[str, ...]:
        """Why containers get no volumes here."""
        return (self._problem,) if self._problem else ()

    def _run(self) -> None:
        try:
            write_shim(self._folder / "bin" / "dvdcli")
        except OSError as error:
            log.error("dvdcli cannot be written", reason=str(error))
        closely_at = float("-inf")
        while not self._ended.is_set():
            problem = self._server.ensure()
            if problem and problem != self._problem:
                log.error("no volumes for containers", reason=problem)
            self._problem = problem
            try:
                self._service.look()
                if time.monotonic() >= closely_at:
                    closely_at = time.monotonic() + _LOOK_CLOSELY_S
                    self._service.look_closely()
            except (ArtesianError, OSError) as error:
                log.warning("volumes of containers cannot be looked after", reason=str(error))
            except Exception:
                log.exception("volumes of containers are not looked after, by a mistake in Artesian itself")
            self._ended.wait(_LOOK_S)
        self._server.close()  # it may have begun to serve meanwhile


def socket_of(folder: Path, config: AgentConfig) -> Path:
    """Where the plugin of a node listens."""
    is_machine = config.dev is None and os.geteuid() == 0
    return (SYSTEM_PLUGINS if is_machine else folder / "plugins") / f"{DRIVER}.sock"


class _Time:
    """The machine's clocks."""

    def monotonic(self) -> float:
        return time.monotonic()

    def since_boot(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class _Node:
    """What there is on this node, out of its assignment and what is mounted."""

    def __init__(self, folder: Path, name: str, assignment: Callable[[], Assignment]) -> None:
        self._folder = folder
        self._name = name
        self._assignment = assignment

    @property
    def name(self) -> str:
        """The node's."""
        return self._name

    def mounted(self, volume: str, generation: int | None = None) -> str | None:
        """Where a volume is mounted that is assigned, in this generation of its attachment, if one is
        given; None if it is not, or what is behind it has died."""
        for one in self._assignment().volumes:
            if one.name != volume or one.mount_path is None or generation not in (None, one.generation):
                continue
            kept = self._folder / "volumes" / one.volume_id
            try:
                attached, mounted = attaching.find(kept), mounting.find(kept)
            except AttachError as error:  # of one volume; whoever asks for others is answered
                log.warning("it cannot be told whether a volume is mounted", volume=volume, reason=str(error))
                return None
            if attached is None or not attached.alive or attached.generation != one.generation:
                return None
            there = mounted is not None and mounted.path == Path(one.mount_path)
            return one.mount_path if there else None
        return None

    def for_containers(self) -> list[str]:
        """The volumes that are assigned only as long as containers use them."""
        return [one.name for one in self._assignment().volumes if one.for_containers and one.mount_path]

    def users(self, path: str) -> str:
        """Who really uses what is mounted at a path."""
        return users_of(Path(path))


def _boot() -> str:
    """Which run of the machine this is; empty where the kernel does not say."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""
