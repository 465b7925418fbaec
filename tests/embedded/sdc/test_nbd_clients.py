"""Clients that other people wrote: libnbd's, qemu's and fio's."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.embedded.sdc.nbd_memory import MemoryExport, ScatteringExport
from tests.embedded.sdc.nbd_running import RunningServer, running_server

SIZE = 32 << 20
MIB = 1 << 20


def needs(*tools: str) -> pytest.MarkDecorator:
    """Skip, and say why, when a tool is not installed."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def run(*command: str | Path) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{command}: {done.stderr}{done.stdout}"
    return done.stdout


@pytest.fixture(params=["whole", "scattered"])
def export(request: pytest.FixtureRequest) -> MemoryExport:
    """One export answers at once, the other later and in pieces."""
    if request.param == "whole":
        return MemoryExport("vol", SIZE)
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    return ScatteringExport("vol", SIZE, random.Random(seed))


@pytest.fixture
def server(tmp_path: Path, export: MemoryExport) -> Iterator[RunningServer]:
    with running_server(tmp_path / "nbd.sock", export, MemoryExport("other", 4096)) as running:
        if isinstance(export, ScatteringExport):
            export.later = running.loop.call_soon
        yield running


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A disk image of some data, some zeros and a hole."""
    path = tmp_path / "image.raw"
    rng = random.Random(11)
    with path.open("wb") as file:
        file.write(rng.randbytes(5 * MIB + 12345) + bytes(2 * MIB))
        file.seek(20 * MIB)
        file.write(rng.randbytes(3 * MIB))
        file.truncate(SIZE)
    return path


@needs("nbdinfo")
def test_nbdinfo_describes_the_export(server: RunningServer) -> None:
    (found,) = json.loads(run("nbdinfo", "--json", server.uri("vol")))["exports"]
    assert found["export-size"] == SIZE
    expected = {
        "is_read_only": False,
        "can_df": True,
        "can_fua": True,
        "can_flush": True,
        "can_trim": True,
        "can_zero": True,
        "can_fast_zero": True,
        "can_multi_conn": True,
    }
    assert {key: found[key] for key in expected} == expected
    assert found["contexts"] == ["base:allocation"]
    block_sizes = (found["block_size_minimum"], found["block_size_preferred"], found["block_size_maximum"])
    assert block_sizes == (1, 4096, 32 * MIB)


@needs("nbdinfo")
def test_nbdinfo_lists_all_exports(server: RunningServer) -> None:
    listed = json.loads(run("nbdinfo", "--list", "--json", server.uri("")))["exports"]
    assert sorted(export["export-name"] for export in listed) == ["other", "vol"]


@needs("nbdinfo")
def test_nbdinfo_maps_what_is_allocated(server: RunningServer, export: MemoryExport) -> None:
    server.call(export.content.__setitem__, slice(8192, 12288), b"x" * 4096)
    extents = json.loads(run("nbdinfo", "--map", "--json", server.uri("vol")))
    assert [(extent["offset"], extent["length"], extent["type"]) for extent in extents] == [
        (0, 8192, 3),
        (8192, 4096, 0),
        (12288, SIZE - 12288, 3),
    ]


@needs("nbdinfo")
def test_nbdinfo_is_told_that_an_export_does_not_exist(server: RunningServer) -> None:
    done = subprocess.run(["nbdinfo", server.uri("nothing")], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "No such file or directory for export: nothing" in done.stderr


@needs("nbdcopy")
def test_nbdcopy_in_and_out(server: RunningServer, export: MemoryExport, image: Path, tmp_path: Path) -> None:
    run("nbdcopy", "--flush", image, server.uri("vol"))
    assert export.content == image.read_bytes()
    assert export.flushes
    run("nbdcopy", "--connections=4", server.uri("vol"), tmp_path / "copy.raw")
    assert (tmp_path / "copy.raw").read_bytes() == image.read_bytes()


@needs("nbdsh")
def test_nbdsh_with_and_without_structured_replies(server: RunningServer, export: MemoryExport) -> None:
    script = """
for structured in (True, False):
    n = nbd.NBD()
    n.set_request_structured_replies(structured)
    n.connect_uri(uri)
    assert n.get_structured_replies_negotiated() == structured
    n.pwrite(b"x" * 5000, 3, nbd.CMD_FLAG_FUA)
    n.zero(1000, 103)
    n.flush()
    expected = b"x" * 100 + bytes(1000) + b"x" * 3900
    assert n.pread(5000, 3) == expected
    try:
        n.set_strict_mode(0)
        n.pwrite(bytes(200000), n.get_size() - 100)
    except nbd.Error as error:
        assert error.errno == "ENOSPC", error
    else:
        raise AssertionError("a write beyond the end")
    assert n.pread(5000, 3) == expected
    n.shutdown()
"""
    run("nbdsh", "-c", f"uri = {server.uri('vol')!r}", "-c", script)
    assert export.content[3:103] == b"x" * 100


@needs("qemu-img")
def test_qemu_img_sees_size_and_allocation(server: RunningServer, export: MemoryExport) -> None:
    server.call(export.content.__setitem__, slice(MIB, 2 * MIB), b"x" * MIB)
    found = json.loads(run("qemu-img", "info", "--output=json", server.uri("vol")))
    assert found["virtual-size"] == SIZE
    extents: list[dict[str, Any]] = json.loads(
        run("qemu-img", "map", "--output=json", "-f", "raw", server.uri("vol"))
    )
    assert [(extent["start"], extent["length"], extent["data"]) for extent in extents] == [
        (0, MIB, False),
        (MIB, MIB, True),
        (2 * MIB, SIZE - 2 * MIB, False),
    ]


@needs("qemu-img")
def test_qemu_img_converts_in_and_out(
    server: RunningServer, export: MemoryExport, image: Path, tmp_path: Path
) -> None:
    uri, copy = server.uri("vol"), tmp_path / "copy.qcow2"
    server.call(export.content.__setitem__, slice(0, SIZE), b"\xaa" * SIZE)
    run("qemu-img", "convert", "-n", "-W", "-f", "raw", "-O", "raw", image, uri)
    assert export.content == image.read_bytes()
    run("qemu-img", "compare", "-f", "raw", "-F", "raw", image, uri)
    run("qemu-img", "convert", "-m", "16", "-f", "raw", "-O", "qcow2", uri, copy)
    run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", image, copy)


@needs("qemu-io")
def test_qemu_io_writes_zeroes_trims_and_verifies(server: RunningServer, export: MemoryExport) -> None:
    commands = [
        "write -P 0xab 0 3M",
        "write -P 0xcd 1000 77",
        "write -f -P 0xef 5M 64k",
        "write -z 1M 1M",
        "write -z -u 5000 1000",
        "write -z -n 2M 4k",
        "aio_write -P 0x11 8M 1M",
        "aio_write -P 0x22 9M 1M",
        "aio_flush",
        "discard 2M 64k",
        "flush",
        "read -P 0xab 0 1000",
        "read -P 0xcd 1000 77",
        "read -P 0xab 1077 3923",
        "read -P 0 5000 1000",
        "read -P 0 1M 1M",
        "read -P 0xef 5M 64k",
        "read -P 0x11 8M 1M",
        "read -P 0x22 9M 1M",
    ]
    arguments = [part for command in commands for part in ("-c", command)]
    output = run("qemu-io", "-f", "raw", *arguments, server.uri("vol"))
    assert "failed" not in output.lower(), output
    assert export.content[8 * MIB : 10 * MIB] == b"\x11" * MIB + b"\x22" * MIB
    assert export.flushes


@needs("qemu-io")
def test_qemu_io_is_refused_by_a_read_only_export(tmp_path: Path) -> None:
    with running_server(tmp_path / "nbd.sock", MemoryExport("vol", SIZE, read_only=True)) as running:
        run("qemu-io", "-r", "-f", "raw", "-c", "read -P 0 0 1M", running.uri("vol"))
        done = subprocess.run(
            ["qemu-io", "-f", "raw", "-c", "write 0 4k", running.uri("vol")], capture_output=True, timeout=60
        )
        assert done.returncode != 0


@needs("fio")
@pytest.mark.parametrize("depth, sizes", [(32, "512-16k"), (8, "4k-1m")])
def test_fio_finds_everything_that_it_wrote(server: RunningServer, depth: int, sizes: str) -> None:
    fio = [
        "fio", "--name=verify", "--ioengine=nbd", f"--uri={server.uri('vol')}", "--rw=randwrite", "--size=8m",
        f"--bsrange={sizes}", "--bs_unaligned", f"--iodepth={depth}", "--verify=crc32c", "--verify_fatal=1",
        "--do_verify=1", "--fsync=50", "--thread", "--output-format=json",
    ]  # fmt: skip
    output = run(*fio)
    (job,) = json.loads(output[output.index("{") :])["jobs"]
    assert job["error"] == 0
    assert job["read"]["total_ios"] > 0
