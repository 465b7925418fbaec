"""The bridge between the kernel and an NBD server, with the test in the kernel's place.

The kernel's NBD client is played over a pair of sockets, as it speaks NBD itself.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import random
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from artesian.attach.address import NbdAddress, open_export
from artesian.attach.bridge import bridge as bridges
from artesian.attach.bridge.bridge import Bridge
from artesian.attach.bridge.kernel_front import KernelFront

from ..conftest import MIB, NbdServer

Serve = Callable[..., NbdServer]
READ, WRITE, DISCONNECT, FLUSH, WRITE_ZEROES = 0, 1, 2, 3, 6
REQUEST, REPLY = struct.Struct(">IHHQQI"), struct.Struct(">IIQ")


class Kernel:
    """Sends requests, and collects the answers by their handles."""

    def __init__(self, connection: socket.socket, process_id: int, sizes: int) -> None:
        self._socket = connection
        self._socket.settimeout(20)
        self.process_id = process_id
        self._sizes = sizes
        self._lengths: dict[int, int] = {}

    def send(self, command: int, handle: int, offset: int, length: int, payload: bytes = b"") -> None:
        if command == READ:
            self._lengths[handle] = length
        request = REQUEST.pack(0x25609513, 0, command, handle, offset, length)
        self._socket.sendall(request + payload)

    def receive(self) -> tuple[int, int, bytes]:
        """The next answer: handle, error, data."""
        magic, error, handle = REPLY.unpack(self._exactly(REPLY.size))
        assert magic == 0x67446698
        length = self._lengths.pop(handle, 0)
        return handle, error, self._exactly(length) if not error else b""

    def ask(self, command: int, offset: int = 0, length: int = 0, payload: bytes = b"") -> tuple[int, bytes]:
        self.send(command, 7, offset, length or len(payload), payload)
        handle, error, data = self.receive()
        assert handle == 7
        return error, data

    def next_size(self) -> int:
        """The size that the device was told to take."""
        return int.from_bytes(os.read(self._sizes, 8), "little")

    def _exactly(self, length: int) -> bytes:
        data = bytearray()
        while len(data) < length:
            piece = self._socket.recv(length - len(data))
            assert piece, "the bridge has ended"
            data += piece
        return bytes(data)

    def has_ended(self, timeout_s: float = 10) -> bool:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if os.waitpid(self.process_id, os.WNOHANG) != (0, 0):
                return True
            time.sleep(0.01)
        return False

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process_id, number)

    def send_raw(self, data: bytes) -> None:
        self._socket.sendall(data)

    def hang_up(self) -> None:
        self._socket.close()


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Kernel]]:
    """Start a bridge to an NBD address, in a process of its own."""
    kernels: list[Kernel] = []

    def start(uri: str, read_only: bool = False, denied_timeout_s: float = 60) -> Kernel:
        ours, theirs = socket.socketpair()
        sizes_read, sizes_write = os.pipe()
        process_id = os.fork()
        if process_id == 0:
            try:
                bridges.DENIED_TIMEOUT_S = denied_timeout_s  # type: ignore[misc]
                ours.close()
                address = NbdAddress.parse(uri)
                connection, export = open_export(address)
                front = KernelFront(
                    theirs, lambda size: os.write(sizes_write, size.to_bytes(8, "little")) and None
                )
                Bridge(front, address, connection, export, read_only=read_only).run()
            finally:
                os._exit(0)
        theirs.close()
        kernel = Kernel(ours, process_id, sizes_read)
        kernels.append(kernel)
        assert kernel.ask(READ, 0, 512)[0] == 0, "it is not connected"
        return kernel

    yield start
    for kernel in kernels:
        kernel.hang_up()
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            kernel.signal(signal.SIGKILL)
            os.waitpid(kernel.process_id, 0)


@pytest.mark.parametrize("length", [512, 4096, 65536, 65536 + 4096, MIB, 5 * MIB])
def test_what_is_written_is_read(length: int, serve: Serve, connect: Callable[..., Kernel]) -> None:
    server = serve(16 * MIB)
    kernel = connect(server.uri)
    data = random.Random(length).randbytes(length)
    assert kernel.ask(WRITE, 4096, payload=data) == (0, b"")
    assert kernel.ask(FLUSH) == (0, b"")
    assert kernel.ask(READ, 0, length + 8192) == (0, bytes(4096) + data + bytes(4096))
    assert server.file.read_bytes()[4096 : 4096 + length] == data


def test_many_at_once_are_each_answered_with_their_own(serve: Serve, connect: Callable[..., Kernel]) -> None:
    kernel = connect(serve(16 * MIB).uri)
    handles = random.Random(3).sample(range(1 << 60), 200)
    for number, handle in enumerate(handles):
        kernel.send(WRITE, handle, number * 65536, 20480, number.to_bytes(4, "big") * 5120)
    assert {kernel.receive()[0] for _ in handles} == set(handles)
    for number, handle in enumerate(handles):
        kernel.send(READ, handle, number * 65536, 20480)
    answers = {handle: data for handle, _, data in (kernel.receive() for _ in handles)}
    for number, handle in enumerate(handles):
        assert answers[handle] == number.to_bytes(4, "big") * 5120


def test_requests_may_come_in_pieces(serve: Serve, connect: Callable[..., Kernel]) -> None:
    kernel = connect(serve().uri)
    request = REQUEST.pack(0x25609513, 0, WRITE, 9, 0, 4096) + b"p" * 4096
    for start in range(0, len(request), 700):
        kernel.send_raw(request[start : start + 700])
        time.sleep(0.002)
    assert kernel.receive()[:2] == (9, 0)
    assert kernel.ask(READ, 0, 4096) == (0, b"p" * 4096)


def test_zeroes_are_written_without_data(serve: Serve, connect: Callable[..., Kernel]) -> None:
    server = serve(16 * MIB)
    kernel = connect(server.uri)
    kernel.ask(WRITE, 0, payload=b"x" * MIB)
    assert kernel.ask(WRITE_ZEROES, 4096, 65536) == (0, b"")
    assert server.file.read_bytes()[:131072] == b"x" * 4096 + bytes(65536) + b"x" * 61440


def test_an_error_of_the_server_is_handed_on(serve: Serve, connect: Callable[..., Kernel]) -> None:
    kernel = connect(serve(MIB, read_only=True).uri)
    assert kernel.ask(WRITE, 0, payload=b"x" * 512)[0] == errno.EPERM
    assert kernel.ask(READ, MIB, 512)[0] == errno.EINVAL
    assert kernel.ask(READ, 0, 512) == (0, bytes(512))


def test_everything_waits_for_a_server_that_is_restarted(
    serve: Serve, connect: Callable[..., Kernel]
) -> None:
    server = serve(32 * MIB)
    kernel = connect(server.uri)
    kernel.ask(WRITE, 0, payload=b"before".ljust(512))
    server.kill()
    for handle in range(50):
        kernel.send(WRITE, handle, MIB + 4096 * handle, 4096, bytes([handle]) * 4096)
    kernel.send(READ, 99, 0, 512)
    time.sleep(0.3)
    server.start()
    answers = {handle: (error, data) for handle, error, data in (kernel.receive() for _ in range(51))}
    assert answers.pop(99) == (0, b"before".ljust(512))
    assert answers == dict.fromkeys(range(50), (0, b""))
    image = server.file.read_bytes()
    assert all(image[MIB + 4096 * n : MIB + 4096 * (n + 1)] == bytes([n]) * 4096 for n in range(50))


def test_a_killed_server_loses_no_request_whenever_it_dies(
    serve: Serve, connect: Callable[..., Kernel]
) -> None:
    """Requests are under way all the time while the server is killed and started, again and again."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    server = serve(16 * MIB)
    kernel = connect(server.uri)
    stop = threading.Event()
    content: dict[int, bytes] = {}
    failures: list[object] = []

    def write() -> None:
        try:
            for round_number in itertools.count():
                places = chance.sample(range(256), 16)
                for place in places:
                    content[place] = struct.pack(">II", round_number, place) * 512
                    kernel.send(WRITE, place, place * 65536, 4096, content[place])
                for _ in places:
                    assert kernel.receive()[1] == 0
                if stop.is_set():
                    return
        except BaseException as error:  # noqa: BLE001  told by the test itself
            failures.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    for pause_s in (0.001 * chance.randrange(1, 60) for _ in range(20)):
        time.sleep(pause_s)
        server.kill()
        server.start()
    stop.set()
    writer.join()
    assert failures == []
    for place, expected in content.items():
        assert kernel.ask(READ, place * 65536, 4096) == (0, expected)


def test_an_export_that_stays_away_fails_in_the_end(serve: Serve, connect: Callable[..., Kernel]) -> None:
    server = serve(MIB)
    kernel = connect(server.uri, denied_timeout_s=0.3)
    server.kill()
    server.socket.unlink()
    server.socket.parent.rename(server.socket.parent.with_name("elsewhere"))
    assert kernel.ask(READ, 0, 512)[0] == errno.EIO
    assert kernel.ask(WRITE, 0, payload=b"x" * 512)[0] == errno.EIO
    server.socket.parent.with_name("elsewhere").rename(server.socket.parent)
    server.start()
    deadline = time.monotonic() + 10
    while kernel.ask(READ, 0, 512) != (0, bytes(512)):
        assert time.monotonic() < deadline


def test_a_new_size_is_taken_over(serve: Serve, connect: Callable[..., Kernel]) -> None:
    server = serve(MIB)
    kernel = connect(server.uri)
    assert kernel.ask(READ, 2 * MIB, 512)[0] == errno.EINVAL
    server.grow(4 * MIB)
    kernel.signal(signal.SIGHUP)
    assert kernel.next_size() == 4 * MIB
    assert kernel.ask(READ, 2 * MIB, 512) == (0, bytes(512))


def test_a_volume_that_has_shrunk_is_not_touched(serve: Serve, connect: Callable[..., Kernel]) -> None:
    server = serve(4 * MIB)
    kernel = connect(server.uri)
    server.kill()
    os.truncate(server.file, MIB)
    server.start()
    kernel.send(WRITE, 1, 0, 512, b"x" * 512)
    time.sleep(0.5)
    assert server.file.read_bytes()[:512] == bytes(512)
    server.kill()
    os.truncate(server.file, 4 * MIB)
    server.start()
    assert kernel.receive()[:2] == (1, 0)


def test_sigterm_finishes_what_is_under_way(serve: Serve, connect: Callable[..., Kernel]) -> None:
    server = serve(64 * MIB)
    kernel = connect(server.uri)
    for handle in range(20):
        kernel.send(WRITE, handle, handle * MIB, MIB, bytes([handle + 1]) * MIB)
    assert kernel.receive()[1] == 0  # so all have been taken, or nearly
    kernel.signal(signal.SIGTERM)
    acknowledged = {0}
    with contextlib.suppress(AssertionError, ConnectionError):
        while True:
            handle, error, _ = kernel.receive()
            assert error == 0
            acknowledged.add(handle)
    assert kernel.has_ended()
    image = server.file.read_bytes()
    for handle in acknowledged:
        assert image[handle * MIB : (handle + 1) * MIB] == bytes([handle + 1]) * MIB


@pytest.mark.parametrize(
    "farewell",
    [
        REQUEST.pack(0x25609513, 0, DISCONNECT, 0, 0, 0),
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        REQUEST.pack(0x25609513, 0, WRITE, 0, 0, 0xFFFFFFFF),
    ],
)
def test_it_ends_when_the_kernel_says_so_or_nonsense(
    farewell: bytes, serve: Serve, connect: Callable[..., Kernel]
) -> None:
    kernel = connect(serve().uri)
    kernel.ask(READ, 0, 512)
    kernel.send_raw(farewell)
    assert kernel.has_ended()


def test_it_ends_when_the_kernel_is_gone(serve: Serve, connect: Callable[..., Kernel]) -> None:
    kernel = connect(serve().uri)
    kernel.hang_up()
    assert kernel.has_ended()


GREETING = b"NBDMAGICIHAVEOPT\x00\x03"
OPTION_REPLY = (0x3E889045565A9).to_bytes(8, "big") + (7).to_bytes(4, "big")
EXPORT = OPTION_REPLY + struct.pack(">IIHQH", 3, 12, 0, 16 * MIB, 5) + OPTION_REPLY + struct.pack(">II", 1, 0)


def test_a_server_that_talks_nonsense_is_asked_again(tmp_path: Path, connect: Callable[..., Kernel]) -> None:
    """Wrong magic, an answer to nothing, and half an answer; the first and the last connection are right."""
    path = tmp_path / "nbd.sock"
    nonsense = [b"\0" * 16, REPLY.pack(0x67446698, 0, 424242), REPLY.pack(0x67446698, 0, 7)[:10]]
    connections = 0
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve_strangely() -> None:
            nonlocal connections
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer, contextlib.suppress(OSError):
                    peer.sendall(GREETING)
                    peer.recv(4)
                    peer.recv(4096)
                    peer.sendall(EXPORT)
                    connections += 1
                    while peer.recv(REQUEST.size, socket.MSG_WAITALL):
                        if 1 < connections <= 1 + len(nonsense):
                            peer.sendall(nonsense[connections - 2])
                            break
                        peer.sendall(REPLY.pack(0x67446698, 0, 7) + b"right".ljust(512))
                        if connections == 1:
                            break

        thread = threading.Thread(target=serve_strangely, daemon=True)
        thread.start()
        kernel = connect(f"nbd+unix:///x?socket={path}")
        assert kernel.ask(READ, 0, 512) == (0, b"right".ljust(512))
        assert connections == 5
        listener.shutdown(socket.SHUT_RDWR)
