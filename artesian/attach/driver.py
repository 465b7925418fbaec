"""The port that every way to make a block device implements."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from artesian.attach.address import NbdAddress


@dataclass(frozen=True, slots=True)
class Attachment:
    """A volume that is there as a device on this machine.

    `device` is a block device, or a plain file where the driver has no way to make one (then only a user
    space file system can be mounted from it). `alive` is False if a process behind it has died.
    `passed_over` says of the drivers that come before this one why they did not work. `generation` is the one
    that was asked for when it was made.
    """

    uri: str
    driver: str
    device: Path
    read_only: bool
    process_ids: tuple[int, ...]
    alive: bool = True
    passed_over: dict[str, str] = field(default_factory=dict)
    generation: int = 0


class Driver(Protocol):
    """One way to make a device of an NBD export.

    `folder` is a private folder of this one attachment; the driver finds what it has made there by asking
    the operating system, so that nothing has to be remembered. Errors are ToolFailed and InUse.
    """

    @property
    def name(self) -> str: ...

    def available(self) -> str | None:
        """Why this driver cannot work on this machine; None if it can."""

    def attach(self, address: NbdAddress, folder: Path, read_only: bool) -> Path:
        """Make the device. On an error something half made may be left, which `detach` takes away."""

    def device(self, folder: Path) -> Path | None:
        """The device, if everything that belongs to it lives."""

    def devices_left(self, folder: Path, recorded: Path | None) -> list[Path]:
        """Block devices that exist for this attachment, alive or dead; `recorded` is the one it had."""

    def process_ids(self, folder: Path) -> tuple[int, ...]:
        """The processes behind the device."""

    def detach(self, folder: Path, force: bool) -> None:
        """Take away whatever there is, in whatever condition. Raises InUse, unless forced."""

    def grow(self, address: NbdAddress, folder: Path, size_bytes: int) -> None:
        """Take over a volume's new size while the device lives. Raises CannotGrow."""
