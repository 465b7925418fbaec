"""The kernel's FUSE protocol, as far as a file system of one single file needs it (version 7.31)."""

from __future__ import annotations

import struct

MAJOR, MINOR = 7, 31

IN_HEADER = struct.Struct("<IIQQIIIHH")  # length, opcode, unique, node, uid, gid, pid, extensions, padding
OUT_HEADER = struct.Struct("<IiQ")  # length, error, unique
READ_WRITE_IN = struct.Struct("<QQIIQII")  # handle, offset, size, flags, lock owner, open flags, padding
WRITE_OUT = struct.Struct("<II")
FALLOCATE_IN = struct.Struct("<QQQII")  # handle, offset, length, mode, padding
SETATTR_IN = struct.Struct("<IIQQ")  # which attributes, padding, handle, size; more follows
INIT_IN = struct.Struct("<IIII")  # major, minor, read ahead, flags; more follows
INIT_OUT = struct.Struct("<IIIIHHIIHHI28x")
OPEN_OUT = struct.Struct("<QII")
ATTRIBUTES_OUT = struct.Struct("<QII" + "QQQQQQ" + "IIIIIIIIII")
STATFS_OUT = struct.Struct("<QQQQQIIII24x")

FORGET = 2
GETATTR = 3
SETATTR = 4
OPEN = 14
READ = 15
WRITE = 16
STATFS = 17
RELEASE = 18
FSYNC = 20
FLUSH = 25
INIT = 26
INTERRUPT = 36
DESTROY = 38
BATCH_FORGET = 42
FALLOCATE = 43

NEVER_ANSWERED = frozenset((FORGET, BATCH_FORGET))

INIT_ASYNC_READ = 1 << 0
INIT_BIG_WRITES = 1 << 5
INIT_ASYNC_DIO = 1 << 15
INIT_MAX_PAGES = 1 << 22
WANTED_FLAGS = INIT_ASYNC_READ | INIT_BIG_WRITES | INIT_ASYNC_DIO | INIT_MAX_PAGES

SETATTR_SIZE = 1 << 3

OPEN_DIRECT_IO = 1 << 0
OPEN_KEEP_CACHE = 1 << 1
OPEN_PARALLEL_DIRECT_WRITES = 1 << 6

FALLOCATE_KEEP_SIZE = 0x01
FALLOCATE_PUNCH_HOLE = 0x02
FALLOCATE_ZERO_RANGE = 0x10

MAX_WRITE_BYTES = 1 << 20
PAYLOAD_OFFSET = IN_HEADER.size + READ_WRITE_IN.size
READ_BUFFER_BYTES = MAX_WRITE_BYTES + 8192
MAX_BACKGROUND = 128  # requests that the kernel sends before it waits for answers
ROOT_NODE = 1


def init_answer(flags: int, max_readahead: int) -> bytes:
    """What we want of what the kernel offers."""
    return INIT_OUT.pack(
        MAJOR,
        MINOR,
        max_readahead,
        flags & WANTED_FLAGS,
        MAX_BACKGROUND,
        MAX_BACKGROUND * 3 // 4,
        MAX_WRITE_BYTES,
        1,
        MAX_WRITE_BYTES // 4096,
        0,
        0,
    )


def attributes_answer(size_bytes: int, mode: int, uid: int, gid: int) -> bytes:
    """Never to be kept by the kernel, so that a new size is seen at once."""
    blocks = (size_bytes + 511) // 512
    return ATTRIBUTES_OUT.pack(
        *(0, 0, 0),
        *(ROOT_NODE, size_bytes, blocks, 0, 0, 0),
        *(0, 0, 0, mode, 1, uid, gid, 0, 4096, 0),
    )
