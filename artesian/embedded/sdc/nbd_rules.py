"""Which requests are in order, and which flags an export offers. Pure functions.

What is refused here never reaches an export: an export sees only requests within its bounds, of at least one
byte (but for a flush), with flags that belong to the command, and no changes when it is read-only.
"""

from __future__ import annotations

import errno

from artesian.embedded.sdc.nbd_constants import (
    MAX_PAYLOAD_BYTES,
    NBD_CMD_BLOCK_STATUS,
    NBD_CMD_CACHE,
    NBD_CMD_FLAG_DF,
    NBD_CMD_FLAG_FAST_ZERO,
    NBD_CMD_FLAG_FUA,
    NBD_CMD_FLAG_NO_HOLE,
    NBD_CMD_FLAG_REQ_ONE,
    NBD_CMD_FLUSH,
    NBD_CMD_READ,
    NBD_CMD_TRIM,
    NBD_CMD_WRITE,
    NBD_CMD_WRITE_ZEROES,
    NBD_EINVAL,
    NBD_EIO,
    NBD_ENOMEM,
    NBD_ENOSPC,
    NBD_ENOTSUP,
    NBD_EOVERFLOW,
    NBD_EPERM,
    NBD_ESHUTDOWN,
    NBD_FLAG_CAN_MULTI_CONN,
    NBD_FLAG_HAS_FLAGS,
    NBD_FLAG_READ_ONLY,
    NBD_FLAG_SEND_DF,
    NBD_FLAG_SEND_FAST_ZERO,
    NBD_FLAG_SEND_FLUSH,
    NBD_FLAG_SEND_FUA,
    NBD_FLAG_SEND_TRIM,
    NBD_FLAG_SEND_WRITE_ZEROES,
)

CHANGING_COMMANDS = frozenset({NBD_CMD_WRITE, NBD_CMD_TRIM, NBD_CMD_WRITE_ZEROES})

_FLAGS = {
    NBD_CMD_READ: NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_DF,
    NBD_CMD_WRITE: NBD_CMD_FLAG_FUA,
    NBD_CMD_FLUSH: NBD_CMD_FLAG_FUA,
    NBD_CMD_TRIM: NBD_CMD_FLAG_FUA,
    NBD_CMD_CACHE: NBD_CMD_FLAG_FUA,
    NBD_CMD_WRITE_ZEROES: NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_NO_HOLE | NBD_CMD_FLAG_FAST_ZERO,
    NBD_CMD_BLOCK_STATUS: NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_REQ_ONE,
}

_WIRE_ERRORS = {
    number: number
    for number in (
        NBD_EPERM,
        NBD_EIO,
        NBD_ENOMEM,
        NBD_EINVAL,
        NBD_ENOSPC,
        NBD_EOVERFLOW,
        NBD_ENOTSUP,
        NBD_ESHUTDOWN,
    )
} | {errno.EDQUOT: NBD_ENOSPC, errno.EFBIG: NBD_ENOSPC, errno.EROFS: NBD_EPERM, errno.EACCES: NBD_EPERM}


def wire_error(number: int) -> int:
    """The error of the protocol that stands for an errno; EIO for those it does not know."""
    return _WIRE_ERRORS.get(number, NBD_EIO)


def transmission_flags(*, read_only: bool, structured: bool) -> int:
    """What the client may ask of an export.

    Several connections may be used at once: a flush covers what was answered on any of them. Zeroing never
    costs more than a write, as it carries no payload.
    """
    flags = NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH | NBD_FLAG_SEND_FUA | NBD_FLAG_CAN_MULTI_CONN
    if structured:
        flags |= NBD_FLAG_SEND_DF
    if read_only:
        return flags | NBD_FLAG_READ_ONLY
    return flags | NBD_FLAG_SEND_TRIM | NBD_FLAG_SEND_WRITE_ZEROES | NBD_FLAG_SEND_FAST_ZERO


def refusal(
    command: int, flags: int, offset: int, length: int, size_bytes: int,
    *, read_only: bool, structured: bool, block_status: bool,
) -> tuple[int, str] | None:  # fmt: skip
    """Why a request is refused: (error of the protocol, text for a human), or None when it is in order."""
    allowed = _FLAGS.get(command)
    if allowed is None:
        return NBD_EINVAL, f"unknown command {command}"
    if flags & ~allowed:
        return NBD_EINVAL, f"flags {flags & ~allowed:#x} do not belong to command {command}"
    if flags & NBD_CMD_FLAG_DF and not structured:
        return NBD_EINVAL, "unfragmented reads need structured replies"
    if command == NBD_CMD_FLUSH:
        return (NBD_EINVAL, "a flush has neither offset nor length") if offset or length else None
    if command in CHANGING_COMMANDS and read_only:
        return NBD_EPERM, "the export is read-only"
    if command in (NBD_CMD_READ, NBD_CMD_WRITE) and length > MAX_PAYLOAD_BYTES:
        return NBD_EINVAL, f"more than {MAX_PAYLOAD_BYTES} bytes in one request"
    if command == NBD_CMD_BLOCK_STATUS:
        if not block_status:
            return NBD_EINVAL, "no metadata context was negotiated"
        if not length:
            return NBD_EINVAL, "the status of no bytes"
    if offset + length > size_bytes:
        growing = command in (NBD_CMD_WRITE, NBD_CMD_WRITE_ZEROES)
        return NBD_ENOSPC if growing else NBD_EINVAL, f"beyond the end of the export at {size_bytes}"
    return None
