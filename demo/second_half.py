"""The second half of the story: a pool fills up, and a disk dies; nobody is called.

A writer fills the pool with data that can be checked, to 98 % of what it could hold, while the database
commits. The framework has new disks made and gives them to the pool; then a disk loses everything, and
another takes its place. Nobody who writes sees an error.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

from demo.cluster import Cluster
from demo.database import Database, Load
from demo.engines import EngineKind
from demo.machines import Machines
from demo.telling import Story

MIB = 1 << 20
FULL_AT = 0.95
WANTED = 0.98
SPEC = f"""
engine: ENGINE
new_disks: NEW
new_nodes: ask
default_rules: no
providers:
  - PROVIDER
budget: {{disks_total: 8}}
rules:
  - name: pool-is-full
    scope: pool
    when: used_share >= {FULL_AT:.0%}
    remedy: expand-pool
    for: 5s
    approval: automatic
    cooldown: 1m
  - name: dead-disk
    scope: device
    when: failed and ours
    remedy: replace-device
    approval: automatic
"""
_TIMEOUT_S = 600.0


class Filler:
    """Writes blocks that are random and known, each synced before it counts."""

    def __init__(self, path: Path) -> None:
        self.longest_wait_s = 0.0
        self.error: OSError | None = None
        self.goal_bytes = 0
        self._path = path
        self._digests: list[bytes] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def written_bytes(self) -> int:
        """What is acknowledged."""
        return len(self._digests) * MIB

    def stop(self) -> None:
        """Finish the block under way."""
        self._ending.set()
        self._thread.join(_TIMEOUT_S)

    def wrong_blocks(self) -> int:
        """How many acknowledged blocks are not what was written, read from the storage again."""
        wrong = 0
        with self._path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            for digest in self._digests:
                wrong += hashlib.sha256(file.read(MIB)).digest() != digest
        return wrong

    def _run(self) -> None:
        chance = random.Random(1)
        try:
            with self._path.open("wb", buffering=0) as file:
                while not self._ending.is_set():
                    if self.written_bytes >= self.goal_bytes:
                        self._ending.wait(0.02)
                        continue
                    block = chance.randbytes(MIB)
                    began = time.monotonic()
                    file.write(block)
                    os.fdatasync(file.fileno())
                    self.longest_wait_s = max(self.longest_wait_s, time.monotonic() - began)
                    self._digests.append(hashlib.sha256(block).digest())
        except OSError as error:
            self.error = error


def fills_up(
    story: Story, cluster: Cluster, machines: Machines, engine: EngineKind, load: Load, folder: Path
) -> Filler:
    """The pool is filled, and grows by itself."""
    story.chapter("A volume is filled with data until its pool is full, while the database commits")
    spec = folder / "rules.yaml"
    text = SPEC.replace("PROVIDER", machines.provider).replace("NEW", machines.new_disks)
    spec.write_text(text.replace("ENGINE", engine.name))
    cluster.run("apply", "--spec", str(spec), "--yes")
    machines.put_in_spares()
    mountpoint = folder / "archive"
    cluster.run("volume", "create", "archive", "8GiB", "--node", "node-4", "--mount", str(mountpoint))
    filler = Filler(mountpoint / "archive.bin")
    pool = _pool(cluster)
    capacity = pool["capacity_bytes"]
    _write_until(filler, cluster, FULL_AT - 0.03)
    story.show(cluster.text("pool", "show", pool["name"]))
    story.check("nothing is done before the rule says so", not _remedies(cluster, "expand-pool"))
    pool = _pool(cluster)
    missing = WANTED + 0.013 - pool["used_share"]
    filler.goal_bytes = filler.written_bytes + int(missing * pool["capacity_bytes"] / 2)  # in one burst
    reached, remedy = _watch(cluster, "expand-pool")
    story.check(f"the pool was {reached:.1%} full, and grew by itself: {remedy['because']}",
                reached >= WANTED and remedy["state"] == "helped",
                **_times(remedy))  # fmt: skip
    pool = _pool(cluster)
    story.check(f"{len(remedy['parts'])} new disks are in it, and it is {pool['used_share']:.0%} full now",
                pool["used_share"] < FULL_AT and pool["capacity_bytes"] > capacity)  # fmt: skip
    _went_on(story, load, filler, "expansion")
    cluster.wait_healthy()
    return filler


def disk_dies(
    story: Story, cluster: Cluster, machines: Machines, engine: EngineKind, load: Load, filler: Filler
) -> None:
    """A disk is lost with all that is on it while all write, and is replaced."""
    disk = machines.dev("node-2") / "sdb"
    story.chapter(f"A disk of node-2 dies: {disk.name} {engine.dies}")
    before = {one["id"] for one in _remedies(cluster, "replace-device")}
    engine.let_die(disk)
    server = cluster.process_id("node-2", engine.server)
    if server is not None:
        os.kill(server, signal.SIGKILL)
    filler.goal_bytes += 64 * MIB
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        new = [one for one in _remedies(cluster, "replace-device") if one["id"] not in before]
        if (new and not new[0]["open"]) or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    story.check("it is noticed, taken out, and another one is in its place",
                bool(new) and new[0]["state"] == "helped",
                **(_times(new[0]) if new else {}))  # fmt: skip
    _went_on(story, load, filler, "disk_death")
    healed_s = cluster.wait_healthy()
    story.check("everything has two good copies again", True, healed_after_s=round(healed_s, 2))


def everything_is_there(story: Story, database: Database, load: Load, filler: Filler) -> None:
    """What was acknowledged is read again."""
    load.stop()
    filler.stop()
    missing = load.acknowledged - database.committed()
    story.check(f"every acknowledged row is there: {len(load.acknowledged)} of {len(load.acknowledged)}"
                if not missing else f"{len(missing)} acknowledged rows are LOST", not missing)  # fmt: skip
    wrong = filler.wrong_blocks()
    story.check(f"every block of the archive is what was written: {filler.written_bytes >> 20} MiB"
                if not wrong else f"{wrong} blocks are WRONG", not wrong)  # fmt: skip


def _pool(cluster: Cluster) -> Any:
    return cluster.run("pool", "list")[0]


def _remedies(cluster: Cluster, kind: str) -> list[Any]:
    return [one for one in cluster.run("remedies", "list", "--all") if one["kind"] == kind]


def _write_until(filler: Filler, cluster: Cluster, share: float) -> None:
    """Until the pool is so full. Its devices fill up unevenly, so that the last part is written in steps."""
    deadline = time.monotonic() + _TIMEOUT_S
    while (pool := _pool(cluster))["used_share"] < share and filler.error is None:
        missing = int((share - pool["used_share"]) * pool["capacity_bytes"] / 2)
        filler.goal_bytes = filler.written_bytes + max(MIB, missing * 9 // 10)
        while filler.written_bytes < filler.goal_bytes and filler.error is None:
            if time.monotonic() > deadline:
                raise TimeoutError("the pool is not filled in time")
            time.sleep(0.05)
        time.sleep(3.0)  # what was written just now is counted a moment later


def _watch(cluster: Cluster, kind: str) -> tuple[float, Any]:
    """How full the pool was at most, and the remedy once it is closed."""
    reached, deadline = 0.0, time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline:
        reached = max(reached, _pool(cluster)["used_share"])
        closed = [one for one in _remedies(cluster, kind) if not one["open"]]
        if closed:
            return reached, closed[0]
        time.sleep(0.2)
    raise TimeoutError(f"no {kind} in time; the pool was {reached:.0%} full")


def _times(remedy: Any) -> dict[str, float]:
    """From the firing of the rule until its disks were used, and until it had helped."""
    used = [part["since_s"] for part in remedy["parts"] if part["state"] == "in use"]
    times = {"helped_after_s": round(remedy["changed_s"] - remedy["created_s"], 2)}
    if used:
        times["disks_in_use_after_s"] = round(max(used) - remedy["created_s"], 2)
    return times


def _went_on(story: Story, load: Load, filler: Filler, name: str) -> None:
    story.survives(load, "the database went on without an error", name)
    problem = f" ({filler.error})" if filler.error else ""
    wait_s, filler.longest_wait_s = round(filler.longest_wait_s, 3), 0.0
    figures = {f"{name}_longest_write_s": wait_s}
    story.check(f"the writer of the archive saw no error{problem}", filler.error is None, **figures)
