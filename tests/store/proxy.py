"""A TCP proxy that loses answers, holds questions back, or lets nothing through."""

from __future__ import annotations

import contextlib
import socket
import threading
import time


class Proxy:
    """Between a store and its server."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._cut = False
        self._closed = False
        self._losing = threading.Event()
        self.lost = threading.Event()  # an answer was
        self._open = threading.Event()
        self._open.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_next_answer(self) -> None:
        """The next thing that the server says ends the connection instead."""
        self.lost.clear()
        self._losing.set()

    def hold(self) -> None:
        """What is asked arrives later."""
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    def cut(self) -> None:
        """All connections end, and there are no new ones."""
        self._cut = True
        self._end_all()

    def mend(self) -> None:
        self._cut = False

    def close(self) -> None:
        self._closed = True
        self.release()
        self._listening.close()
        self._end_all()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listening.accept()
                if self._cut:
                    client.close()
                    continue
                server = socket.create_connection(self._target)
            except OSError:
                continue
            self._pairs.append((client, server))
            threading.Thread(target=self._ask, args=(client, server), daemon=True).start()
            threading.Thread(target=self._answer, args=(server, client), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 16):
                self._open.wait()
                server.sendall(data)
        if not self._open.is_set():  # what was asked before it was let go of arrives all the same
            self._open.wait()
            time.sleep(0.2)
        _end(server, client)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 16):
                if self._losing.is_set():
                    self._losing.clear()
                    self.lost.set()
                    break
                client.sendall(data)
        _end(server, client)

    def _end_all(self) -> None:
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            _end(*pair)


def _end(*connections: socket.socket) -> None:
    for one in connections:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
