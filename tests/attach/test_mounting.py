"""Mounted volumes: made once, found again, grown, and taken away only when nobody uses them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from artesian.attach import attaching, daemons, filesystem, mounting, mounts, record, tools
from artesian.attach.attaching import attach, detach
from artesian.attach.errors import (
    BadAddress,
    Broken,
    CannotGrow,
    FilesystemError,
    InUse,
    NotAttached,
    NotEmpty,
)
from artesian.attach.filesystem import FsType

from .conftest import MIB, NbdServer, processes_of, require_fuse2fs, require_loop
from .test_attaching import Crash, no_trace_is_left, only, raising

Serve = Callable[..., NbdServer]

WAYS = [("bridge-loop", "ext4"), ("bridge-loop", "xfs"), ("nbdfuse-loop", "ext4"), ("bridge-file", "ext4")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mounted"


def attached(name: str, fstype: str, serve: Serve, folder: Path, size_bytes: int = 400 * MIB) -> NbdServer:
    if absent := tools.missing(f"mkfs.{fstype}"):
        pytest.skip(absent)
    if name.endswith("-file"):
        require_fuse2fs()
    server = serve(size_bytes)
    attach(server.uri, folder, drivers=only(name))
    return server


@pytest.mark.parametrize(("name", "fstype"), WAYS)
def test_files_are_found_again(name: str, fstype: str, serve: Serve, folder: Path, path: Path) -> None:
    server = attached(name, fstype, serve, folder)
    mounted = mounting.mount(folder, path, fstype=FsType(fstype))
    assert (mounted.made, mounted.fstype) == (True, fstype)
    (path / "ledger").write_text("17 barrels")
    assert mounting.unmount(folder) == path
    assert detach(folder)
    assert no_trace_is_left(folder)
    assert not any(path.iterdir())
    attach(server.uri, folder, drivers=only(name))
    assert not mounting.mount(folder, path).made
    assert (path / "ledger").read_text() == "17 barrels"


@pytest.mark.parametrize(("name", "fstype"), WAYS)
def test_mounting_twice_is_mounting_once(
    name: str, fstype: str, serve: Serve, folder: Path, path: Path
) -> None:
    attached(name, fstype, serve, folder)
    assert mounting.find(folder) is None
    mounting.mount(folder, path, fstype=FsType(fstype))
    here = [one for one in mounts.mounts() if one.path == str(path)]
    again = mounting.mount(folder, path)
    assert (again.made, again.path, again.fstype) == (False, path, fstype)
    assert [one for one in mounts.mounts() if one.path == str(path)] == here
    found = mounting.find(folder)
    assert found is not None
    assert (found.path, found.fstype) == (path, fstype)
    with pytest.raises(InUse, match=r"mounted at .*mounted already"):
        mounting.mount(folder, path.parent / "elsewhere")


@pytest.mark.parametrize(("name", "fstype"), WAYS)
def test_a_mount_in_use_stays(name: str, fstype: str, serve: Serve, folder: Path, path: Path) -> None:
    attached(name, fstype, serve, folder)
    mounting.mount(folder, path, fstype=FsType(fstype))
    with (path / "open").open("w") as file:
        with pytest.raises(InUse, match=rf"in use by .*\({os.getpid()}\)"):
            mounting.unmount(folder)
        with pytest.raises(InUse, match="mounted at"):
            detach(folder)
        file.write("still there")
    assert (path / "open").read_text() == "still there"


def test_a_volume_grows_with_its_xfs_while_mounted(serve: Serve, folder: Path, path: Path) -> None:
    server = attached("bridge-loop", "xfs", serve, folder)
    mounting.mount(folder, path, fstype=FsType.XFS)
    (path / "file").write_bytes(b"x" * MIB)
    server.grow(800 * MIB)
    grown = mounting.grow(folder)
    assert grown is not None
    assert grown.grown
    assert os.statvfs(path).f_blocks * os.statvfs(path).f_frsize > 600 * MIB
    assert (path / "file").read_bytes() == b"x" * MIB


@pytest.mark.parametrize("name", ["bridge-loop", "bridge-file"])
def test_ext4_grows_at_the_latest_when_it_is_mounted_again(
    name: str, serve: Serve, folder: Path, path: Path
) -> None:
    server = attached(name, "ext4", serve, folder)
    mounting.mount(folder, path)
    server.grow(800 * MIB)
    try:
        mounting.grow(folder)
    except (FilesystemError, CannotGrow) as error:
        assert "unmounted and mounted again" in str(error)
        mounting.unmount(folder)
        assert mounting.mount(folder, path).grown
    assert os.statvfs(path).f_blocks * os.statvfs(path).f_frsize > 600 * MIB


@pytest.mark.parametrize("fstype", ["ext4", "xfs"])
def test_after_the_death_of_the_bridge_the_journal_brings_everything_back(
    fstype: str, serve: Serve, folder: Path, path: Path
) -> None:
    require_loop()
    server = attached("bridge-loop", fstype, serve, folder)
    mounting.mount(folder, path, fstype=FsType(fstype))
    (path / "synced").write_text("kept")
    subprocess.run(["sync", "--file-system", path], check=True)
    for process_id in processes_of(folder):
        os.kill(process_id, signal.SIGKILL)
    assert daemons.wait_gone(str(folder), 5)
    with pytest.raises(Broken, match="has died"):
        attach(server.uri, folder)
    with pytest.raises(InUse):
        detach(folder)
    assert detach(folder, force=True)
    assert no_trace_is_left(folder)
    attach(server.uri, folder, drivers=only("bridge-loop"))
    mounting.mount(folder, path)
    assert (path / "synced").read_text() == "kept"


def test_a_mount_outlives_a_restart_of_the_server(serve: Serve, folder: Path, path: Path) -> None:
    server = attached("bridge-loop", "ext4", serve, folder)
    mounting.mount(folder, path)
    (path / "before").write_text("1")
    server.kill()
    writer = subprocess.Popen(["sh", "-c", f"echo 2 > {path}/during; sync {path}/during"])
    time.sleep(0.2)
    assert writer.poll() is None, "the write does not wait for the server"
    server.start()
    assert writer.wait(20) == 0
    (path / "after").write_text("3")
    mounting.unmount(folder)
    detach(folder)
    subprocess.run(["e2fsck", "-f", "-n", server.file], check=True, capture_output=True)


@pytest.mark.parametrize("name", ["bridge-loop", "bridge-file"])
def test_nothing_waits_for_ever_for_a_server_that_is_gone(
    name: str, serve: Serve, folder: Path, path: Path
) -> None:
    server = attached(name, "ext4", serve, folder)
    mounting.mount(folder, path)
    (path / "kept").write_text("synced")
    subprocess.run(["sync", "--file-system", path], check=True)
    (path / "lost").write_text("not synced")
    server.kill()
    with pytest.raises(BadAddress, match="no NBD server answers"):
        mounting.unmount(folder)
    with pytest.raises(BadAddress, match="no NBD server answers"):
        mounting.mount(folder, path)
    assert detach(folder, force=True)
    assert mounts.mounted_at(path) is None
    assert no_trace_is_left(folder)
    server.start()
    attach(server.uri, folder, drivers=only(name))
    mounting.mount(folder, path)
    assert (path / "kept").read_text() == "synced"


def test_a_device_whose_server_is_gone_is_detached_by_force_only(serve: Serve, folder: Path) -> None:
    server = serve()
    device = attach(server.uri, folder, drivers=only("bridge-loop")).device
    server.kill()
    with pytest.raises(BadAddress, match="no NBD server answers"):
        detach(folder)
    assert device.exists()
    assert detach(folder, force=True)
    assert no_trace_is_left(folder)


def test_a_volume_with_something_else_on_it_is_not_touched(serve: Serve, folder: Path, path: Path) -> None:
    server = attached("bridge-loop", "ext4", serve, folder)
    subprocess.run(["mkswap", server.file], check=True, capture_output=True)
    attaching.detach(folder)
    attach(server.uri, folder, drivers=only("bridge-loop"))
    before = server.file.read_bytes()
    for fstype in (None, FsType.EXT4, FsType.XFS):
        with pytest.raises(NotEmpty, match="carries swap"):
            mounting.mount(folder, path, fstype=fstype)
    assert server.file.read_bytes() == before
    assert mounting.mount(folder, path, overwrite=True).fstype == "ext4"


def test_the_other_file_system_is_not_overwritten(serve: Serve, folder: Path, path: Path) -> None:
    attached("bridge-loop", "xfs", serve, folder)
    mounting.mount(folder, path, fstype=FsType.XFS)
    mounting.unmount(folder)
    with pytest.raises(NotEmpty, match="carries xfs, no ext4"):
        mounting.mount(folder, path, fstype=FsType.EXT4)
    assert mounting.mount(folder, path).fstype == "xfs"


def test_a_folder_with_something_in_it_is_not_hidden(serve: Serve, folder: Path, path: Path) -> None:
    attached("bridge-loop", "ext4", serve, folder)
    path.mkdir()
    (path / "precious").touch()
    with pytest.raises(InUse, match="is not empty"):
        mounting.mount(folder, path)


def test_only_what_is_attached_is_mounted(folder: Path, path: Path) -> None:
    with pytest.raises(NotAttached):
        mounting.mount(folder, path)
    assert mounting.unmount(folder) is None


@pytest.mark.parametrize("fstype", ["ext4", "xfs"])
def test_a_read_only_volume_is_mounted_read_only(fstype: str, serve: Serve, folder: Path, path: Path) -> None:
    server = attached("bridge-loop", fstype, serve, folder)
    mounting.mount(folder, path, fstype=FsType(fstype))
    (path / "file").write_text("read me")
    mounting.unmount(folder)
    detach(folder)
    attach(server.uri, folder, read_only=True, drivers=only("bridge-loop"))
    mounting.mount(folder, path)
    assert (path / "file").read_text() == "read me"
    with pytest.raises(OSError):
        (path / "file").write_text("x")


def test_no_file_system_is_made_on_a_read_only_volume(serve: Serve, folder: Path, path: Path) -> None:
    server = serve(64 * MIB)
    attach(server.uri, folder, read_only=True, drivers=only("bridge-loop"))
    with pytest.raises(FilesystemError, match="read-only"):
        mounting.mount(folder, path)


def test_a_file_system_that_was_being_made_is_made_anew(
    serve: Serve, folder: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the crash left may look like a file system, but is none of anybody's."""
    attached("bridge-loop", "ext4", serve, folder)
    make = filesystem.make
    with monkeypatch.context() as patch:
        patch.setattr(filesystem, "make", lambda *a, **k: (make(*a, **k), raising()))
        with pytest.raises(Crash):
            mounting.mount(folder, path)
    known = record.load(folder)
    assert known is not None
    assert known.making
    assert mounting.mount(folder, path).made
    assert not mounting.mount(folder, path).made


def test_a_path_that_was_taken_meanwhile_is_not_mounted_over(
    serve: Serve, folder: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Making a file system takes its time."""
    attached("bridge-loop", "ext4", serve, folder)
    make = filesystem.make

    def make_slowly(*arguments: object, **options: object) -> None:
        make(*arguments, **options)  # type: ignore[arg-type]
        tools.run("mount", "-t", "tmpfs", "somebody-else", path)

    monkeypatch.setattr(filesystem, "make", make_slowly)
    try:
        with pytest.raises(InUse, match="somebody-else is mounted at"):
            mounting.mount(folder, path)
        assert mounting.find(folder) is None
    finally:
        tools.run("umount", path)
    assert mounting.mount(folder, path).path == path


@pytest.mark.parametrize("busy", [False, True])
def test_what_is_discarded_never_reaches_the_volume(
    busy: bool, serve: Serve, folder: Path, path: Path
) -> None:
    """Neither when it is taken away, nor later, when the volume is attached again and its server is there."""
    server = attached("bridge-loop", "ext4", serve, folder)
    mounting.mount(folder, path)
    (path / "kept").write_text("kept")
    mounting.flush(folder)
    with (path / "open").open("w") as file:
        file.write("x" * MIB)
        file.flush()
        if not busy:
            file.close()
        before = server.file.read_bytes()
        assert detach(folder, discard=True)
        assert no_trace_is_left(folder)
        assert mounts.mounted_at(path) is None
        assert server.file.read_bytes() == before
        attach(server.uri, folder, drivers=only("bridge-loop"), generation=2)
        assert not mounting.mount(folder, path).made
        (path / "new").write_text("new")
    assert (path / "kept").read_text() == "kept"
    assert mounting.unmount(folder) == path
    assert detach(folder)


def test_what_is_flushed_is_in_the_volume(serve: Serve, folder: Path, path: Path) -> None:
    server = attached("bridge-loop", "ext4", serve, folder)
    mounting.mount(folder, path)
    text = f"written and never closed {os.getpid()}".encode()
    with (path / "open").open("wb", buffering=0) as file:
        file.write(text)
        mounting.flush(folder)
        assert text in server.file.read_bytes()
    mounting.unmount(folder)
    mounting.flush(folder)
