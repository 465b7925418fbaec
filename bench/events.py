"""How long things take, and what applications feel meanwhile."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from artesian.embedded.local import volumes
from artesian.embedded.local.engine import LocalEngine
from artesian.embedded.local.status import status
from bench import fio
from bench.engine_run import VOLUME, engine
from bench.figures import Figure
from demo.engine import Engine

SIZE_BYTES = 1 << 30
FIRST_WRITE = fio.Job("first write", "write", 4096, 1, "IOPS")


class Load:
    """4 KiB random writes at a modest pace, and how long each took. Ends by itself, or with `stop`."""

    def __init__(self, uri: str, runtime_s: float) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._log = Path(self._folder.name) / "load"
        flags = ["--rw=randwrite", "--bs=4k", "--iodepth=4", "--rate_iops=2000", f"--size={SIZE_BYTES}"]
        flags += [f"--runtime={runtime_s}", "--time_based", "--thread", f"--write_lat_log={self._log}"]
        self.began = time.monotonic()
        self._process = subprocess.Popen(
            ["fio", "--name=load", *fio.nbd(uri), *flags], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def stop(self) -> None:
        """Let it end now."""
        self._process.send_signal(signal.SIGINT)

    def waits_s(self) -> list[tuple[float, float]]:
        """When each write ended (time.monotonic()), and how long it took, once the load has ended."""
        output, _ = self._process.communicate()
        if b"err= 0" not in output:
            raise RuntimeError(f"the load failed: {output.decode(errors='replace')[-500:]}")
        lines = (self._log.parent / "load_clat.1.log").read_text().splitlines()
        fields = (line.split(",") for line in lines)
        return [(self.began + int(at_ms) / 1e3, int(took_ns) / 1e9) for at_ms, took_ns, *_ in fields]


def _p99_s(waits: list[tuple[float, float]], begin: float, end: float) -> float:
    inside = sorted(took for at, took in waits if begin <= at <= end)
    return inside[len(inside) * 99 // 100]


def measure(quick: bool) -> list[Figure]:
    """Start, failures, rebuild."""
    began = time.monotonic()
    with engine() as made:
        local = LocalEngine(made.folder)
        volumes.create(local, VOLUME, 2 * SIZE_BYTES, thick=False)
        volumes.map_to_node(local, VOLUME, 1, read_only=False)
        _wait_until(made, lambda seen: bool(seen["mappings"] and seen["mappings"][0]["nbd"]), timeout_s=30)
        uri = status(local)["mappings"][0]["nbd"]
        fio.run(fio.nbd(uri), FIRST_WRITE, size_bytes=1 << 20, runtime_s=0.05, ramp_s=0)
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
    manager_stall_s = max(took for _, took in load.waits_s())
    made.run("node", "start", str(leader))
    load = Load(uri, 8)
    time.sleep(2)
    made.kill("sds", 3)
    server_stall_s = max(took for _, took in load.waits_s())
    made.run("node", "start", "3")
    made.wait_healthy()
    return [
        Figure("longest write while the leading manager dies", manager_stall_s, "s", None, 1, True),
        Figure("longest write while a server dies", server_stall_s, "s", None, 5, True),
    ]


def _rebuild(made: Engine, uri: str) -> list[Figure]:
    """A server goes for good, under the policy that pools begin with, then under the gentlest."""
    rate, p99 = _rebuild_once(made, uri)
    made.run("node", "start", "3")
    made.wait_healthy()
    _favor_applications(made)
    _, gentle = _rebuild_once(made, uri)
    return [
        rate,
        Figure("p99 write during a rebuild", *p99, 3, True),
        Figure("p99 write during a rebuild, favorAppIos", *gentle, 3, True),
    ]


def _favor_applications(made: Engine) -> None:
    with LocalEngine(made.folder).gateway() as gateway:
        for pool in gateway.list("StoragePool"):
            gateway.act("StoragePool", pool["id"], "setRebuildIoPriorityPolicy", {"policy": "favorAppIos"})


def _rebuild_once(made: Engine, uri: str) -> tuple[Figure, tuple[float, str, float]]:
    """The rate beside a plain copy of as many bytes; p99 of writes during it, its unit, and p99 before."""
    lost_bytes = sum(device["used_bytes"] for device in made.status()["devices"] if device["node"] == 3)
    load = Load(uri, 300)
    time.sleep(5)
    killed = time.monotonic()
    made.kill("sds", 3)
    _wait_until(made, _is_rebuilding, timeout_s=60)
    began = time.monotonic()
    _wait_until(made, lambda seen: not seen["pools"][0]["degraded_slices"], timeout_s=250)
    ended = time.monotonic()
    load.stop()
    waits = load.waits_s()
    before_s = _p99_s(waits, load.began + 1, killed)
    during_s = _p99_s(waits, began, ended)
    copied = _copy_rate(made.folder.parent, lost_bytes)
    rate = lost_bytes / (ended - began)
    figure = Figure("rebuild, beside cp and sync", rate / 1e6, "MB/s", copied / 1e6, 0.4)
    return figure, (during_s * 1e6, "us", before_s * 1e6)


def _wait_until(made: Engine, condition: Callable[[Any], bool], timeout_s: float) -> None:
    """Without a command for each look, which would take a processor from what is measured."""
    engine = LocalEngine(made.folder)
    deadline = time.monotonic() + timeout_s
    while not condition(status(engine)):
        if time.monotonic() > deadline:
            raise TimeoutError("the engine did not get there in time")
        time.sleep(0.1)


def _is_rebuilding(seen: Any) -> bool:
    return any(kind["reason"] == "rebuild" and kind["under_way"] for kind in seen["pools"][0]["healing"])


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
