"""How long things take, and what applications feel meanwhile."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from pathlib import Path

from bench import fio
from bench.engine_run import engine, mapped_volume
from bench.figures import Figure
from demo.engine import Engine

SIZE_BYTES = 1 << 30


class Load:
    """4 KiB random writes at a modest depth for a while, with the longest and the 99th percentile wait."""

    def __init__(self, uri: str, runtime_s: float) -> None:
        self.longest_s = self.p99_s = 0.0
        flags = ["--rw=randwrite", "--bs=4k", "--iodepth=4", "--rate_iops=2000", f"--size={SIZE_BYTES}"]
        flags += [f"--runtime={runtime_s}", "--time_based", "--thread", "--output-format=json"]
        self._command = ["fio", "--name=load", *fio.nbd(uri), *flags]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        done = subprocess.run(self._command, capture_output=True, text=True, check=True)
        measured = json.loads(done.stdout[done.stdout.index("{") :])["jobs"][0]["write"]["clat_ns"]
        self.longest_s = measured["max"] / 1e9
        self.p99_s = measured["percentile"]["99.000000"] / 1e9

    def wait(self) -> Load:
        self._thread.join()
        return self


def measure(quick: bool) -> list[Figure]:
    """Start, failures, rebuild."""
    began = time.monotonic()
    with engine() as made:
        uri = mapped_volume(made, "2GiB")
        job = fio.Job("first write", "write", 4096, 1, "IOPS")
        fio.run(fio.nbd(uri), job, size_bytes=1 << 20, runtime_s=0.05, ramp_s=0)
        figures = [
            Figure("start of three nodes to first write", time.monotonic() - began, "s", None, 3, True)
        ]
        fio.fill(fio.nbd(uri), SIZE_BYTES)
        figures += _failures(made, uri)
        figures += _rebuild(made, uri)
    return figures


def _failures(made: Engine, uri: str) -> list[Figure]:
    load = Load(uri, 8)
    time.sleep(2)
    leader = next(int(manager["node"]) for manager in made.status()["managers"] if manager["leader"])
    made.kill("mdm", leader)
    manager_stall_s = load.wait().longest_s
    made.run("node", "start", str(leader))
    load = Load(uri, 8)
    time.sleep(2)
    made.kill("sds", 3)
    server_stall_s = load.wait().longest_s
    made.run("node", "start", "3")
    made.wait_healthy()
    return [
        Figure("longest write while the leading manager dies", manager_stall_s, "s", None, 1, True),
        Figure("longest write while a server dies", server_stall_s, "s", None, 5, True),
    ]


def _rebuild(made: Engine, uri: str) -> list[Figure]:
    """A server goes for good: its copies are remade; beside a plain copy of as many bytes."""
    before_s = Load(uri, 6).wait().p99_s
    used = {device["name"]: device["used_bytes"] for device in made.status()["devices"]}
    lost = [name for name in used if name.startswith("node-3-")]
    load = Load(uri, 20)
    time.sleep(1)
    began = time.monotonic()
    made.run("disk", "remove", "3", "1")
    seconds = time.monotonic() - began
    during_s = load.wait().p99_s
    moved = used[lost[0]]
    copied = _copy_rate(made.folder.parent, moved)
    return [
        Figure("moving a disk's data away", moved / seconds / 1e6, "MB/s", copied / 1e6, 0.4),
        Figure("p99 write while data moves", during_s * 1e6, "us", before_s * 1e6, 3, True),
    ]


def _copy_rate(folder: Path, size_bytes: int) -> float:
    """Bytes per second of `cp --sparse=never` here."""
    source, target = folder / "source", folder / "target"
    with source.open("wb") as file:
        for _ in range(size_bytes >> 20):
            file.write(b"\xa5" * (1 << 20))
    began = time.monotonic()
    subprocess.run(["cp", "--sparse=never", str(source), str(target)], check=True)
    subprocess.run(["sync", str(target)], check=True)
    seconds = time.monotonic() - began
    source.unlink()
    target.unlink()
    return size_bytes / seconds
