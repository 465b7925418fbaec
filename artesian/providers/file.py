"""Disks of nodes on one machine: sparse files in the folders that stand for their /dev.

A disk is called provided-TOKEN, with everything but letters, digits, dots and dashes of the token written as
%XX: the name alone says which request it answers, whoever looks, and no disk with another name is touched.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote, unquote

from artesian.clusters.local import LocalCluster
from artesian.clusters.port import SubstrateNode
from artesian.host.loops import loop_devices
from artesian.model.errors import ArtesianError, NotPossible
from artesian.model.provided import DiskRequest, ProvidedDisk, ProvidedState, Quote
from artesian.model.sizes import format_size
from artesian.providers.port import ProviderRefused, ProviderUnreachable

STEP_BYTES = 1 << 20
MINIMUM_BYTES = 64 << 20
_PREFIX = "provided-"
_MAX_NAME_BYTES = 255
_PROC = Path("/proc")


class FileProvider:
    """Makes and removes disks of the nodes of a local cluster. Every disk is there at once."""

    def __init__(
        self,
        cluster: LocalCluster,
        *,
        max_disks_per_node: int | None = None,
        price_per_gib_month: float = 0.0,
    ) -> None:
        """`max_disks_per_node`: of those made here; None: as many as there is room for."""
        self._cluster = cluster
        self._lock = threading.Lock()  # what is counted stays true until the disk is made
        self._max_disks = max_disks_per_node
        self._price = price_per_gib_month

    def check(self) -> None:
        """Nobody has to let us in; what there is room for is seen with each request."""

    def quote(self, request: DiskRequest) -> Quote:
        """What a request would give; refused for lack of a node, of a place or of room on the file system."""
        with _readable():
            try:
                path = self._path(request)
                size_bytes = self._size(path) or self._plan(request)
            except ProviderRefused as error:
                return Quote(refused=str(error))
        return Quote(size_bytes, self._cost(size_bytes))

    def provide(self, request: DiskRequest) -> ProvidedDisk:
        """Make the file of a request, if it is not there."""
        with self._lock, _readable():
            path = self._path(request)
            if self._size(path) is None:
                self._make(request, path, self._plan(request))
            elif self._size(path) == 0:
                os.truncate(path, self._plan(request))  # whoever made it ended before it had a size
            return self._disk(request.node, path)

    def disks(self) -> tuple[ProvidedDisk, ...]:
        """Every file that was made here, by node and name."""
        with _readable():
            found = []
            for node in self._cluster.nodes():
                for path in self._ours(node.name):
                    with suppress(FileNotFoundError):  # released meanwhile
                        found.append(self._disk(node.name, path))
            return tuple(found)

    def release(self, disk_id: str) -> bool:
        """Remove a file; True when it is gone. Raises ProviderRefused while anything has it open."""
        node, _, name = disk_id.partition("/")
        if not name.startswith(_PREFIX) or "/" in name:
            raise ProviderRefused(f"{disk_id} is no disk that was made here: those are NODE/{_PREFIX}TOKEN")
        with _readable():
            if node not in {one.name for one in self._cluster.nodes()}:
                return True
            path = self._cluster.dev(node) / name
            if self._size(path) is None:
                return True
            holders = _holders(path)
            if holders:
                raise ProviderRefused(f"{disk_id} is in use by {', '.join(holders)}")
            path.unlink(missing_ok=True)
        return True

    # --- what is to be made

    def _path(self, request: DiskRequest) -> Path:
        """Where the disk of a request is, or is to be. Raises ProviderRefused if another node has it."""
        name = _PREFIX + quote(request.token, safe="").replace("_", "%5F").replace("~", "%7E")
        if len(name) > _MAX_NAME_BYTES or not request.token:
            raise ProviderRefused(f"{request.token!r} cannot be part of the name of a file")
        node = self._node(request.node)
        for other in self._cluster.nodes():
            if other.name != node.name and self._size(self._cluster.dev(other.name) / name) is not None:
                raise ProviderRefused(f"{request.token} is a disk of node {other.name}, not of {node.name}")
        return self._cluster.dev(node.name) / name

    def _node(self, name: str) -> SubstrateNode:
        nodes = {node.name: node for node in self._cluster.nodes()}
        if name not in nodes:
            raise ProviderRefused(f"there is no node {name}; there are {', '.join(nodes) or 'none'}")
        return nodes[name]

    def _plan(self, request: DiskRequest) -> int:
        """The size that a new disk gets. Raises ProviderRefused if it cannot be made."""
        if self._node(request.node).gone:
            raise ProviderRefused(f"node {request.node} is switched off")
        there = [path for path in self._ours(request.node) if self._size(path)]
        if self._max_disks is not None and len(there) >= self._max_disks:
            raise ProviderRefused(
                f"node {request.node} has {len(there)} disks that were made for it, and {self._max_disks} "
                "are allowed"
            )
        size_bytes = max(MINIMUM_BYTES, -(-request.size_bytes // STEP_BYTES) * STEP_BYTES)
        free_bytes, promised_bytes = self._room(request.node)
        if size_bytes > free_bytes - promised_bytes:
            promised = f", of which {format_size(promised_bytes)} are promised" if promised_bytes else ""
            raise ProviderRefused(
                f"{format_size(size_bytes)} do not fit: the file system of {self._cluster.folder} has "
                f"{format_size(free_bytes)} free{promised}"
            )
        return size_bytes

    def _room(self, node: str) -> tuple[int, int]:
        """Free bytes of the host's file system, and those of them that disks of ours have yet to fill."""
        status = os.statvfs(self._cluster.dev(node))
        promised_bytes = 0
        for other in self._cluster.nodes():
            for path in self._ours(other.name):
                with suppress(FileNotFoundError):
                    file = path.stat()
                    promised_bytes += max(0, file.st_size - file.st_blocks * 512)
        return status.f_bavail * status.f_frsize, promised_bytes

    def _make(self, request: DiskRequest, path: Path, size_bytes: int) -> None:
        try:
            self._cluster.add_disk(request.node, size_bytes, path.name)
        except NotPossible as error:
            if self._size(path) is None:  # else somebody was faster with the same request
                raise ProviderRefused(str(error)) from None

    # --- what is there

    def _ours(self, node: str) -> list[Path]:
        return [
            path for path in sorted(self._cluster.dev(node).glob(f"{_PREFIX}*")) if _is_regular_file(path)
        ]

    def _size(self, path: Path) -> int | None:
        """None if there is no such disk."""
        try:
            return path.lstat().st_size if _is_regular_file(path) else None
        except FileNotFoundError:
            return None

    def _disk(self, node: str, path: Path) -> ProvidedDisk:
        size_bytes = path.lstat().st_size
        return ProvidedDisk(
            id=f"{node}/{path.name}",
            token=unquote(path.name.removeprefix(_PREFIX)),
            node=node,
            size_bytes=size_bytes,
            state=ProvidedState.ATTACHED if size_bytes else ProvidedState.MAKING,
            name=path.name,
            cost_per_month=self._cost(size_bytes),
        )

    def _cost(self, size_bytes: int) -> float:
        return self._price * size_bytes / (1 << 30)


@contextmanager
def _readable() -> Iterator[None]:
    """What the machine's file system does not tell is not known; that is no refusal."""
    try:
        yield
    except (ProviderRefused, ProviderUnreachable):
        raise
    except ArtesianError as error:
        raise ProviderUnreachable(str(error)) from error
    except OSError as error:
        raise ProviderUnreachable(f"{error.filename or 'the disks'}: {error.strerror}") from error


def _is_regular_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def _holders(path: Path) -> list[str]:
    """Loop devices and processes that have the file open, by whichever of its names; at most five."""
    wanted = path.stat()
    found = list(loop_devices().get((wanted.st_dev, wanted.st_ino), ()))
    for process in sorted(filter(str.isdigit, os.listdir(_PROC)), key=int):
        with suppress(OSError):  # it has ended, or belongs to somebody else
            if any(_is_open(descriptor, wanted) for descriptor in (_PROC / process / "fd").iterdir()):
                found.append(f"{(_PROC / process / 'comm').read_text().strip()} ({process})")
    return found[:5]


def _is_open(descriptor: Path, wanted: os.stat_result) -> bool:
    try:
        return os.path.samestat(descriptor.stat(), wanted)
    except OSError:
        return False
