"""An event loop for simulations: virtual time, a network in memory, processes that can be killed.

The product's own code runs on it unchanged. Time passes only when nothing is left to do, so a minute of
cluster life takes as long as its work does. Everything is decided by one seed: latencies, and the order in
which things that are due at the same moment happen.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
import random
from collections.abc import Callable
from typing import Any

PROCESS: contextvars.ContextVar[SimulatedProcess | None] = contextvars.ContextVar("process", default=None)


class SimulatedProcess:
    """A group of tasks and connections that die together, as with kill -9."""

    def __init__(self, loop: SimulatedLoop, name: str) -> None:
        self.name = name
        self.alive = True
        self._loop = loop
        self.transports: dict[MemoryTransport, None] = {}
        self.listeners: set[tuple[str, int]] = set()

    def run(self, work: Any) -> asyncio.Task[Any]:
        """Start a coroutine inside this process."""
        context = contextvars.copy_context()
        context.run(PROCESS.set, self)
        return self._loop.create_task(work, context=context)

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a plain function inside this process."""
        context = contextvars.copy_context()
        context.run(PROCESS.set, self)
        return context.run(function, *args)

    def kill(self) -> None:
        """kill -9: nothing of this process runs any more; its peers see their connections break."""
        self.alive = False
        for address in self.listeners:
            self._loop.listening.pop(address, None)
        for transport in list(self.transports):
            transport.die()


class SimulatedLoop(asyncio.SelectorEventLoop):
    """See the module's docstring."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random = random.Random(seed)
        self._now = 0.0
        self.listening: dict[tuple[str, int], Callable[[], Any]] = {}
        self.blocked: set[frozenset[str]] = set()  # pairs of processes that cannot reach each other
        self._order = itertools.count()
        self.steps = 0

    def _check_closed(self) -> None:
        """What is collected after the end may still try to schedule something; nothing comes of it."""

    # --- time

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:  # the one place where asyncio waits
        if not self._ready:  # type: ignore[attr-defined]
            scheduled = self._scheduled  # type: ignore[attr-defined]
            while scheduled and scheduled[0]._cancelled:
                self._timer_cancelled_count -= 1  # type: ignore[attr-defined]
                handle = heapq.heappop(scheduled)
                handle._scheduled = False
            if not scheduled:
                raise RuntimeError("the simulation has nothing left to do")
            self._now = max(self._now, scheduled[0].when())
        self.steps += 1
        super()._run_once()  # type: ignore[misc]

    # --- processes

    def _guard(self, callback: Callable[..., Any], context: contextvars.Context | None) -> Callable[..., Any]:
        process = context.get(PROCESS) if context is not None else PROCESS.get()
        if process is None:
            return callback

        def guarded(*args: Any) -> None:
            if process.alive:
                callback(*args)

        return guarded

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:
        return super().call_soon(self._guard(callback, context), *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
        return super().call_at(when, self._guard(callback, context), *args, context=context)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]
        """Threads are simulated: the work is done later, in one piece."""
        future = self.create_future()

        def work() -> None:
            if future.cancelled():
                return
            try:
                result = func(*args)
            except BaseException as error:  # noqa: BLE001 - handed on to whoever waits
                if not future.cancelled():
                    future.set_exception(error)
            else:
                if not future.cancelled():
                    future.set_result(result)

        self.call_later(self.random.uniform(0.0001, 0.003), work)
        return future

    # --- the network

    async def create_server(self, factory: Any, host: Any = None, port: Any = None, **kwargs: Any) -> Any:  # type: ignore[override]
        address = (host, port)
        if address in self.listening:
            raise OSError(98, f"address {address} in use")
        process = PROCESS.get()

        def make() -> Any:
            return (process.call(factory) if process is not None else factory()), process

        self.listening[address] = make
        if process is not None:
            process.listeners.add(address)
        return MemoryServer(self, address)

    async def create_unix_server(self, factory: Any, path: Any = None, **kwargs: Any) -> Any:  # type: ignore[override]
        return await self.create_server(factory, str(path), 0)

    async def create_connection(self, factory: Any, host: Any = None, port: Any = None, **kwargs: Any) -> Any:  # type: ignore[override]
        await asyncio.sleep(self.random.uniform(0.0001, 0.001))
        make = self.listening.get((host, port))
        if make is None:
            raise ConnectionRefusedError(111, f"nobody listens on {host}:{port}")
        there, owner = make()
        me = PROCESS.get()
        if me is not None and owner is not None and frozenset((me.name, owner.name)) in self.blocked:
            await asyncio.sleep(3600)
        here = factory()
        near, far = MemoryTransport(self, here, me), MemoryTransport(self, there, owner)
        near.peer, far.peer = far, near
        far.in_context(there.connection_made, far)
        near.in_context(here.connection_made, near)
        return near, here


class MemoryServer:
    """What create_server returns."""

    def __init__(self, loop: SimulatedLoop, address: tuple[str, int]) -> None:
        self._loop = loop
        self._address = address

    def close(self) -> None:
        self._loop.listening.pop(self._address, None)

    async def wait_closed(self) -> None:
        return None


class MemoryTransport(asyncio.Transport):
    """One end of a connection: bytes arrive in order, in pieces, after a while."""

    def __init__(self, loop: SimulatedLoop, protocol: Any, process: SimulatedProcess | None) -> None:
        super().__init__()
        self._loop = loop
        self._protocol = protocol
        self.process = process
        self.peer: MemoryTransport
        self._closing = False
        self._closed = False
        self._arrives_at = 0.0
        if process is not None:
            process.transports[self] = None

    def in_context(self, function: Callable[..., Any], *args: Any) -> None:
        """Run something of this end's protocol inside its process."""
        if self.process is None:
            function(*args)
        elif self.process.alive:
            self.process.call(function, *args)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("simulated", 0) if name in ("peername", "sockname") else default

    def is_closing(self) -> bool:
        return self._closing

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: Any) -> None:
        if self._closing or not len(data):
            return
        self._deliver(bytes(data))

    def writelines(self, parts: Any) -> None:
        if not self._closing:
            self._deliver(b"".join(bytes(part) for part in parts))

    def _deliver(self, data: bytes) -> None:
        """In order: what is sent later never arrives earlier."""
        loop = self._loop
        process = self.process
        if process is not None and self.peer.process is not None:
            pair = frozenset((process.name, self.peer.process.name))
            if pair in loop.blocked:
                return  # a cable that was cut: the sender learns of it by silence only
        self._arrives_at = max(self._arrives_at + 1e-9, loop.time() + loop.random.uniform(0.00005, 0.002))
        asyncio.SelectorEventLoop.call_at(loop, self._arrives_at, self.peer.receive, data)

    def receive(self, data: bytes) -> None:
        """Hand bytes to the protocol, cut into pieces as a socket would."""
        if self._closed:
            return
        if self.process is not None and not self.process.alive:
            return
        self.in_context(self._hand_over, data)

    def _hand_over(self, data: bytes) -> None:
        protocol = self._protocol
        if not isinstance(protocol, asyncio.BufferedProtocol):
            protocol.data_received(data)
            return
        view = memoryview(data)
        while view and not self._closed:
            buffer = protocol.get_buffer(-1)
            count = min(len(buffer), len(view), self._loop.random.choice((100, 5000, 1 << 20)))
            buffer[:count] = view[:count]
            view = view[count:]
            protocol.buffer_updated(count)

    def close(self) -> None:
        self._end(0.002)

    def abort(self) -> None:
        self._end(0.0)

    def _end(self, delay_s: float) -> None:
        if self._closing:
            return
        self._closing = True
        when = max(self._arrives_at, self._loop.time() + delay_s)
        asyncio.SelectorEventLoop.call_at(self._loop, when + 1e-9, self.peer.lost)
        asyncio.SelectorEventLoop.call_soon(self._loop, self.lost)

    def die(self) -> None:
        """The process was killed: the other end sees the connection break, this end sees nothing."""
        self._closing = self._closed = True
        when = max(self._arrives_at, self._loop.time() + 0.001)
        asyncio.SelectorEventLoop.call_at(self._loop, when + 1e-9, self.peer.lost)

    def lost(self) -> None:
        """The connection is over."""
        if self._closed:
            return
        self._closing = self._closed = True
        if self.process is not None:
            self.process.transports.pop(self, None)
        self.in_context(self._protocol.connection_lost, None)
