"""The data protocol between clients and servers, and between two servers.

TCP. The server greets with a nonce, the peer proves that it knows the engine's secret, then requests
and replies follow, each a fixed little-endian header and a payload. Requests of one connection for one
chunk are carried out in the order in which they arrive; replies may come in any order and carry the
request's tag.

    greeting   server → peer   8 bytes magic, 16 bytes nonce
    proof      peer → server   8 bytes magic, 32 bytes HMAC-SHA256(secret, nonce)
    welcome    server → peer   8 bytes magic   (or the connection is closed)

    request    payload_length u32, operation u8, flags u8, reserved u16, tag u32, device u64, volume u64,
               chunk u32, offset u32, length u32, epoch u32, generation u32, sequence u64, payload
    reply      payload_length u32, status u8, flags u8, reserved u16, tag u32, detail u32, payload

`device` is the device's id as a number, `volume` the volume's number, `offset` and `length` are bytes
within the chunk. `epoch`, `generation` and `sequence` are explained in `sds/access.py`.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

MAGIC = b"ARTSDS01"
NONCE_BYTES = 16
GREETING_BYTES = len(MAGIC) + NONCE_BYTES
PROOF_BYTES = len(MAGIC) + 32

REQUEST = struct.Struct("<IBBHIQQIIIIIQ")
REPLY = struct.Struct("<IBBHII")
REQUEST_BYTES = REQUEST.size
REPLY_BYTES = REPLY.size

CHUNK_BYTES = 1 << 20
BLOCK_BYTES = 4096
BLOCKS_PER_CHUNK = CHUNK_BYTES // BLOCK_BYTES
TABLE_BYTES = BLOCKS_PER_CHUNK * 8
ZERO_BLOCK = 0x5A45524F5A45524F  # the checksum of a block that was never written, or was zeroed
ZERO_ENTRY = ZERO_BLOCK.to_bytes(8, "little")
MAX_PAYLOAD_BYTES = CHUNK_BYTES + 16384
MAX_REPLY_PAYLOAD_BYTES = 64 << 20  # a list of all chunks of a device


class Request(NamedTuple):
    """A request's header, as described above."""

    payload_length: int
    operation: int
    flags: int
    reserved: int
    tag: int
    device: int
    volume: int
    chunk: int
    offset: int
    length: int
    epoch: int
    generation: int
    sequence: int


class Operation(IntEnum):
    """What a request asks for; the payloads are described beside each."""

    PING = 1
    READ = 2  # reply: the bytes
    WRITE = 3  # payload: the bytes
    ZERO = 4  # trim, or write zeroes when flag KEEP_ALLOCATED is set
    FLUSH = 5  # every device of the server; reply when all writes answered before are on stable storage
    OPEN = 6  # a new writer's epoch: older ones are refused from now on
    # payload: `pack_memberships` of the slices that are taken to be in sync on this device
    # reply: the volume's chunks on this device that are open, u32 each
    LIST_OPEN = 7
    TABLE = 8  # reply: `pack_table`; flag VERIFY, between servers: the data is read again
    REPAIR = 9  # payload: one block; applied only if the stored one does not match its checksum
    BLESS = 10  # accept one block as it is, if it is uncertain since an unclean stop
    COMPLETE = 11  # all writes of the volume up to `sequence` are complete on every copy
    STATUS = 12  # reply: which blocks of the chunk hold data, one byte each (0 or 1)
    # the first request of a connection; `sequence`: who asks. An older connection of the same peer ends, so
    # that nothing that is still under way on it can be carried out after what comes on the new one
    HELLO = 13
    SHARE = 14  # payload: `arena.OFFER`; flag SHARED may be used when it was answered with OK
    # between servers, only for a slice that is joining here; `epoch` carries the job's number
    LIST = 20  # `chunk` is the slice; reply: `pack_chunks`; begins the job on the target
    INSTALL = 21  # payload: `pack_install`
    DROP = 22


class Flag(IntEnum):
    """Flags of a request; they may be combined."""

    KEEP_ALLOCATED = 1
    VERIFY = 2
    FORWARDED = 4  # a client's write, passed on by the source of a join
    PEER = 8  # a server reads for repair: no epoch is checked
    OPEN_CHUNK = 16  # INSTALL: the source's chunk is open
    SHARED = 32  # READ, WRITE: the payload is `arena.POINTER`; the bytes are, or are to be put, there


class Status(IntEnum):
    """How a request ended."""

    OK = 0
    STALE_MAP = 1  # the server is no in-sync member of that slice at that generation: fetch the map again
    FENCED = 2  # a newer epoch has been opened
    NO_SPACE = 3
    BAD_BLOCK = 4  # payload: indices of the blocks that do not match, u16 each
    DEVICE_ERROR = 5
    INVALID = 6  # a request that makes no sense; the connection is closed after it
    REFUSED = 7  # bless or repair did not apply (the block is not in the state expected); no shared memory
    LOST = 100  # never on the wire: the connection was lost before the reply


def proof_of(secret: bytes, nonce: bytes) -> bytes:
    """The 32 bytes that prove knowledge of the engine's secret."""
    return hmac.new(secret, b"artesian data " + nonce, hashlib.sha256).digest()


CHUNK_ENTRY = struct.Struct("<QIIB")


def pack_chunks(chunks: Iterable[tuple[int, int, int, bool]]) -> bytes:
    """A slice's chunks: (volume number, chunk, generation, open) each."""
    return b"".join(CHUNK_ENTRY.pack(*chunk) for chunk in chunks)


def unpack_chunks(payload: bytes | bytearray | memoryview) -> list[tuple[int, int, int, bool]]:
    """The inverse of `pack_chunks`; raises ValueError when the length does not fit."""
    if len(payload) % CHUNK_ENTRY.size:
        raise ValueError("a chunk list of an odd length")
    return [(volume, chunk, generation, bool(is_open)) for volume, chunk, generation, is_open in
            CHUNK_ENTRY.iter_unpack(payload)]  # fmt: skip


TABLE_HEADER = struct.Struct("<IBBH")  # generation, present, open, number of bad blocks


def pack_table(generation: int, is_open: bool, checksums: bytes, bad_blocks: list[int]) -> bytes:
    """A chunk's checksum table and the blocks that do not match it."""
    header = TABLE_HEADER.pack(generation, 1, is_open, len(bad_blocks))
    return header + checksums + struct.pack(f"<{len(bad_blocks)}H", *bad_blocks)


ABSENT_TABLE = TABLE_HEADER.pack(0, 0, 0, 0)


def unpack_table(payload: bytes | bytearray | memoryview) -> tuple[int, bool, bytes, set[int]] | None:
    """(generation, open, checksums, bad blocks), or None when the chunk is absent.

    Raises ValueError when the payload is malformed.
    """
    try:
        generation, present, is_open, bad_count = TABLE_HEADER.unpack_from(payload)
        if not present:
            return None
        start = TABLE_HEADER.size
        checksums = bytes(payload[start : start + TABLE_BYTES])
        bad = struct.unpack_from(f"<{bad_count}H", payload, start + TABLE_BYTES)
    except struct.error as error:
        raise ValueError(f"a malformed checksum table: {error}") from error
    return generation, bool(is_open), checksums, set(bad)


def blocks_that_differ(checksums: bytes, other: tuple[int, bool, bytes, set[int]] | None) -> list[int]:
    """Blocks whose data must be sent so that the other's chunk (as `unpack_table` gave it) equals ours.

    Blocks that read as zeros need no data: the checksum table says so.
    """
    theirs = other[2] if other is not None else b""
    bad = other[3] if other is not None else set()
    return [
        block
        for block in range(BLOCKS_PER_CHUNK)
        if (mine := checksums[8 * block : 8 * block + 8]) != ZERO_ENTRY
        and (block in bad or mine != theirs[8 * block : 8 * block + 8])
    ]


MEMBERSHIP = struct.Struct("<II")


def pack_memberships(memberships: Iterable[tuple[int, int]]) -> bytes:
    """Slices and the generations at which a device is taken to be in sync."""
    return b"".join(MEMBERSHIP.pack(*membership) for membership in memberships)


def unpack_memberships(payload: memoryview) -> list[tuple[int, int]]:
    """The inverse of `pack_memberships`; raises ValueError when the length does not fit."""
    if len(payload) % MEMBERSHIP.size:
        raise ValueError("a list of slices of an odd length")
    return list(MEMBERSHIP.iter_unpack(payload))


def pack_blocks(blocks: list[int]) -> bytes:
    """Indices of blocks, u16 each."""
    return struct.pack(f"<{len(blocks)}H", *blocks)


def unpack_blocks(payload: bytes | bytearray | memoryview) -> list[int]:
    """The inverse of `pack_blocks`."""
    return list(struct.unpack(f"<{len(payload) // 2}H", payload))


def install_parts(checksums: bytes, blocks: list[int], data: list[bytes]) -> list[bytes]:
    """The payload of INSTALL in parts: u32 count, u16 indices, the whole table, then the blocks' bytes."""
    return [struct.pack("<I", len(blocks)), pack_blocks(blocks), checksums, *data]


def unpack_install(payload: memoryview) -> tuple[bytes, list[tuple[int, memoryview]]]:
    """(checksums, [(block, its 4096 bytes)…]); raises ValueError when malformed."""
    try:
        (count,) = struct.unpack_from("<I", payload)
        indices = struct.unpack_from(f"<{count}H", payload, 4)
    except struct.error as error:
        raise ValueError(f"a malformed chunk: {error}") from error
    start = 4 + 2 * count
    data = start + TABLE_BYTES
    if len(payload) != data + count * BLOCK_BYTES or any(index >= BLOCKS_PER_CHUNK for index in indices):
        raise ValueError("a chunk whose length does not fit its block list")
    checksums = bytes(payload[start:data])
    return checksums, [
        (index, payload[data + n * BLOCK_BYTES : data + (n + 1) * BLOCK_BYTES])
        for n, index in enumerate(indices)
    ]
