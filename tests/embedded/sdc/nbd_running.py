"""An NBD server that runs in a thread of its own, for clients that block."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from artesian.embedded.sdc.nbd import Export, NbdServer
from artesian.embedded.sdc.nbd_constants import EXPORT_NAME_REPLY, GREETING, OPTION_REPLY
from tests.embedded.sdc.nbd_wire import Answer, Answers, handshake, request

Result = TypeVar("Result")


class RunningServer:
    """The server, its exports (change them inside of `call`) and its socket."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.exports: dict[str, Export] = {}
        self.loop = uvloop.new_event_loop()
        self.server = NbdServer(lambda name: self.exports.get(name), lambda: list(self.exports))

    def uri(self, name: str) -> str:
        return f"nbd+unix:///{name}?socket={self.path}"

    def call(self, function: Callable[..., Result], *args: Any) -> Result:
        """Run a function in the server's thread."""
        done: Future[Result] = Future()

        def work() -> None:
            try:
                done.set_result(function(*args))
            except BaseException as error:  # noqa: BLE001
                done.set_exception(error)

        self.loop.call_soon_threadsafe(work)
        return done.result(10)

    def wait(self, coroutine: Any) -> Any:
        """Run a coroutine there."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)


@contextlib.contextmanager
def running_server(path: Path, *exports: Export) -> Iterator[RunningServer]:
    """Serves until the end of the block."""
    running = RunningServer(path)
    running.exports.update({export.name: export for export in exports})
    thread = threading.Thread(target=running.loop.run_forever)
    thread.start()
    try:
        running.wait(running.server.start(path))
        yield running
    finally:
        running.wait(running.server.stop(grace_s=0.2))
        running.loop.call_soon_threadsafe(running.loop.stop)
        thread.join()
        running.loop.close()


class BlockingClient:
    """A client on a real socket that does one thing after the other."""

    def __init__(self, path: Path, name: str, *, structured: bool = True) -> None:
        self.answers = Answers(structured=structured)
        self._cookie = 0
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(str(path))
        self.socket.sendall(handshake(name, structured=structured, contexts=False, go=False))
        remaining = GREETING.size + (OPTION_REPLY.size if structured else 0) + EXPORT_NAME_REPLY.size
        while remaining:
            remaining -= len(self._receive(remaining))

    def _receive(self, most: int = 1 << 20) -> bytes:
        data = self.socket.recv(most)
        if not data:
            raise ConnectionError("the server closed the connection")
        return data

    def send(self, command: int, offset: int = 0, length: int = 0, flags: int = 0, data: bytes = b"") -> int:
        self._cookie += 1
        message = request(command, self._cookie, offset, length, flags, data)
        self.socket.sendall(self.answers.expect(message))
        return self._cookie

    def answer(self, number: int) -> Answer:
        while number not in self.answers.finished:
            self.answers.take(self._receive(), whole=False)
        return self.answers.finished[number]

    def ask(
        self, command: int, offset: int = 0, length: int = 0, flags: int = 0, data: bytes = b""
    ) -> Answer:
        return self.answer(self.send(command, offset, length, flags, data))

    def is_closed_by_server(self) -> bool:
        try:
            return not self.socket.recv(1)
        except ConnectionError:
            return True

    def close(self) -> None:
        self.socket.close()
