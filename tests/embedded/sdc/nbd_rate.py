"""How fast an NBD export is, with requests under way all the time."""

from __future__ import annotations

import contextlib
import random
import time
from pathlib import Path

from artesian.attach.address import NbdAddress, open_export
from artesian.embedded.sdc.nbd_constants import (
    NBD_CMD_READ,
    NBD_CMD_WRITE,
    NBD_SIMPLE_REPLY_MAGIC,
    SIMPLE_REPLY,
)
from tests.embedded.sdc.nbd_wire import request

WARMING_UP_S = 0.5  # what was not used before is used up then


def nbd_rate(socket: Path, name: str, seconds: float, length: int = 4096, depth: int = 32) -> float:
    """Requests a second, as many reads as writes, after warming up; every answer is a success."""
    chance = random.Random(1)
    connection, export = open_export(NbdAddress(name, socket))
    asked: dict[int, int] = {}
    answered, cookie = 0, 0
    began = time.monotonic() + WARMING_UP_S
    with contextlib.closing(connection), connection.makefile("rb") as replies:
        while (now := time.monotonic()) < began + seconds:
            while len(asked) < depth:
                cookie += 1
                offset = chance.randrange(export.size_bytes // length) * length
                command = NBD_CMD_WRITE if cookie % 2 else NBD_CMD_READ
                asked[cookie] = command
                data = bytes(length) if command == NBD_CMD_WRITE else b""
                connection.sendall(request(command, cookie, offset, length, data=data))
            magic, error, which = SIMPLE_REPLY.unpack(replies.read(SIMPLE_REPLY.size))
            assert (magic, error) == (NBD_SIMPLE_REPLY_MAGIC, 0)
            if asked.pop(int.from_bytes(which, "big")) == NBD_CMD_READ:
                replies.read(length)
            answered += now >= began
    return answered / seconds
