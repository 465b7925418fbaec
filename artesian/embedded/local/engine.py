"""An engine on this machine as a whole: up, down, and its processes one by one."""

from __future__ import annotations

import contextlib
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from artesian.embedded.config import read_secret
from artesian.embedded.errors import CommandRefused, EngineError, ManagersUnavailable
from artesian.embedded.local import description as descriptions
from artesian.embedded.local import planning, starter
from artesian.embedded.local.description import EngineDescription
from artesian.embedded.local.errors import InTheWay, NotRunning, TookTooLong
from artesian.embedded.local.layout import USER, Layout, ProcessPlace, Role, locked, write_files
from artesian.embedded.local.planning import Wish
from artesian.host import processes
from artesian.host.files import rotate_log
from artesian.host.logs import last_line
from artesian.host.processes import ProcessIdentity

if TYPE_CHECKING:
    from artesian.embedded.local.rest import Gateway

READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
_POLL_S = 0.02
_ANSWER_S = 1.0
_SETTLE_S = 0.5
_STOP_ORDER = (Role.SDC, Role.SDS, Role.GATEWAY, Role.MDM)

Progress = Callable[[str], None]
"""Told what is being done, in a few words."""


@dataclass(frozen=True, slots=True)
class Started:
    """What `up` has done. `seconds` until everything was ready."""

    made: bool
    extended: bool
    started: tuple[str, ...]
    seconds: float


class LocalEngine:
    """The engine in one folder. Raises EngineError and its kinds (`errors.py` here) throughout."""

    def __init__(self, folder: Path) -> None:
        """Raises NotThere if there is none."""
        self.layout = Layout(folder)
        self.description: EngineDescription = descriptions.load(self.layout.folder)

    @property
    def folder(self) -> Path:
        return self.layout.folder

    @property
    def secret(self) -> bytes:
        return read_secret(self.layout.secret)

    def gateway(self) -> Gateway:
        """A session with the gateway as the administrator; open it with `with`."""
        from artesian.embedded.local.rest import Gateway  # slow to load, and not always needed

        certificate = self.layout.certificates / "gateway.crt"
        return Gateway(self.description.gateway_url, USER, self.layout.read_password(), certificate)

    def save(self) -> None:
        descriptions.save(self.folder, self.description)

    def changing(self) -> contextlib.AbstractContextManager[None]:
        """Hold this while changing the engine's folder or processes; the description is read anew."""
        return self._changing()

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        with locked(self.folder):
            self.description = descriptions.load(self.folder)
            yield

    # --- processes

    def places(self, node: int | None = None, roles: Iterable[Role] = tuple(Role)) -> list[ProcessPlace]:
        """The engine's processes; those of a node if one is named. Raises NotThere."""
        if node is not None:
            self.description.node(node)
        wanted = set(roles)
        return [
            place
            for place in self.layout.processes(self.description)
            if place.role in wanted and (node is None or place.node == node)
        ]

    def running(self, place: ProcessPlace) -> ProcessIdentity | None:
        return processes.running(place.pid_file)

    def start(self, places: Iterable[ProcessPlace]) -> list[str]:
        """Start those that are not running; their names. They may not be ready yet."""
        missing = [place for place in places if self.running(place) is None]
        if missing:
            for place in missing:
                rotate_log(place.log)
            starter.start(missing)
        return [place.name for place in missing]

    def stop(self, places: Iterable[ProcessPlace], timeout_s: float = STOP_TIMEOUT_S) -> list[str]:
        """End processes cleanly; the names of those that were running."""
        found = [(place, self.running(place)) for place in places]
        alive = {place: identity for place, identity in found if identity is not None}
        processes.stop(list(alive.values()), timeout_s)
        for place in alive:
            place.pid_file.unlink(missing_ok=True)
        return [place.name for place in alive]

    def kill(self, places: Iterable[ProcessPlace]) -> list[str]:
        """End processes as a crash does; the names of those that were running."""
        killed = []
        for place in places:
            identity = self.running(place)
            if identity is not None and processes.send(identity, signal.SIGKILL):
                processes.wait_until_ended([identity], 10.0)
                killed.append(place.name)
        return killed

    def check_alive(self, names: Iterable[str]) -> None:
        """Raises NotRunning, with its last words, if one of these has ended."""
        wanted = set(names)
        for place in self.layout.processes(self.description):
            if place.name in wanted and self.running(place) is None:
                raise NotRunning(f"{place.name} ended at once: {last_line(place.log)} (log: {place.log})")

    def settle(self, names: Iterable[str]) -> None:
        """See to it that processes that were just started do not end at once. Raises NotRunning."""
        names = list(names)
        deadline = time.monotonic() + _SETTLE_S
        while names and time.monotonic() < deadline:
            self.check_alive(names)
            time.sleep(_POLL_S)

    # --- down

    def down(self, progress: Progress) -> list[str]:
        """End everything, clients first, managers last; the names of those that were running."""
        ended = []
        for role in _STOP_ORDER:
            progress(f"stopping {role} …")
            ended += self.stop(self.places(roles=[role]))
        return ended

    def destroy(self) -> bool:
        """Remove everything that is the engine's from its folder; whether the folder itself is gone too.

        Raises InTheWay while a process runs.
        """
        alive = [place.name for place in self.places() if self.running(place) is not None]
        if alive:
            raise InTheWay(f"{', '.join(alive)} {'is' if len(alive) == 1 else 'are'} still running")
        for node in self.description.nodes:
            shutil.rmtree(self.layout.node(node.number), ignore_errors=True)
        for path in (self.layout.run, self.layout.logs, self.layout.certificates):
            shutil.rmtree(path, ignore_errors=True)
        for path in (
            self.layout.secret,
            self.layout.password,
            self.folder / "gateway.yaml",
            self.folder / descriptions.FILE_NAME,
            self.folder / "lock",
        ):
            path.unlink(missing_ok=True)
        try:
            self.folder.rmdir()
        except OSError:
            return False  # somebody else's files are in it
        return True


def up(folder: Path, wish: Wish, progress: Progress) -> tuple[LocalEngine, Started]:
    """Make the engine if there is none, add what is asked for beyond what is there, start what is not
    running, and wait until it is ready. Raises EngineError and its kinds; whatever was started goes on."""
    began = time.monotonic()
    folder = folder.absolute()
    made = _prepare(folder, wish)
    engine = LocalEngine(folder)
    with engine.changing():
        extended = planning.extend(engine.description, wish, folder)
        if extended:
            engine.save()
        write_files(engine.layout, engine.description)
        progress("starting processes …")
        places = engine.places()
        missing = [place.name for place in places if engine.running(place) is None]
        with ThreadPoolExecutor(1) as pool:
            starting = pool.submit(engine.start, places)  # meanwhile, what we need ourselves is loaded

            def check() -> None:
                if starting.done():
                    engine.check_alive(starting.result())

            make_ready(engine, progress, check)
            engine.check_alive(starting.result())  # one that is missing may not be noticed otherwise
            _wait_until_connected(engine, check, progress)
    return engine, Started(made, extended, tuple(missing), time.monotonic() - began)


def make_ready(engine: LocalEngine, progress: Progress, check: Callable[[], object] = lambda: None) -> None:
    """Wait until managers and gateway answer, and tell the engine of whatever it does not have yet.

    `check` raises what makes further waiting useless.
    """
    description = engine.description
    deadline = time.monotonic() + READY_TIMEOUT_S
    if not description.bootstrapped:
        progress("waiting for the managers …")
        _bootstrap(engine, check, deadline)
        description.bootstrapped = True
        engine.save()
    from artesian.embedded.local import topology  # slow to load, and not always needed

    progress("waiting for the gateway …")
    gateway = engine.gateway()
    gateway.wait_until_ready(READY_TIMEOUT_S, check)
    if not topology.is_complete(description):
        progress("adding nodes and disks …")
        try:
            topology.ensure(gateway, engine.layout, description)
        finally:
            engine.save()


def _prepare(folder: Path, wish: Wish) -> bool:
    """Write the description of a new engine, if there is none; whether there was none."""
    if (folder / descriptions.FILE_NAME).exists():
        return False
    try:
        if folder.exists() and any(entry.name != "lock" for entry in folder.iterdir()):
            raise InTheWay(f"{folder} is not empty, and there is no engine in it")
        planning.check(wish, folder)
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            descriptions.save(folder, planning.make(wish, folder))
    except OSError as error:
        raise EngineError(f"{folder}: {error.strerror}") from None
    return True


def _bootstrap(engine: LocalEngine, check: Callable[[], object], deadline: float) -> None:
    """The same system id every time: a second attempt changes nothing."""
    from artesian.embedded.gateway.passwords import hash_password  # not always needed
    from artesian.embedded.local import managers

    body = {
        "name": engine.description.name,
        "user_name": USER,
        "password_hash": hash_password(engine.layout.read_password()),
        "system_id": engine.description.system_id,
    }
    while True:
        try:
            managers.ask(engine.description.manager_addresses, engine.secret, "bootstrap", body, 0.5)
            return
        except ManagersUnavailable:
            check()
            if time.monotonic() > deadline:
                raise TookTooLong("the managers have not elected a leader") from None
        except CommandRefused as error:
            raise InTheWay(f"the managers hold another engine: {error}") from None


def _wait_until_connected(engine: LocalEngine, check: Callable[[], object], progress: Progress) -> None:
    """Until the managers have heard of every client, server and device. Raises TookTooLong."""
    from artesian.embedded.local import managers, readiness  # slow to load, and not always needed

    progress("waiting for clients, servers and disks …")
    deadline = time.monotonic() + READY_TIMEOUT_S
    missing = ["the managers"]
    while missing:
        if time.monotonic() > deadline:
            raise TookTooLong(f"not ready within {READY_TIMEOUT_S:g} s: {', '.join(missing)}")
        check()
        with contextlib.suppress(ManagersUnavailable):  # another election may be under way
            state, live = managers.query(engine.description.manager_addresses, engine.secret, _ANSWER_S)
            missing = readiness.awaited(engine.description, state, live)
        if missing:
            time.sleep(_POLL_S)
