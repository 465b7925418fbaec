"""A node's volumes: attached, mounted, grown and let go of as the assignment says; each in its own time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import structlog

from artesian.agent.fill import Fills
from artesian.attach import attaching, filesystem, mounting
from artesian.attach.errors import AttachError, CannotGrow, FilesystemError, InUse, NoSuchExport
from artesian.attach.filesystem import FsType
from artesian.model.assignment import AssignedVolume
from artesian.model.observation import SeenAttachment

_AT_ONCE = 8
_GROW_AGAIN_S = 60.0  # where it was not possible: somebody may have seen to that
_LEFT_OVER = "what is left of an earlier attachment is taken away first"

log = structlog.get_logger()


class _Work(NamedTuple):
    """Something under way. `generation` is that of the attachment being made; None: it is taken away."""

    result: Future[str]
    generation: int | None
    discards: bool = False


class _NotGrown(NamedTuple):
    """A file system that could not take over its volume's size: why, and when that is tried again."""

    because: str = ""
    again_s: float = math.inf


class NodeVolumes:
    """Each volume has a folder below `folder`, named by its id. `address_of` gives a volume's NBD URI."""

    def __init__(self, folder: Path, node: str, address_of: Callable[[str], str]) -> None:
        self._folder = folder
        self._node = node
        self._address_of = address_of
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="volume")
        self._discarding = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="discarding")
        self._working: dict[str, _Work] = {}
        self._generations: dict[str, int] = {}  # of the volumes that are assigned
        self._problems: dict[str, str] = {}
        self._sizes: dict[str, int] = {}  # to which each was grown last
        self._not_grown: dict[str, _NotGrown] = {}
        self._fills = Fills()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def ensure(self, volumes: Iterable[AssignedVolume], *, discard: bool = False) -> None:
        """Begin whatever is missing; nothing waits for a volume that hangs. `discard`: what is not assigned
        is let go of even if it cannot be flushed."""
        assigned = {volume.volume_id: volume for volume in volumes}
        self._generations = {volume_id: volume.generation for volume_id, volume in assigned.items()}
        self._collect()
        attached = self._attached_ids()
        for volume_id in list(self._problems):
            if volume_id not in assigned and volume_id not in attached:
                del self._problems[volume_id]
        for volume_id, volume in assigned.items():
            if volume_id not in self._working and not self._is_done(volume):
                work = self._pool.submit(self._bring, volume)
                self._working[volume_id] = _Work(work, volume.generation)
        for volume_id in attached:
            if volume_id in assigned:
                continue
            work_under_way = self._working.get(volume_id)
            if discard and not (work_under_way is not None and work_under_way.discards):
                # Beside an attempt that hangs, which ends with the processes behind the device.
                self._working[volume_id] = _Work(
                    self._discarding.submit(self._discard, volume_id), None, True
                )
            elif work_under_way is None:
                self._working[volume_id] = _Work(self._pool.submit(self._let_go, volume_id), None)

    def seen(self) -> tuple[SeenAttachment, ...]:
        """What is attached here, or half attached; without a device what is left of an earlier attachment.

        An attachment that is being made as it is assigned, and of which there is nothing yet, is not told of:
        it waits for the engine, and the engine waits until nothing is left here.
        """
        self._collect()
        found = []
        for volume_id in self._attached_ids():
            folder = self._folder / volume_id
            problem = self._problems.get(volume_id, "")
            if self._is_left_over(volume_id):
                found.append(SeenAttachment(volume_id, self._node, None, None, problem or _LEFT_OVER))
                continue
            attachment, mounted = attaching.find(folder), mounting.find(folder)
            if attachment is not None and not attachment.alive and not problem:
                problem = "what is behind the block device has died"
            fill = self._fills.of(volume_id, mounted.path) if mounted is not None else None
            found.append(
                SeenAttachment(
                    volume_id,
                    self._node,
                    str(attachment.device) if attachment is not None else None,
                    str(mounted.path) if mounted is not None else None,
                    problem,
                    self._not_grown.get(volume_id, _NotGrown()).because,
                    fill.used_bytes if fill is not None else None,
                    fill.total_bytes if fill is not None else None,
                )
            )
        known = {one.volume_id for one in found}
        under_way = sorted(
            volume_id
            for volume_id, work in list(self._working.items())
            if volume_id not in known
            and (work.generation is None or work.generation != self._generations.get(volume_id))
        )
        found += [SeenAttachment(one, self._node, None, None, "it is under way") for one in under_way]
        return tuple(found)

    def problems(self) -> tuple[str, ...]:
        """What could not be done yet, volume by volume."""
        not_grown = dict(self._not_grown)  # threads change it
        found = {volume_id: one.because for volume_id, one in not_grown.items()} | self._problems
        return tuple(f"volume {volume_id}: {text}" for volume_id, text in sorted(found.items()))

    @property
    def is_working(self) -> bool:
        """Whether something is under way."""
        return bool(self._working)

    def close(self) -> None:
        """Begin nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._discarding.shutdown(wait=False, cancel_futures=True)

    def _collect(self) -> None:
        for volume_id, work in list(self._working.items()):
            if work.result.done():
                self._working.pop(volume_id, None)  # whoever else looks may have collected it
                problem = _outcome(volume_id, work.result)
                if problem:
                    self._problems[volume_id] = problem
                else:
                    self._problems.pop(volume_id, None)

    def _attached_ids(self) -> list[str]:
        return sorted(path.parent.name for path in self._folder.glob("*/attachment.json"))

    def _is_left_over(self, volume_id: str) -> bool:
        wanted = self._generations.get(volume_id)
        return wanted is not None and attaching.generation_of(self._folder / volume_id) not in (None, wanted)

    def _is_done(self, volume: AssignedVolume) -> bool:
        if self._sizes.get(volume.volume_id) != volume.size_bytes:
            return False
        if time.monotonic() >= self._not_grown.get(volume.volume_id, _NotGrown()).again_s:
            return False
        folder = self._folder / volume.volume_id
        attachment = attaching.find(folder)
        if attachment is None or not attachment.alive or attachment.generation != volume.generation:
            return False
        mounted = mounting.find(folder)
        return volume.mount_path is None or (mounted is not None and mounted.path == Path(volume.mount_path))

    def _bring(self, volume: AssignedVolume) -> str:
        """Attach, mount and grow; what went wrong, empty if nothing did."""
        folder = self._folder / volume.volume_id
        try:
            if attaching.generation_of(folder) not in (None, volume.generation):
                problem = self._let_go(volume.volume_id)
                if problem:
                    return problem
            uri = self._address_of(volume.volume_id)
            attached = attaching.attach(uri, folder, generation=volume.generation)
            mounted = mounting.find(folder)
            wanted = Path(volume.mount_path) if volume.mount_path is not None else None
            if mounted is not None and mounted.path != wanted:
                mounting.unmount(folder)
                mounted = None
            if wanted is not None and mounted is None:
                wanted.mkdir(parents=True, exist_ok=True)
                fstype = FsType(volume.fstype) if volume.fstype is not None else None
                mounting.mount(folder, wanted, fstype=fstype, label=volume.name[:12])
            self._fills.forget(volume.volume_id)
            if not self._grow(volume, folder, attached.device):
                return "its new size has not arrived yet"
        except (AttachError, OSError, ValueError) as error:
            return " ".join(str(error).split())
        self._sizes[volume.volume_id] = volume.size_bytes
        return ""

    def _grow(self, volume: AssignedVolume, folder: Path, device: Path) -> bool:
        """The device, and what is mounted from it; False if the size has not arrived yet. Where it may not
        grow while it is mounted the volume is usable all the same, and that is tried again now and then."""
        mounted = mounting.find(folder)
        try:
            is_small = attaching.size_of(device) < volume.size_bytes
            if is_small or (mounted is not None and filesystem.has_outgrown(device, mounted.fstype)):
                mounting.grow(folder)
        except (CannotGrow, FilesystemError) as error:
            because = f"its file system does not grow: {' '.join(str(error).split())}"
            self._not_grown[volume.volume_id] = _NotGrown(because, time.monotonic() + _GROW_AGAIN_S)
            return True
        self._not_grown.pop(volume.volume_id, None)
        return attaching.size_of(device) >= volume.size_bytes

    def _let_go(self, volume_id: str) -> str:
        """Unmount and detach. A volume that the engine does not offer any more cannot be flushed: nothing of
        it would be taken, so it is let go of at once, and what it still had to write is never sent. What is
        used by processes is flushed at least: it may be taken by force next."""
        folder = self._folder / volume_id
        self._sizes.pop(volume_id, None)
        self._not_grown.pop(volume_id, None)
        self._fills.forget(volume_id)
        try:
            try:
                mounting.unmount(folder)
                attaching.detach(folder)
            except NoSuchExport:
                attaching.detach(folder, discard=True)
            except InUse:
                mounting.flush(folder)
                raise
        except (AttachError, OSError) as error:
            return " ".join(str(error).split())
        return ""

    def _discard(self, volume_id: str) -> str:
        """Detach, and lose what is not written; what went wrong, empty if nothing did."""
        folder = self._folder / volume_id
        self._sizes.pop(volume_id, None)
        try:
            attaching.cut_off(folder)
            attaching.detach(folder, discard=True)
        except (AttachError, OSError) as error:
            return " ".join(str(error).split())
        log.warning("a volume was let go of without what was not written yet", volume=volume_id)
        return ""


def _outcome(volume_id: str, work: Future[str]) -> str:
    """What went wrong, empty if nothing did; also when it is nothing that anybody has thought of."""
    try:
        return work.result()
    except Exception as error:
        log.exception("a volume cannot be worked on", volume=volume_id)
        return f"unexpected: {type(error).__name__}: {' '.join(str(error).split())}"
