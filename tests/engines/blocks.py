"""A volume as whoever uses it on a node has it: bytes at offsets, over NBD."""

from __future__ import annotations

import os
import socket
import struct
import time

from artesian.attach.address import NbdAddress, open_export
from artesian.attach.errors import BadAddress

_REQUEST = struct.Struct(">IHHQQI")
_REPLY = struct.Struct(">IIQ")
_REQUEST_MAGIC, _REPLY_MAGIC = 0x25609513, 0x67446698
_READ, _WRITE, _FLUSH = 0, 1, 3
_TRY_AGAIN_S = 0.02


class Blocks:
    """A volume that is open. Whatever goes wrong with a request is an OSError."""

    def __init__(self, connection: socket.socket, size_bytes: int) -> None:
        self._connection = connection
        self._number = 0
        self.size_bytes = size_bytes

    def __enter__(self) -> Blocks:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, offset: int, length: int) -> bytes:
        """What is there."""
        self.ask(_READ, offset, length)
        return self.answer(length)

    def write(self, offset: int, data: bytes) -> None:
        """Returns when the write is acknowledged."""
        self.begin_write(offset, data)
        self.answer()

    def flush(self) -> None:
        """Returns when all acknowledged writes are on stable storage."""
        self.ask(_FLUSH, 0, 0)
        self.answer()

    def write_durably(self, offset: int, data: bytes) -> None:
        self.write(offset, data)
        self.flush()

    def begin_write(self, offset: int, data: bytes) -> None:
        """Ask for it; `answer` tells what became of it."""
        self.ask(_WRITE, offset, len(data), data)

    def ask(self, command: int, offset: int, length: int, payload: bytes = b"") -> None:
        self._number += 1
        header = _REQUEST.pack(_REQUEST_MAGIC, 0, command, self._number, offset, length)
        self._connection.sendall(header + payload)

    def answer(self, length: int = 0) -> bytes:
        """Of the only request that has none yet; with this many bytes if it went well."""
        magic, error, number = _REPLY.unpack(self._receive(_REPLY.size))
        if magic != _REPLY_MAGIC or number != self._number:
            raise ConnectionError("this is no answer to what was asked")
        if error:
            raise OSError(error, os.strerror(error))
        return self._receive(length)

    def _receive(self, length: int) -> bytes:
        data = bytearray()
        while len(data) < length:
            piece = self._connection.recv(length - len(data))
            if not piece:
                raise ConnectionError("the connection was closed")
            data += piece
        return bytes(data)

    def close(self) -> None:
        self._connection.close()


def open_blocks(uri: str, within_s: float, answer_s: float = 30.0) -> Blocks:
    """Open a volume that is offered by then. Raises BadAddress if it is not."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            connection, export = open_export(NbdAddress.parse(uri))
        except BadAddress:
            if time.monotonic() > deadline:
                raise
            time.sleep(_TRY_AGAIN_S)
            continue
        connection.settimeout(answer_s)
        return Blocks(connection, export.size_bytes)
