"""What can go wrong while attaching.

AttachError
├── BadAddress       not an NBD address, or nobody serves it
├── NoDriver         no way to make a block device works here; says why not, way by way
├── NotAttached      there is nothing to detach, grow or mount
├── InUse            a device or a folder is still used by somebody
├── Broken           the process behind a device died while the device was mounted
├── CannotGrow       this kind of attachment cannot take over a new size
├── ToolFailed       a system tool is missing, failed or took too long
└── FilesystemError  making, checking or mounting a file system
    ├── NotEmpty     the device carries something already
    └── Damaged      the file system needs a decision of its owner
"""

from __future__ import annotations

from collections.abc import Mapping


class AttachError(Exception):
    """Any error of this package; its text is one line that a user can act on."""


class BadAddress(AttachError):
    """Not an NBD address that we understand, or nobody serves it."""


class NoSuchExport(BadAddress):
    """The server answers, but does not offer this export."""


class NoDriver(AttachError):
    """No driver works here; `reasons` says why, by driver name."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        self.reasons = dict(reasons)
        listed = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        super().__init__(f"no way to attach works here ({listed})")


class NotAttached(AttachError):
    """There is no attachment where one was expected."""


class InUse(AttachError):
    """Something is still mounted or open; nothing was taken away from it."""


class Broken(AttachError):
    """The process behind a mounted device is gone; only a forced detach can clean up."""


class CannotGrow(AttachError):
    """The attachment cannot take over a new size while it lives."""


class ToolFailed(AttachError):
    """A system tool is missing, failed or took too long.

    `exit_code` is None if it never ran to its end; `output` is what it printed.
    """

    def __init__(self, message: str, exit_code: int | None = None, output: str = "") -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.output = output


class FilesystemError(AttachError):
    """A file system cannot be made, checked, mounted or grown."""


class NotEmpty(FilesystemError):
    """The device carries a file system, a partition table or another signature; it was not touched."""


class Damaged(FilesystemError):
    """The file system has damage that may not be repaired without its owner's decision."""
