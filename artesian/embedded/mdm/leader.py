"""A manager's work while it leads: it knows who is there, tells them what to do, and heals.

Made anew whenever the manager begins to lead; nothing of it outlives that. Everything that must last is in
the replicated state.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any

import structlog

from artesian.embedded.config import MdmConfig
from artesian.embedded.control import Connection
from artesian.embedded.errors import CommandRefused, EngineError, NotLeader
from artesian.embedded.healing import HealingPolicy, decide
from artesian.embedded.mdm.duties import Command, absent_device_ids, commands_for_reports
from artesian.embedded.mdm.identity import raft_address, raft_addresses
from artesian.embedded.mdm.machine import EngineMachine
from artesian.embedded.mdm.observation import Observation
from artesian.embedded.mdm.raft import OutcomeUnknown, Raft
from artesian.embedded.mdm.sessions import ClientSession, ServerSession, Sessions
from artesian.embedded.state.live import Live, ManagerLive
from artesian.embedded.state.model import Lifecycle, State

log = structlog.get_logger()

STEP_S = 0.2
SHORTEST_STEP_S = 0.05
TELL_S = 0.02  # changes within it are told together
TELL_SHARE = 5  # and telling takes no more than one part in so many of our time
EARLIER_S = 1.0


class Leader:
    """The lead of one manager, from `start` to `stop`."""

    def __init__(self, config: MdmConfig, raft: Raft, machine: EngineMachine) -> None:
        self.observation = Observation(_now_s())
        self.sessions = Sessions()
        self.raft = raft
        self.config = config
        self._machine = machine
        self._policy = HealingPolicy(rebuild_after_s=config.rebuild_after_s)
        self._seen: deque[Live] = deque()
        self._allocating: dict[str, tuple[int, int]] = {}  # by volume: size, and the version that told it
        self._because: list[str] = []
        self._warnings: list[str] = []
        self._step_wanted = asyncio.Event()
        self._telling_wanted = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        create = asyncio.get_running_loop().create_task
        self._tasks = [create(self._step_for_ever()), create(self._tell_for_ever())]

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    @property
    def state(self) -> State:
        return self._machine.state

    def live(self) -> Live:
        """What is seen now."""
        connected = self.raft.connected
        managers = {
            manager.id: ManagerLive(address in connected, address == raft_address(self.config))
            for manager in self.state.managers.values()
            for address in [raft_address(manager)]
        }
        return self.observation.live(self.state, managers, _now_s())

    # --- who is there

    def server_appeared(self, session: ServerSession) -> None:
        self.sessions.add_server(session)
        self._recognize(session)

    def client_appeared(self, session: ClientSession, process_id: int) -> None:
        self.sessions.add_client(session)
        self.observation.client_connected(session.client_id, process_id, _now_s())
        self.tell()

    def lost(self, connection: Connection) -> None:
        """A connection has ended."""
        server = self.sessions.servers.pop(connection, None)
        if server is not None and server.server_id is not None:
            log.info("server.lost", server_id=server.server_id, ip=server.ip, port=server.port)
            self.observation.server_lost(server.server_id, _now_s())
            self.step()
        client = self.sessions.clients.pop(connection, None)
        if client is not None:
            self.observation.client_lost(client.client_id, _now_s())

    def reported(self, connection: Connection, body: dict[str, Any]) -> None:
        """A server's report. Raises ValueError, TypeError or KeyError when it is malformed."""
        session = self.sessions.servers.get(connection)
        if session is None or session.server_id is None or body.get("server_id") != session.server_id:
            return
        if self.observation.server_report(session.server_id, body, _now_s()):
            self.step()

    def client_reported(self, connection: Connection, body: dict[str, Any]) -> None:
        """A client's report. Raises ValueError, TypeError or KeyError when it is malformed."""
        session = self.sessions.clients.get(connection)
        if session is not None:
            session.acknowledged = max(session.acknowledged, int(body["version"]))
            self.observation.client_report(session.client_id, body)

    def _recognize(self, session: ServerSession) -> None:
        """Find out which server this is, which may change when servers are added or removed."""
        server_id = session.matches(self.state)
        if server_id == session.server_id:
            return
        if session.server_id is not None:
            self.observation.server_lost(session.server_id, _now_s())
        session.server_id, session.sent_version = server_id, -1
        if server_id is not None:
            log.info("server.found", server_id=server_id, ip=session.ip, port=session.port)
            self.observation.server_connected(server_id, session.process_id, _now_s())
        self.tell()
        self.step()

    # --- telling them

    def changed(self) -> None:
        """The state has changed."""
        for session in self.sessions.servers.values():
            self._recognize(session)
        self.tell()
        self.step()

    def tell(self) -> None:
        """Tell everybody what is new, soon."""
        self._telling_wanted.set()

    def tell_servers_now(self) -> None:
        """For what a client is about to rely on: its writes wait until the servers know."""
        self.sessions.tell_servers(self.state)

    async def _tell_for_ever(self) -> None:
        while True:
            await self._telling_wanted.wait()
            await asyncio.sleep(TELL_S)
            self._telling_wanted.clear()
            began_s = time.perf_counter()
            try:
                self.sessions.tell_servers(self.state)
                self.sessions.tell_clients(self.state)
            except Exception:
                log.exception("leader.telling_failed")
            await asyncio.sleep(TELL_SHARE * (time.perf_counter() - began_s))
            if self.sessions.behind(self.state):
                self.tell()

    # --- duties

    def step(self) -> None:
        """Look at what is to be done, soon."""
        self._step_wanted.set()

    async def _step_for_ever(self) -> None:
        while True:
            try:
                await self._step()
            except (NotLeader, OutcomeUnknown):
                return
            except Exception:
                log.exception("leader.step_failed")
            await asyncio.sleep(SHORTEST_STEP_S)
            try:
                async with asyncio.timeout(STEP_S - SHORTEST_STEP_S):
                    await self._step_wanted.wait()
            except TimeoutError:
                pass
            self._step_wanted.clear()

    async def _step(self) -> None:
        if self.config.role == "TieBreaker":
            self._hand_over()
        if not self.state.system_id:
            return
        live = self.live()
        self._remember(live)
        self._notice_allocations()
        allocating = {id: version for id, (_, version) in self._allocating.items()}
        commands = commands_for_reports(self.state, live, allocating)
        for name, args in commands:
            if name == "device_refused":
                self.observation.device_refused(
                    args["device_id"], live.devices[args["device_id"]], live.now_s
                )
        absent = absent_device_ids(self.state, live)
        if absent:
            commands.append(("mark_stale", {"device_ids": absent, "reason": "their server is away"}))
        await self._carry_out(commands)
        await self._heal()

    async def _heal(self) -> None:
        decision = decide(self.state, self.live(), self._policy, self._earlier())
        if decision.because != self._because:
            self._because = decision.because
            for reason in decision.because:
                log.info("healing.step", because=reason)
        if decision.warnings != self._warnings:
            self._warnings = decision.warnings
            for warning in decision.warnings:
                log.warning("healing.warning", warning=warning)
        await self._carry_out(decision.commands)

    async def _carry_out(self, commands: list[Command]) -> None:
        """All of them in this order, and together, so that they share the disks' syncs."""
        if not commands:
            return
        outcomes = await asyncio.gather(
            *(self.raft.propose(name, args) for name, args in commands), return_exceptions=True
        )
        for (name, args), outcome in zip(commands, outcomes, strict=True):
            if isinstance(outcome, CommandRefused):
                log.warning(
                    "leader.command_refused", command=name, args=str(args)[:500], because=str(outcome)
                )
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                log.debug("leader.command", command=name, args=str(args)[:500])

    def _remember(self, live: Live) -> None:
        self._seen.append(live)
        while len(self._seen) > 1 and self._seen[1].now_s <= live.now_s - EARLIER_S:
            self._seen.popleft()

    def _earlier(self) -> Live | None:
        """What was seen a second ago or more."""
        first = self._seen[0] if self._seen else None
        return first if first is not None and first.now_s <= _now_s() - EARLIER_S else None

    def _notice_allocations(self) -> None:
        """From which version on the servers know the size of each thick volume that is being allocated."""
        growing = {
            volume.id: volume.size_bytes
            for volume in self.state.volumes.values()
            if volume.lifecycle is Lifecycle.ADDING
        }
        self._allocating = {
            id: self._allocating[id]
            if self._allocating.get(id, (0, 0))[0] == size_bytes
            else (size_bytes, self.state.version)
            for id, size_bytes in growing.items()
        }

    def _hand_over(self) -> None:
        """A tiebreaker leads only until a manager can."""
        if self.state.managers:
            self.raft.hand_over(raft_addresses(self.state.managers.values(), "Manager"))
        else:
            self.raft.hand_over(raft_addresses(self.config.peers, "Manager"))

    def require_engine(self) -> None:
        """Raises EngineError while there is no engine yet."""
        if not self.state.system_id:
            raise EngineError("this engine has not been bootstrapped yet")


def _now_s() -> float:
    return asyncio.get_running_loop().time()
