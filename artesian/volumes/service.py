"""What the plugin does: volumes of the cluster for the containers of this node.

Whatever is begun here is a wish that the scheduler keeps, and a use that this node keeps. `look` brings the
two together again after anything has died in between.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import structlog

from artesian.model.errors import Conflict, NotPossible, NotThere
from artesian.model.volume_names import name_problem
from artesian.volumes.known import KnownVolumes
from artesian.volumes.options import new_volume, preempts
from artesian.volumes.ports import Clock, OwnNode, SchedulerAway, Volumes, VolumeSeen
from artesian.volumes.uses import Entry, Use, Uses

# Docker and Mesos wait for two minutes; whoever is told nothing by then never hears why.
_MOUNTING_S = 100.0
_LETTING_GO_S = 60.0
_ASKED_NICELY_S = 15.0  # how long another node may take to let go before it is cut off, where that is allowed
_ENDING_S = 20.0
_POLL_S = 0.2
_POLL_MOST_S = 1.0
# Docker forgets its ids when it is killed: a use that is older than this, and that nobody can be seen to make
# of a volume, is over. A container that is being started has mounted it by then.
_STALE_S = 120.0
_LOOKS = 3

Answer = TypeVar("Answer")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Mounting:
    """A volume that was mounted for whoever asked; `is_new`: for a use that there was not before."""

    name: str
    use_id: str
    path: str
    token: str
    is_new: bool


class VolumeService:
    """For the threads that serve requests. Methods raise ArtesianError with a reason for people, and OSError.

    `folder` is where volumes are mounted.
    """

    def __init__(
        self, volumes: Volumes, node: OwnNode, uses: Uses, known: KnownVolumes, folder: Path, clock: Clock
    ) -> None:
        self._volumes = volumes
        self._node = node
        self._uses = uses
        self._known = known
        self._folder = folder
        self._clock = clock
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}

    # --- what there is

    def names(self) -> list[str]:
        """Every volume, as far as that is known while nobody can be asked."""
        try:
            return sorted(self._known.refresh())
        except SchedulerAway:
            return sorted({*self._known.sizes(), *self._uses.all()})

    def find(self, name: str) -> VolumeSeen:
        """One volume: while nobody can be asked, as it was heard of last. Raises NotThere.

        Docker takes any error for the word that there is no such volume, and makes one of its own.
        """
        _check_name(name)
        try:
            found = self._volumes.find(name)
        except SchedulerAway as error:
            if name not in self._known.sizes() and self._uses.find(name) is None:
                raise NotThere(f"there is no volume {name}, as far as this node knows: {error}") from None
            size_bytes = self._known.sizes().get(name, 0)
            return VolumeSeen(name, size_bytes, exists=True, because=str(error))
        if found.deleted:
            raise NotThere(f"volume {name} is being deleted")
        return found

    def path(self, name: str) -> str:
        """Where it is mounted on this node; empty if it is not."""
        return self._node.mounted(name) or ""

    # --- making and deleting

    def create(self, name: str, options: Mapping[str, str]) -> None:
        """Make a volume, and wait until it is there; does nothing if it is."""
        _check_name(name)
        wanted = new_volume(options)
        deadline = self._clock.monotonic() + _MOUNTING_S
        self._ask(lambda: self._volumes.create(name, wanted), deadline)
        found = self._wait(name, lambda seen: seen.exists, _MOUNTING_S)
        if found is None or not found.exists:
            raise NotPossible(f"volume {name} is wanted, and not there yet: {_why(found)}")

    def remove(self, name: str) -> None:
        """Delete a volume that nobody really uses, whoever says that he does."""
        _check_name(name)
        found = self._volumes.find(name)
        if not found.deleted:
            with self._alone(name):
                entry = self._uses.find(name)
                path = self._node.mounted(name)
                users = self._node.users(path) if path is not None else ""
                if users:
                    raise Conflict(f"volume {name} is used on node {self._node.name}: {users}")
                if entry is not None:
                    self._uses.end(name, *entry.uses)
                elif found.node == self._node.name and found.hold:
                    self._volumes.release(name, found.hold)
            self._let_go(name)
            self._volumes.delete(name)
        if not self._is_gone(name):
            raise NotPossible(f"volume {name} is being deleted: {_why(self._volumes.find(name))}")

    def _is_gone(self, name: str) -> bool:
        try:
            self._wait(name, lambda _: False, _MOUNTING_S)  # a node that was cut off may need a minute
        except NotThere:
            return True
        return False

    # --- mounting

    def mount(self, name: str, use_id: str, options: Mapping[str, str]) -> Mounting:
        """Mount a volume here, and wait until it is. Each id is a user; those without are one."""
        _check_name(name)
        preempt = preempts(options)
        wanted_path = str(self._folder / name)
        deadline = self._clock.monotonic() + _MOUNTING_S
        with self._alone(name):
            before = self._uses.find(name)
            path = self._node.mounted(name) if before is not None and before.uses else None
            entry, use, is_new = self._uses.add(name, use_id, wanted_path, self._clock.since_boot())
            if path is not None and before is not None and path == before.path:
                self._uses.confirm(name, use_id, path, use.token)  # also while nobody can be asked
                return Mounting(name, use_id, path, use.token, is_new)
        try:
            seen = self._ask(lambda: self._bring(name, wanted_path, entry.hold, preempt), deadline)
            path = self._wait_mounted(seen, entry, deadline, preempt)
        except Exception:
            if is_new:
                self._uses.take_back(name, use_id, use.token)
            raise
        if not self._uses.confirm(name, use_id, path, use.token):
            raise Conflict(f"volume {name} was unmounted again meanwhile")
        if seen.hold:
            _make_empty(Path(path))
        return Mounting(name, use_id, path, use.token, is_new)

    def _bring(self, name: str, path: str, hold: str, preempt: bool) -> VolumeSeen:
        """Wish for it to be here. Containers that are just ending elsewhere get a moment for that: whoever
        runs them hears of their end before their volumes are let go of."""
        deadline = self._clock.monotonic() + _ENDING_S
        while True:
            try:
                return self._volumes.mount(name, path, hold, preempt=preempt, force=False)
            except Conflict:
                seen = self._volumes.find(name)
                is_ending = seen.node != self._node.name and bool(seen.hold or seen.node is None)
                if not is_ending or self._clock.monotonic() >= deadline:
                    raise
            self._clock.sleep(_POLL_MOST_S)

    def not_heard(self, mounting: Mounting) -> None:
        """Whoever asked has gone before he could hear of it: he does not use it."""
        if mounting.is_new:
            self._uses.take_back(mounting.name, mounting.use_id, mounting.token)

    def _wait_mounted(self, seen: VolumeSeen, entry: Entry, deadline: float, preempt: bool) -> str:
        name, node = seen.name, self._node.name
        force_at = self._clock.monotonic() + _ASKED_NICELY_S
        pause_s, because = _POLL_S, seen.because
        while True:
            if seen.node != node or seen.deleted:
                where = f"on node {seen.node}" if seen.node is not None else "nowhere"
                raise Conflict(f"volume {name} is to be {where} by now")
            path = self._node.mounted(name, seen.generation)
            if path is not None and path == seen.mount_path:
                return path
            now = self._clock.monotonic()
            if now >= deadline:
                raise NotPossible(f"volume {name} is not mounted on node {node} yet: {because}")
            try:
                if now >= force_at:
                    force_at = deadline
                    # Does nothing unless the volume, or this request, allows it.
                    wanted_path = str(self._folder / name)
                    seen = self._volumes.mount(name, wanted_path, entry.hold, preempt=preempt, force=True)
                else:
                    seen = self._volumes.find(name)
                because = seen.because or "it is under way"
            except SchedulerAway as error:
                because = str(error)
            self._clock.sleep(pause_s)
            pause_s = min(pause_s * 1.5, _POLL_MOST_S)

    # --- letting go

    def unmount(self, name: str, use_id: str) -> None:
        """One user less; with the last one the volume is let go of, and this waits until it is. While nobody
        can be asked, that comes later."""
        _check_name(name)
        with self._alone(name):
            left = self._uses.end(name, use_id)
            if left is None:
                return
            if left.uses and not self._end_stale(name, left):
                return
        self._let_go(name)

    def _end_stale(self, name: str, entry: Entry) -> bool:
        """End the uses that nobody makes any more; whether none is left. Those without an id are ended by
        whoever began them: Mesos does not forget."""
        old = {key for key, use in entry.uses.items() if key and self._is_old(use)}
        if old and old == set(entry.uses) and not self._is_used(entry.path):
            log.info("uses of a volume are over that nobody has ended", volume=name, uses=sorted(old))
            left = self._uses.end(name, *old)
            return left is not None and not left.uses
        return False

    def _is_used(self, path: str) -> bool:
        """As far as several looks have seen: one may have missed a process that has just begun."""
        for _ in range(_LOOKS - 1):
            if self._node.users(path):
                return True
            self._clock.sleep(_POLL_S)
        return bool(self._node.users(path))

    def _is_old(self, use: Use) -> bool:
        return use.confirmed and self._clock.since_boot() - use.since_s > _STALE_S

    def _let_go(self, name: str) -> None:
        """Until it is attached nowhere, unless somebody wants it somewhere by now. Raises Conflict if that
        takes too long."""
        if not self._release(name):
            return
        node = self._node.name
        try:
            found = self._wait(
                name, lambda seen: seen.node is not None or not seen.because, _LETTING_GO_S, or_away=True
            )
        except NotThere:
            found = None
        self._tidy(name)
        if found is not None and found.node is None and found.because:
            raise Conflict(f"node {node} has not let go of volume {name} yet: {found.because}")

    def _release(self, name: str) -> bool:
        """Take the wish back, if no use is left; whether the scheduler has heard of it."""
        with self._alone(name):
            entry = self._uses.find(name)
            if entry is None or entry.uses:
                return False
            try:
                self._volumes.release(name, entry.hold)
            except SchedulerAway as error:
                log.info("a volume is let go of later", volume=name, because=str(error))
                return False
            except NotThere:
                pass
            self._uses.forget(name, entry.hold)
            return True

    # --- what is to be done anyway

    def look(self) -> None:
        """Let go of what no container uses, whatever has kept us from it."""
        for name, entry in self._uses.all().items():
            if not entry.uses:
                self._release(name)
        for name in self._node.for_containers():
            with self._alone(name):
                if self._uses.find(name) is None:
                    self._release_unknown(name)

    def look_closely(self) -> None:
        """Hear which volumes there are, and end uses that nobody makes any more."""
        for name in self._uses.all():
            with self._alone(name):
                entry = self._uses.find(name)
                if entry is not None and entry.uses:
                    self._end_stale(name, entry)
        with contextlib.suppress(OSError):
            for one in self._folder.iterdir():
                self._tidy(one.name)
        with contextlib.suppress(SchedulerAway):
            self._known.refresh()

    def _tidy(self, name: str) -> None:
        """Take away the folder where a volume was mounted: only what is empty, and no mount."""
        with self._alone(name), contextlib.suppress(OSError):
            if self._uses.find(name) is None:
                (self._folder / name).rmdir()

    def _release_unknown(self, name: str) -> None:
        """It is here for containers of which this node knows nothing: it was moved here, or all is lost that
        was known; and nobody uses it."""
        path = self._node.mounted(name)
        if path is not None and self._node.users(path):
            return
        with contextlib.suppress(SchedulerAway, NotThere):
            seen = self._volumes.find(name)
            if seen.node == self._node.name and seen.hold:
                self._volumes.release(name, seen.hold)

    # --- waiting

    def _wait(
        self, name: str, done: Callable[[VolumeSeen], bool], timeout_s: float, or_away: bool = False
    ) -> VolumeSeen | None:
        """How a volume is once `done` is true of it, or in the end; None if nobody could be asked then.
        `or_away`: that nobody can be asked is an end as well."""
        deadline = self._clock.monotonic() + timeout_s
        pause_s, found = _POLL_S, None
        while True:
            try:
                found = self._volumes.find(name)
            except SchedulerAway:
                found = None
            over = self._clock.monotonic() >= deadline or (found is None and or_away)
            if over or (found is not None and done(found)):
                return found
            self._clock.sleep(pause_s)
            pause_s = min(pause_s * 1.5, _POLL_MOST_S)

    def _ask(self, question: Callable[[], Answer], deadline: float) -> Answer:
        """Again and again while nobody leads; what is asked for may be said twice."""
        while True:
            try:
                return question()
            except SchedulerAway:
                if self._clock.monotonic() >= deadline:
                    raise
            self._clock.sleep(_POLL_MOST_S)

    @contextlib.contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        """While nobody else changes anything about this volume."""
        with self._lock:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            yield


def _why(found: VolumeSeen | None) -> str:
    if found is None:
        return "the scheduler does not answer"
    return found.because or "it is under way"


def _check_name(name: str) -> None:
    """A name is a folder's as well. Raises NotPossible."""
    if (problem := name_problem(name)) is not None:
        raise NotPossible(problem)


def _make_empty(path: Path) -> None:
    """Images are copied into empty volumes, and databases begin in them; e2fsck makes this folder itself."""
    with contextlib.suppress(OSError):
        if [one.name for one in path.iterdir()] == ["lost+found"]:
            (path / "lost+found").rmdir()
