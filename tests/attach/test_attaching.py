"""Attachments as somebody meets them who crashes in between, asks twice, or asks for what cannot be."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from artesian.attach import attaching, daemons, fuse, loop, mounts, record
from artesian.attach.attaching import attach, detach
from artesian.attach.driver import Driver
from artesian.attach.errors import BadAddress, CannotGrow, InUse, NoDriver, NotAttached, ToolFailed
from artesian.attach.kernel_nbd import KernelNbdDriver
from artesian.attach.record import Phase

from .conftest import MIB, NbdServer, processes_of, require_loop

Serve = Callable[..., NbdServer]

LOOP_DRIVERS = ["bridge-loop", "nbdfuse-loop"]
FILE_DRIVERS = ["bridge-file", "nbdfuse-file"]


def only(name: str) -> list[Driver]:
    """This driver alone; skips, aloud, where it cannot work."""
    driver = attaching.driver_named(name)
    if reason := driver.available():
        pytest.skip(f"{name} cannot work on this machine: {reason}")
    return [driver]


def write(path: Path, offset: int, data: bytes) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        assert os.pwrite(descriptor, data, offset) == len(data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: Path, offset: int, length: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(length)


def no_trace_is_left(folder: Path) -> bool:
    file = fuse.file_of(folder)
    return (
        not daemons.find(str(folder))
        and not fuse.is_mounted(file)
        and not file.exists()
        and (os.geteuid() != 0 or not loop.of_file(file))
        and record.load(folder) is None
    )


@pytest.mark.parametrize("name", LOOP_DRIVERS + FILE_DRIVERS)
def test_what_is_written_to_the_device_is_in_the_volume(name: str, serve: Serve, folder: Path) -> None:
    server = serve(32 * MIB)
    attached = attach(server.uri, folder, drivers=only(name))
    assert attached.driver == name
    assert attached.device.is_block_device() == name.endswith("-loop")
    assert attaching.size_of(attached.device) == 32 * MIB
    assert all(Path(f"/proc/{process_id}").exists() for process_id in attached.process_ids)
    data = random.Random(1).randbytes(3 * MIB)
    write(attached.device, 5 * MIB + 4096, data)
    assert read(server.file, 5 * MIB + 4096, len(data)) == data
    assert read(attached.device, 5 * MIB, len(data) + 8192) == bytes(4096) + data + bytes(4096)
    assert detach(folder)
    assert no_trace_is_left(folder)


def test_concurrent_writes_are_kept_apart(serve: Serve, folder: Path) -> None:
    """Many writes under way together, straight at the device: each block has its own content afterwards."""
    require_loop()
    server = serve(64 * MIB)
    device = attach(server.uri, folder, drivers=only("bridge-loop")).device
    blocks = list(range(0, 16384, 3))
    random.Random(7).shuffle(blocks)
    descriptor = os.open(device, os.O_RDWR)
    for block in blocks:
        os.pwrite(descriptor, block.to_bytes(8, "little") * 512, block * 4096)  # to the cache
    os.fsync(descriptor)  # all at once to the device
    os.close(descriptor)
    image = server.file.read_bytes()
    for block in range(16384):
        expected = block.to_bytes(8, "little") * 512 if block % 3 == 0 else bytes(4096)
        assert image[block * 4096 : (block + 1) * 4096] == expected, f"block {block}"


@pytest.mark.parametrize("name", LOOP_DRIVERS)
def test_holes_punched_into_the_device_free_space_in_the_volume(
    name: str, serve: Serve, folder: Path
) -> None:
    server = serve(200 * MIB)
    device = attach(server.uri, folder, drivers=only(name)).device
    write(device, 0, b"x" * 16 * MIB)
    used = server.file.stat().st_blocks
    os.system(f"blkdiscard {device}")
    assert read(device, 0, 16 * MIB) == bytes(16 * MIB)
    assert server.file.stat().st_blocks < used / 10


def test_attaching_twice_gives_the_same_device(serve: Serve, folder: Path) -> None:
    server = serve()
    first = attach(server.uri, folder, drivers=only("bridge-loop"))
    again = attach(server.uri, folder)
    assert (again.device, again.process_ids, again.driver) == (first.device, first.process_ids, first.driver)


def test_one_folder_holds_one_attachment(serve: Serve, folder: Path) -> None:
    server, other = serve(), serve()
    attach(server.uri, folder, drivers=only("bridge-loop"))
    with pytest.raises(InUse, match="attached here already"):
        attach(other.uri, folder)
    with pytest.raises(InUse, match="for writing"):
        attach(server.uri, folder, read_only=True)


@pytest.mark.parametrize("name", LOOP_DRIVERS + FILE_DRIVERS)
def test_read_only_cannot_be_written(name: str, serve: Serve, folder: Path) -> None:
    server = serve()
    attached = attach(server.uri, folder, read_only=True, drivers=only(name))
    assert attached.read_only
    with pytest.raises(OSError):
        write(attached.device, 0, b"x" * 4096)
    assert read(server.file, 0, 4096) == bytes(4096)
    with pytest.raises(InUse, match="read-only"):
        attach(server.uri, folder)


def test_a_read_only_export_is_attached_read_only(serve: Serve, folder: Path) -> None:
    server = serve(read_only=True)
    assert attach(server.uri, folder, drivers=only("bridge-loop")).read_only
    assert attach(server.uri, folder).read_only


def test_a_server_that_is_not_there_is_the_error(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadAddress, match="no NBD server answers"):
        attach(f"nbd+unix:///x?socket={tmp_path}/absent", folder)
    assert record.load(folder) is None


def test_if_nothing_works_every_reason_is_told(serve: Serve, folder: Path) -> None:
    class Hopeless(KernelNbdDriver):
        name = "hopeless"

        def available(self) -> str | None:
            return "it is raining"

    class Failing(KernelNbdDriver):
        name = "kernel-nbd"

        def available(self) -> str | None:
            return None

        def attach(self, *_: object) -> Path:
            raise ToolFailed("it fell over")

    with pytest.raises(NoDriver) as caught:
        attach(serve().uri, folder, drivers=[Hopeless(), Failing()])
    assert caught.value.reasons == {"hopeless": "it is raining", "kernel-nbd": "it fell over"}
    assert no_trace_is_left(folder)


def test_the_drivers_before_the_one_that_works_say_why_they_did_not(serve: Serve, folder: Path) -> None:
    only("bridge-loop")
    attached = attach(serve().uri, folder)
    before = [driver.name for driver in attaching.DRIVERS]
    assert list(attached.passed_over) == before[: before.index(attached.driver)]
    assert all(attached.passed_over.values())


# --- what crashes leave behind


@pytest.mark.parametrize("name", LOOP_DRIVERS + FILE_DRIVERS)
def test_after_the_death_of_its_process_an_attachment_is_made_anew(
    name: str, serve: Serve, folder: Path
) -> None:
    server = serve()
    attach(server.uri, folder, drivers=only(name))
    for process_id in processes_of(folder):
        os.kill(process_id, signal.SIGKILL)
    assert daemons.wait_gone(str(folder), 5)
    dead = attaching.find(folder)
    assert dead is None or not dead.alive
    attached = attach(server.uri, folder, drivers=only(name))
    write(attached.device, 0, b"new" * 4096)
    assert read(server.file, 0, 12288) == b"new" * 4096


@pytest.mark.parametrize("name", LOOP_DRIVERS + FILE_DRIVERS)
def test_detach_after_the_death_of_its_process_leaves_nothing(name: str, serve: Serve, folder: Path) -> None:
    attach(serve().uri, folder, drivers=only(name))
    for process_id in processes_of(folder):
        os.kill(process_id, signal.SIGKILL)
    assert daemons.wait_gone(str(folder), 5)
    assert detach(folder)
    assert no_trace_is_left(folder)


class Crash(BaseException):
    """Stands for kill -9 of whoever was attaching."""


@pytest.mark.parametrize("moment", range(1, 4))
def test_a_crash_while_attaching_is_cleaned_up_by_the_next_attach(
    moment: int, serve: Serve, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Moments: the intent is written, the file is exported, the loop device is made."""
    server, drivers = serve(), only("bridge-loop")
    with monkeypatch.context() as patch:
        if moment == 1:
            patch.setattr(daemons, "start", raising)
        elif moment == 2:
            patch.setattr(loop, "create", raising)
        else:
            save = record.save
            patch.setattr(
                record,
                "save",
                lambda where, what: raising() if what.phase is Phase.ATTACHED else save(where, what),
            )
        with pytest.raises(Crash):
            attach(server.uri, folder, drivers=drivers)
    assert bool(daemons.find(str(folder))) == (moment > 1)
    assert len(loop.of_file(fuse.file_of(folder))) == (1 if moment == 3 else 0)
    assert attaching.find(folder) is None
    attached = attach(server.uri, folder, drivers=drivers)
    assert len(attached.process_ids) == 1
    assert loop.of_file(fuse.file_of(folder)) == [attached.device]


def test_a_crash_while_detaching_is_finished_by_the_next_detach(
    serve: Serve, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attach(serve().uri, folder, drivers=only("bridge-loop"))
    with monkeypatch.context() as patch:
        patch.setattr(fuse, "take_down", raising)
        with pytest.raises(Crash):
            detach(folder)
    assert attaching.find(folder) is None
    assert detach(folder)
    assert no_trace_is_left(folder)


def raising(*_: object, **__: object) -> None:
    raise Crash


def test_detach_of_nothing_does_nothing(folder: Path) -> None:
    assert not detach(folder)
    assert not folder.exists()


def test_a_device_that_is_open_is_not_taken_away(serve: Serve, folder: Path) -> None:
    device = attach(serve().uri, folder, drivers=only("bridge-loop")).device
    descriptor = os.open(device, os.O_RDWR | os.O_EXCL)  # as a mount in another namespace does
    try:
        with pytest.raises(InUse):
            detach(folder)
        assert os.pwrite(descriptor, b"y" * 4096, 0) == 4096
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    assert detach(folder)


# --- a server that comes back


def test_a_restart_of_the_server_is_not_noticed(serve: Serve, folder: Path) -> None:
    server = serve()
    device = attach(server.uri, folder, drivers=only("bridge-loop")).device
    write(device, 0, b"a" * MIB)
    server.kill()
    child = os.fork()
    if child == 0:
        try:
            write(device, MIB, b"b" * MIB)
        finally:
            os._exit(0)
    time.sleep(0.3)
    assert os.waitpid(child, os.WNOHANG) == (0, 0), "the write does not wait for the server"
    server.start()
    assert os.waitpid(child, 0)[1] == 0
    assert read(server.file, 0, 2 * MIB) == b"a" * MIB + b"b" * MIB
    assert detach(folder)


# --- growing


@pytest.mark.parametrize("name", ["bridge-loop", "bridge-file"])
def test_a_volume_grows_under_its_device(name: str, serve: Serve, folder: Path) -> None:
    server = serve(32 * MIB)
    device = attach(server.uri, folder, drivers=only(name)).device
    write(device, 31 * MIB, b"1" * MIB)
    server.grow(80 * MIB)
    assert attaching.grow(folder).device == device
    assert attaching.size_of(device) == 80 * MIB
    write(device, 79 * MIB, b"2" * MIB)
    assert read(server.file, 79 * MIB, MIB) == b"2" * MIB
    assert read(device, 31 * MIB, MIB) == b"1" * MIB


def test_nbdfuse_says_that_it_cannot_grow(serve: Serve, folder: Path) -> None:
    server = serve(32 * MIB)
    attach(server.uri, folder, drivers=only("nbdfuse-loop"))
    server.grow(80 * MIB)
    with pytest.raises(CannotGrow):
        attaching.grow(folder)


def test_only_what_is_attached_grows(folder: Path) -> None:
    with pytest.raises(NotAttached):
        attaching.grow(folder)


# --- the record


def test_a_record_that_makes_no_sense_is_named(folder: Path) -> None:
    folder.mkdir()
    (folder / "attachment.json").write_text('{"phase": "dreaming"}')
    with pytest.raises(attaching.AttachError, match=r"attachment\.json is not a record"):
        attaching.find(folder)
    (folder / "attachment.json").unlink()


def test_other_processes_are_never_taken_for_ours(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(daemons.MARK, f"{folder}-other")
    process = daemons.start("sleep", ["60"], f"{folder}#mount", Path("/dev/null"), Path("/"))
    try:
        assert daemons.find(str(folder)) == []
        deadline = time.monotonic() + 10
        while not daemons.find(f"{folder}#mount"):  # until it has become a process of its own
            assert time.monotonic() < deadline
        assert daemons.find(f"{folder}#mount") == [process.pid]
        daemons.stop(str(folder))
        assert process.poll() is None
    finally:
        daemons.stop(f"{folder}#mount")
    assert mounts.mounted_at(folder) is None


def test_an_attachment_of_another_generation_is_not_adopted(serve: Serve, folder: Path) -> None:
    server = serve()
    assert attaching.generation_of(folder) is None
    first = attach(server.uri, folder, drivers=only("bridge-loop"), generation=1)
    assert attach(server.uri, folder, generation=1).process_ids == first.process_ids
    for other in (0, 2):
        with pytest.raises(InUse, match="left here from an earlier attachment"):
            attach(server.uri, folder, generation=other)
    assert attaching.generation_of(folder) == 1
    assert detach(folder)
    again = attach(server.uri, folder, drivers=only("bridge-loop"), generation=2)
    assert (again.generation, attaching.generation_of(folder)) == (2, 2)


def test_an_attachment_from_before_there_were_generations_has_the_first(serve: Serve, folder: Path) -> None:
    server = serve()
    first = attach(server.uri, folder, drivers=only("bridge-loop"))
    path = folder / "attachment.json"
    document = json.loads(path.read_text())
    del document["generation"]
    path.write_text(json.dumps(document))
    assert attach(server.uri, folder, generation=0).process_ids == first.process_ids
