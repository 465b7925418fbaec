"""Labels of disks as BlueStore writes them."""

from __future__ import annotations

import struct
import uuid

LABEL_BYTES = 4096
WHOLE = {"magic": "ceph osd volume v026", "mkfs_done": "yes", "ready": "ready"}


def label_block(owner: str, meta: dict[str, str], version: int = 2) -> bytes:
    """The first block of a disk that is the OSD `owner`."""
    head = f"bluestore block device\n{owner}\n".encode()
    body = uuid.UUID(owner).bytes + struct.pack("<QII", 1 << 31, 0, 0) + _text("main")
    if version > 1:
        body += struct.pack("<I", len(meta))
        body += b"".join(_text(key) + _text(value) for key, value in sorted(meta.items()))
    block = head + struct.pack("<BBI", version, 1, len(body)) + body + b"\x12\x34\x56\x78"
    return block.ljust(LABEL_BYTES, b"\0")


def _text(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode()
