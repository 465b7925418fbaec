"""A node's volumes: attached, mounted, grown and let go of as the assignment says; each in its own time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from artesian.attach import attaching, mounting
from artesian.attach.errors import AttachError, NoSuchExport
from artesian.attach.filesystem import FsType
from artesian.model.assignment import AssignedVolume
from artesian.model.observation import SeenAttachment

_AT_ONCE = 8


class NodeVolumes:
    """Each volume has a folder below `folder`, named by its id. `address_of` gives a volume's NBD URI."""

    def __init__(self, folder: Path, node: str, address_of: Callable[[str], str]) -> None:
        self._folder = folder
        self._node = node
        self._address_of = address_of
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="volume")
        self._working: dict[str, Future[str]] = {}
        self._problems: dict[str, str] = {}
        self._sizes: dict[str, int] = {}  # to which each was grown last
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def ensure(self, volumes: Iterable[AssignedVolume]) -> None:
        """Begin whatever is missing; nothing waits for a volume that hangs."""
        assigned = {volume.volume_id: volume for volume in volumes}
        self._collect()
        attached = self._attached_ids()
        for volume_id in list(self._problems):
            if volume_id not in assigned and volume_id not in attached:
                del self._problems[volume_id]
        for volume_id, volume in assigned.items():
            if volume_id not in self._working and not self._is_done(volume):
                self._working[volume_id] = self._pool.submit(self._bring, volume)
        for volume_id in attached:
            if volume_id not in assigned and volume_id not in self._working:
                self._working[volume_id] = self._pool.submit(self._let_go, volume_id)

    def seen(self) -> tuple[SeenAttachment, ...]:
        """What is attached here, or half attached."""
        self._collect()
        found = []
        for volume_id in self._attached_ids():
            folder = self._folder / volume_id
            attachment, mounted = attaching.find(folder), mounting.find(folder)
            problem = self._problems.get(volume_id, "")
            if attachment is not None and not attachment.alive and not problem:
                problem = "what is behind the block device has died"
            found.append(
                SeenAttachment(
                    volume_id,
                    self._node,
                    str(attachment.device) if attachment is not None else None,
                    str(mounted.path) if mounted is not None else None,
                    problem,
                )
            )
        known = {one.volume_id for one in found}
        under_way = sorted(self._working.keys() - known)
        found += [SeenAttachment(one, self._node, None, None, "it is under way") for one in under_way]
        return tuple(found)

    def problems(self) -> tuple[str, ...]:
        """What could not be done yet, volume by volume."""
        return tuple(f"volume {volume_id}: {text}" for volume_id, text in sorted(self._problems.items()))

    @property
    def is_working(self) -> bool:
        """Whether something is under way."""
        return bool(self._working)

    def close(self) -> None:
        """Begin nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _collect(self) -> None:
        for volume_id, work in list(self._working.items()):
            if work.done():
                del self._working[volume_id]
                problem = work.result()
                if problem:
                    self._problems[volume_id] = problem
                else:
                    self._problems.pop(volume_id, None)

    def _attached_ids(self) -> list[str]:
        return sorted(path.parent.name for path in self._folder.glob("*/attachment.json"))

    def _is_done(self, volume: AssignedVolume) -> bool:
        if self._sizes.get(volume.volume_id) != volume.size_bytes:
            return False
        folder = self._folder / volume.volume_id
        attachment = attaching.find(folder)
        if attachment is None or not attachment.alive:
            return False
        mounted = mounting.find(folder)
        return volume.mount_path is None or (mounted is not None and mounted.path == Path(volume.mount_path))

    def _bring(self, volume: AssignedVolume) -> str:
        """Attach, mount and grow; what went wrong, empty if nothing did."""
        folder = self._folder / volume.volume_id
        try:
            attached = attaching.attach(self._address_of(volume.volume_id), folder)
            mounted = mounting.find(folder)
            wanted = Path(volume.mount_path) if volume.mount_path is not None else None
            if mounted is not None and mounted.path != wanted:
                mounting.unmount(folder)
                mounted = None
            if wanted is not None and mounted is None:
                wanted.mkdir(parents=True, exist_ok=True)
                fstype = FsType(volume.fstype) if volume.fstype is not None else None
                mounting.mount(folder, wanted, fstype=fstype, label=volume.name[:12])
            if attaching.size_of(attached.device) < volume.size_bytes:
                mounting.grow(folder)
            if attaching.size_of(attached.device) < volume.size_bytes:
                return "its new size has not arrived yet"
        except (AttachError, OSError, ValueError) as error:
            return " ".join(str(error).split())
        self._sizes[volume.volume_id] = volume.size_bytes
        return ""

    def _let_go(self, volume_id: str) -> str:
        """Unmount and detach. A volume that the engine does not offer any more cannot be flushed: nothing of
        it would be taken, so it is let go of at once."""
        folder = self._folder / volume_id
        self._sizes.pop(volume_id, None)
        try:
            try:
                mounting.unmount(folder)
                attaching.detach(folder)
            except NoSuchExport:
                attaching.detach(folder, force=True)
        except (AttachError, OSError) as error:
            return " ".join(str(error).split())
        return ""
