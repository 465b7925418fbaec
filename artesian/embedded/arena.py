"""Memory that a client shares with the servers on its machine, so that large payloads need no socket.

A payload that goes through a Unix socket is copied twice for each server; for transfers of 1 MiB that was a
third of all work. A client has two kinds of arenas: one for what is to be written, which servers can only
read, and one for each connection, into which that server puts what was read. The second dies with the
connection: a server that hangs and goes on later writes to memory that nobody looks at any more.

An arena is a memfd of a fixed size: sealed, so that no side can make the other fault by cutting it short. A
server opens it through the client's entry in /proc, which the kernel allows to the same user only, and which
needs no descriptor to be passed.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import socket
import struct
import sys
from typing import Self

from artesian.embedded.buffers import BufferPool

SLOT_BYTES = 1 << 20
MAX_ARENA_BYTES = 256 << 20
POINTER = struct.Struct("<Q")  # where in the arena a payload begins
OFFER = struct.Struct("<IQIQ")  # descriptor and size of the arena for writes, then of the one for answers
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
_PEER = struct.Struct("<iII")  # struct ucred


class Slot(mmap.mmap):
    """One slot of an arena; `pointer` is what a request carries."""

    pointer: bytes


class Arena:
    """The owner's side: hands out views of slots that nobody looks at.

    As with `BufferPool`, there is no way to give a slot back too early: every view of a slot holds a
    reference to it, and so Python's own count says whether one is left.
    """

    def __init__(self, slots: int) -> None:
        """Raises OSError where the system has no such memory."""
        self.size_bytes = slots * SLOT_BYTES
        self.descriptor = os.memfd_create("artesian-arena", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.descriptor, self.size_bytes)
        fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, _SEALS)
        self._slots = [self._map(number * SLOT_BYTES) for number in range(slots)]
        self._unused = sys.getrefcount(self._slots[0])

    def _map(self, offset: int) -> Slot:
        slot = Slot(self.descriptor, SLOT_BYTES, offset=offset)
        slot.pointer = POINTER.pack(offset)
        return slot

    def take(self, length: int) -> memoryview | None:
        """A view of any content from the beginning of a slot; None when none is free, or it is too long."""
        if length <= SLOT_BYTES:
            slots = self._slots
            for number in range(len(slots)):
                if sys.getrefcount(slots[number]) == self._unused:
                    return memoryview(slots[number])[:length]
        return None

    def close(self) -> None:
        """Memory goes when the last view of it does."""
        os.close(self.descriptor)
        self._slots = []


def pointer_of(view: object) -> bytes | None:
    """Where a view that `Arena.take` gave lies in its arena; None for any other buffer."""
    owner = view.obj if type(view) is memoryview else None
    return owner.pointer if type(owner) is Slot else None


class PayloadPool:
    """Buffers for payloads: out of an arena as long as there is room, then out of ordinary memory."""

    def __init__(self, arena: Arena, rest: BufferPool) -> None:
        self._arena = arena
        self._rest = rest

    def take(self, length: int) -> memoryview:
        """A writable view of `length` bytes of any content; length must be positive."""
        return self._arena.take(length) or self._rest.take(length)


class SharedMemory:
    """A server's side: a client's two arenas."""

    def __init__(self, payloads: memoryview, answers: memoryview) -> None:
        self._payloads = payloads
        self._answers = answers

    @classmethod
    def open(cls, connection: socket.socket, offer: bytes) -> Self:
        """What the process at the other end of a Unix socket offers.

        Raises OSError when it cannot be had, ValueError when it is not what an arena has to be.
        """
        if connection.family != socket.AF_UNIX or len(offer) != OFFER.size:
            raise ValueError("memory can be shared over a Unix socket only")
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
        process_id = _PEER.unpack(credentials)[0]
        payloads, payloads_bytes, answers, answers_bytes = OFFER.unpack(offer)
        return cls(
            _open(process_id, payloads, payloads_bytes, writable=False),
            _open(process_id, answers, answers_bytes, writable=True),
        )

    def payload(self, pointer: memoryview, length: int) -> memoryview | None:
        """What a client wants to have written; None when that is not within the arena."""
        return _part(self._payloads, pointer, length)

    def answer(self, pointer: memoryview, length: int) -> memoryview | None:
        """Where a client wants to have an answer; None when that is not within the arena."""
        return _part(self._answers, pointer, length)


def _open(process_id: int, descriptor: int, size_bytes: int, *, writable: bool) -> memoryview:
    if not 0 < size_bytes <= MAX_ARENA_BYTES:
        raise ValueError(f"an arena of {size_bytes} bytes")
    path = f"/proc/{process_id}/fd/{descriptor}"
    own = os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC)
    try:
        if fcntl.fcntl(own, fcntl.F_GET_SEALS) & _SEALS != _SEALS or os.fstat(own).st_size != size_bytes:
            raise ValueError("an arena that is not sealed, or of another size")
        access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
        return memoryview(mmap.mmap(own, size_bytes, access=access))
    finally:
        os.close(own)


def _part(whole: memoryview, pointer: memoryview, length: int) -> memoryview | None:
    if len(pointer) != POINTER.size:
        return None
    (offset,) = POINTER.unpack(pointer)
    return whole[offset : offset + length] if offset + length <= len(whole) else None
