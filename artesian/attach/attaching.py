"""Attach, detach and grow: the drivers in their order, and the record that makes every step repeatable.

An attachment lives in a folder of its own. What is to be done is written there before it is done; whatever
a crash leaves half made is taken away by the next call.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from artesian.attach import daemons, record, usage
from artesian.attach.address import NbdAddress, look
from artesian.attach.driver import Attachment, Driver
from artesian.attach.errors import AttachError, BadAddress, Broken, InUse, NoDriver, NotAttached, ToolFailed
from artesian.attach.exporters import BridgeExporter, NbdfuseExporter
from artesian.attach.file_driver import FileDriver, LoopDriver
from artesian.attach.kernel_nbd import KernelNbdDriver
from artesian.attach.record import Phase, Record

DRIVERS: tuple[Driver, ...] = (
    KernelNbdDriver(),
    LoopDriver(BridgeExporter()),
    LoopDriver(NbdfuseExporter()),
    FileDriver(BridgeExporter()),
    FileDriver(NbdfuseExporter()),
)
"""Every way to make a device, the best first. qemu-storage-daemon's FUSE export is not among them: it was
seen to mix up the data of concurrent writes."""


def attach(
    uri: str,
    folder: Path,
    *,
    read_only: bool = False,
    drivers: Sequence[Driver] = DRIVERS,
    generation: int = 0,
) -> Attachment:
    """Make a device of an NBD export by the first driver that works, or adopt the one that is there.

    `folder` belongs to this attachment alone. What was attached there in another `generation` is not adopted:
    the volume may have been written elsewhere in between. Raises BadAddress, NoDriver, InUse when something
    else is attached there, Broken when what was attached there has died under a mounted file system.
    """
    address = NbdAddress.parse(uri)
    folder = folder.resolve()
    with record.locked(folder):
        known = record.load(folder)
        if known is not None:
            attached = _adopt(folder, known, uri, read_only, generation)
            if attached is not None:
                return attached
        export = look(address)
        return _attach_anew(uri, address, folder, read_only or export.read_only, drivers, generation)


def detach(folder: Path, *, force: bool = False, discard: bool = False) -> bool:
    """Take the device away; False if there was none. Works whatever state a crash has left.

    Raises InUse while it is mounted or open, BadAddress when what was written last cannot be flushed because
    the server does not answer, ToolFailed when that fails otherwise. `force` unmounts and takes it away all
    the same: data that was not flushed may be lost. `discard` does so too, and whatever was not flushed is
    lost for certain: the processes behind the device are ended first, so that nothing reaches the volume any
    more.
    """
    folder, force = folder.resolve(), force or discard
    if not folder.is_dir():
        return False
    with record.locked(folder):
        known = record.load(folder)
        if known is None:
            return False
        driver = driver_named(known.driver)
        mounted = usage.mount_paths(folder, known, driver)
        if mounted and not force:
            raise InUse(f"the volume is mounted at {mounted[0]}")
        if discard:
            daemons.kill(str(folder))
        else:
            prepare_to_flush(folder, known, force=force)
        for path in mounted:
            usage.unmount(path, folder, force=True)
        record.save(folder, known.with_phase(Phase.DETACHING))
        driver.detach(folder, force)
        record.remove(folder)
        return True


def cut_off(folder: Path) -> None:
    """End the processes behind the device: whoever waits for it gets errors, and nothing is written any more.

    Unlike `detach` it does not wait for whoever is at work on the same attachment. Raises ToolFailed.
    """
    daemons.kill(str(folder.resolve()))


def prepare_to_flush(folder: Path, known: Record, *, force: bool) -> None:
    """See to it that what is written next does not wait for ever for a server that is not there.

    Raises BadAddress; with `force` the processes behind the device are ended, so that writing fails at once.
    """
    if not driver_named(known.driver).process_ids(folder):
        return  # it fails at once already
    try:
        look(NbdAddress.parse(known.uri), timeout_s=2.0)
    except BadAddress:
        if not force:
            raise
        daemons.kill(str(folder))


def grow(folder: Path) -> Attachment:
    """Let the device take over the volume's present size. Raises NotAttached, CannotGrow."""
    folder = folder.resolve()
    with record.locked(folder):
        known = record.load(folder)
        attached = describe(folder, known) if known is not None else None
        if known is None or attached is None or not attached.alive:
            raise NotAttached("the volume is not attached here")
        address = NbdAddress.parse(known.uri)
        size_bytes = look(address).size_bytes
        if size_of(attached.device) != size_bytes:
            driver_named(known.driver).grow(address, folder, size_bytes)
        return attached


def find(folder: Path) -> Attachment | None:
    """What is attached in this folder, alive or not; None if nothing is, or only half."""
    folder = folder.resolve()
    known = record.load(folder) if folder.is_dir() else None
    return describe(folder, known) if known is not None and known.phase is Phase.ATTACHED else None


def generation_of(folder: Path) -> int | None:
    """The generation of what is attached in this folder, wholly or half, alive or not; None if nothing is."""
    folder = folder.resolve()
    known = record.load(folder) if folder.is_dir() else None
    return known.generation if known is not None else None


def driver_named(name: str) -> Driver:
    for driver in DRIVERS:
        if driver.name == name:
            return driver
    known = ", ".join(driver.name for driver in DRIVERS)
    raise AttachError(f"there is no way to attach named {name!r}; there are {known}")


def describe(folder: Path, known: Record) -> Attachment | None:
    """An attachment as it is now; None if nothing of it is left."""
    driver = driver_named(known.driver)
    device = driver.device(folder)
    left = [device] if device is not None else driver.devices_left(folder, known.device_path)
    if not left:
        return None
    return Attachment(
        uri=known.uri,
        driver=known.driver,
        device=left[0],
        read_only=known.read_only,
        process_ids=driver.process_ids(folder),
        alive=device is not None,
        passed_over=known.passed_over,
        generation=known.generation,
    )


def size_of(device: Path) -> int:
    """The size of a block device or file in bytes. Raises AttachError."""
    try:
        descriptor = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.lseek(descriptor, 0, os.SEEK_END)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise AttachError(f"{device} cannot be read: {error.strerror}") from None


def _adopt(folder: Path, known: Record, uri: str, read_only: bool, generation: int) -> Attachment | None:
    """What is attached already, if it is what is wanted; None after the remains of it were taken away."""
    driver = driver_named(known.driver)
    attached = describe(folder, known)
    if known.phase is Phase.ATTACHED and attached is not None and attached.alive:
        if known.uri != uri:
            raise InUse(f"{attached.device} is attached here already, to {known.uri}")
        if known.generation != generation:
            raise InUse(f"{attached.device} is left here from an earlier attachment: detach it first")
        if read_only and not known.read_only:
            raise InUse(f"{attached.device} is attached here already, for writing")
        if known.read_only and not read_only and not look(NbdAddress.parse(uri)).read_only:
            raise InUse(f"{attached.device} is attached here already, read-only")
        return attached
    mounted = usage.mount_paths(folder, known, driver)
    if mounted:
        raise Broken(
            f"the process behind the volume mounted at {mounted[0]} has died: "
            "end what uses it, then detach by force"
        )
    driver.detach(folder, force=False)
    record.remove(folder)
    return None


def _attach_anew(
    uri: str,
    address: NbdAddress,
    folder: Path,
    read_only: bool,
    drivers: Sequence[Driver],
    generation: int,
) -> Attachment:
    passed_over: dict[str, str] = {}
    for driver in drivers:
        reason = driver.available()
        if reason is not None:
            passed_over[driver.name] = reason
            continue
        intent = Record(
            uri,
            driver.name,
            read_only,
            Phase.ATTACHING,
            passed_over=dict(passed_over),
            generation=generation,
        )
        record.save(folder, intent)
        try:
            device = driver.attach(address, folder, read_only)
            _check_size(device, look(address).size_bytes)
        except AttachError as error:
            passed_over[driver.name] = str(error)
            driver.detach(folder, force=True)
            record.remove(folder)
            continue
        record.save(folder, intent.attached_as(device))
        process_ids = driver.process_ids(folder)
        return Attachment(uri, driver.name, device, read_only, process_ids, True, passed_over, generation)
    raise NoDriver(passed_over)


def _check_size(device: Path, size_bytes: int) -> None:
    usable = size_bytes - size_bytes % 512
    if not usable - 4096 < size_of(device) <= size_bytes:
        raise ToolFailed(f"{device} shows {size_of(device)} bytes, the volume has {size_bytes}")
