"""Checksums of 4 KiB blocks: XXH3, seeded with the chunk's identity, so that a misplaced block is noticed."""

from __future__ import annotations

import struct
from array import array

import xxhash

from artesian.embedded.device.disk import Buffer
from artesian.embedded.wire import BLOCK_BYTES, BLOCKS_PER_CHUNK, ZERO_BLOCK

digest = xxhash.xxh3_64_intdigest
_IDENTITY = struct.Struct("<QI")
EMPTY_TABLE = array("Q", [ZERO_BLOCK]) * BLOCKS_PER_CHUNK
EMPTY_TABLE_BYTES = EMPTY_TABLE.tobytes()

__all__ = ["EMPTY_TABLE", "EMPTY_TABLE_BYTES", "ZERO_BLOCK", "digest", "digests", "seed_of"]


def seed_of(volume: int, chunk: int) -> int:
    """The seed of a chunk's checksums."""
    return digest(_IDENTITY.pack(volume, chunk))


def digests(data: Buffer, seed: int) -> array[int]:
    """The checksum of each block of the data, which is whole blocks."""
    view = memoryview(data)
    return array("Q", [digest(view[at : at + BLOCK_BYTES], seed) for at in range(0, len(view), BLOCK_BYTES)])
