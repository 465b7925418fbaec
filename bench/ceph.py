"""Ceph under the framework: how soon it is there, how soon a database goes on elsewhere, and the two engines
beside each other on the same machine, turn by turn.

What each gives is not the same: both keep two copies and acknowledge a write when both are stable; Ceph runs
on many machines, and is C++ with a path of its own to each disk; the embedded engine is Python and for one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench import fio
from bench.figures import Figure
from bench.footprint import resident_mb
from demo.cluster import Cluster
from demo.database import Load
from demo.story import choose_database
from tests.engines.ceph.installed import why_no_ceph

ENGINES = ("embedded", "ceph")
SIZE_BYTES = 1 << 30
_VOLUME = "bench"
_TICKS = os.sysconf("SC_CLK_TCK")


def measure(quick: bool) -> list[Figure]:
    """Nothing where there is no Ceph."""
    lacking = why_no_ceph() or ("mounts need root" if os.geteuid() != 0 else "")
    if lacking:
        print(f"skipped: Ceph cannot be measured here: {lacking}")
        return []
    rounds = 1 if quick else 3
    return [*_deployed(rounds), *_failed_over(rounds), *_beside_each_other(quick)]


@contextlib.contextmanager
def _cluster(engine: str, *, disks_per_node: int = 1) -> Iterator[tuple[Cluster, Path]]:
    """Bare nodes that have become storage, and a folder for mounts; gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="ab", dir="/tmp"))  # sockets have short paths
    folder.chmod(0o755)  # the database is another user
    cluster = Cluster(folder / "c")
    try:
        disks = ("--disks-per-node", str(disks_per_node), "--disk-size", "4GiB")
        cluster.run("up", "--engine", engine, "--nodes", "3", *disks, "--yes")
        yield cluster, folder
    finally:
        with contextlib.suppress(Exception):  # what was measured counts, also if taking it away fails
            cluster.down(destroy=True, discard=True)
        shutil.rmtree(folder, ignore_errors=True)


def _mount(cluster: Cluster, folder: Path) -> str:
    """A mounted volume's device."""
    mountpoint = str(folder / "m")
    made = cluster.run("volume", "create", _VOLUME, "2GiB", "--node", "node-1", "--mount", mountpoint)
    return str(made["device"])


def _deployed(rounds: int) -> list[Figure]:
    storage, mounted = [], []
    for _ in range(rounds):
        began = time.monotonic()
        with _cluster("ceph") as (cluster, folder):
            storage.append(time.monotonic() - began)
            _mount(cluster, folder)
            mounted.append(time.monotonic() - began)
    return [
        Figure("ceph: three bare nodes to whole storage", statistics.median(storage), "s"),
        Figure("ceph: … to the first mounted volume", statistics.median(mounted), "s", None, 20, True),
    ]


def _failed_over(rounds: int) -> list[Figure]:
    """A database's node is killed while it commits; the volume goes to another, and the database with it."""
    attached, answering = [], []
    for _ in range(rounds):
        with _cluster("ceph") as (cluster, folder):
            _mount(cluster, folder)
            database = choose_database(folder / "m", folder)
            database.start()
            load = Load(database.writer(), 1)
            load.wait_for(100, 60.0)
            load.stop()
            database.crash()
            began = time.monotonic()
            cluster.run("local", "off", "node-1")
            other = folder / "o"
            cluster.run("volume", "attach", _VOLUME, "--node", "node-2", "--mount", str(other))
            attached.append(time.monotonic() - began)
            database.move(other)
            database.start()
            lost = load.acknowledged - database.committed()
            answering.append(time.monotonic() - began)
            if lost:
                raise RuntimeError(f"{len(lost)} acknowledged rows are lost")
            database.stop()
    return [
        Figure("ceph: volume of a killed node mounted elsewhere", statistics.median(attached), "s"),
        Figure(
            f"ceph: … until its {database.name} answers there",
            statistics.median(answering),
            "s",
            None,
            20,
            True,
        ),
    ]


def _beside_each_other(quick: bool) -> list[Figure]:
    """Ceph's figures, with those of the embedded engine as the yardstick."""
    rounds, runtime_s = (1, 2.0) if quick else (3, 4.0)
    results: dict[tuple[str, str], list[float]] = {}
    with contextlib.ExitStack() as stack:
        clusters = {engine: stack.enter_context(_cluster(engine)) for engine in ENGINES}
        devices = {}
        for engine, (cluster, folder) in clusters.items():
            devices[engine] = _mount(cluster, folder)
            cluster.run("volume", "detach", _VOLUME)
            made = cluster.run("volume", "attach", _VOLUME, "--node", "node-1")  # a device, nothing mounted
            devices[engine] = str(made["device"])
            fio.fill(fio.block_device(devices[engine]), SIZE_BYTES)
        for job in fio.JOBS:
            for _ in range(rounds):
                for engine, (cluster, _folder) in clusters.items():
                    before = _cpu_s(cluster)
                    run = fio.run(
                        fio.block_device(devices[engine]),
                        job,
                        size_bytes=SIZE_BYTES,
                        runtime_s=runtime_s,
                        ramp_s=0,
                    )
                    spent_s = _cpu_s(cluster) - before
                    results.setdefault((engine, job.name), []).append(run.of(job))
                    cost = 1e6 * spent_s / max(1.0, run.iops * runtime_s)
                    results.setdefault((engine, f"{job.name}, processor"), []).append(cost)
        memory = {
            engine: sum(map(resident_mb, _engine_processes(one))) for engine, (one, _) in clusters.items()
        }
    medians = {key: statistics.median(values) for key, values in results.items()}
    figures = []
    for job in fio.JOBS:
        for name, unit in ((job.name, job.unit), (f"{job.name}, processor", "µs each")):
            figures.append(
                Figure(
                    f"ceph beside embedded: {name}", medians["ceph", name], unit, medians["embedded", name]
                )
            )
    figures.append(Figure("ceph beside embedded: memory of all", memory["ceph"], "MB", memory["embedded"]))
    return figures


def _engine_processes(cluster: Cluster) -> list[int]:
    """Those of the engine on all nodes, and those that bring the volume to its device."""
    nodes = cluster.status()["nodes"]
    engine = {int(one["process_id"]) for node in nodes for one in node["processes"] if one["running"]}
    bridges = {
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and _belongs_to(entry, cluster.folder)
    }
    return sorted(engine | bridges)


def _belongs_to(process: Path, folder: Path) -> bool:
    """Whether it is behind an attachment, or a volume, of this cluster."""
    try:
        words = (process / "cmdline").read_bytes()
    except OSError:
        return False
    return str(folder).encode() in words and (b"artesian.attach.bridge" in words or b"qemu-storage" in words)


def _cpu_s(cluster: Cluster) -> float:
    """What all of them have used of processors."""
    used = 0.0
    for process_id in _engine_processes(cluster):
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{process_id}/stat").read_text()
            fields = text[text.rindex(")") + 2 :].split()
            used += (int(fields[11]) + int(fields[12])) / _TICKS
    return used
