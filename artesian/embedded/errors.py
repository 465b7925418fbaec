"""The engine's errors.

EngineError
├── CommandRefused      the replicated state refuses a command; carries PowerFlex' numeric code
├── ConfigError         a config file that cannot be used
├── NotLeader           this manager does not lead; names the one that does, if known
├── ManagersUnavailable no manager could be reached in time
└── DeviceError         a disk cannot be used
    ├── ForeignDevice   it carries somebody's data, or another cluster's superblock
    ├── DeviceIoError   the operating system reported an I/O error
    ├── NoSpace         no slot is free within the allowed share
    └── BadBlock        a 4 KiB block does not match its checksum
"""

from __future__ import annotations


class EngineError(Exception):
    """Any error of the embedded engine; its text is one line that a user can act on."""


class CommandRefused(EngineError):
    """A command that the replicated state refuses; nothing was changed.

    `code` is PowerFlex' numeric error code (0 for a malformed request) and `message` its text.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ConfigError(EngineError):
    """A config file has unknown keys, wrong types or values that cannot work."""


class NotLeader(EngineError):
    """The manager that was asked does not lead; `leader` is its control address or None."""

    def __init__(self, leader: str | None) -> None:
        super().__init__(f"not the leading manager; the leader is {leader or 'not known yet'}")
        self.leader = leader


class ManagersUnavailable(EngineError):
    """No manager answered, or none leads."""


class DeviceError(EngineError):
    """A disk cannot be used."""


class ForeignDevice(DeviceError):
    """The disk carries data or a superblock that is not ours; it was not touched."""


class DeviceIoError(DeviceError):
    """The operating system reported an error on the disk."""


class NoSpace(DeviceError):
    """No slot is free within the share that this write may use."""


class BadBlock(DeviceError):
    """A block does not match its checksum; `blocks` are indices of 4 KiB blocks within the chunk."""

    def __init__(self, blocks: list[int]) -> None:
        super().__init__(f"{len(blocks)} blocks do not match their checksums")
        self.blocks = blocks
