"""A cluster with a real Ceph, also as Ceph's own tools see it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from demo.database import find_postgres
from tests.cluster import machine
from tests.cluster.cases import COMMAND_TIMEOUT_S, Cluster, unable_to_mount
from tests.cluster.writing import Writer
from tests.engines.ceph.installed import why_no_ceph
from tests.patience import eventually

SLOW_IOPS = 10
_THROTTLES = Path("/sys/fs/cgroup/blkio")


def why_not() -> str:
    """What is missing for a Ceph with a database on a volume, in words; empty if nothing is."""
    no_database = "" if find_postgres() is not None else "PostgreSQL is not installed"
    return why_no_ceph() or unable_to_mount() or no_database


class CephCluster(Cluster):
    """Nodes of one machine whose engine is Ceph."""

    def __init__(self) -> None:
        super().__init__()
        self._writers: list[Writer] = []
        self._frozen: list[int] = []

    # --- who uses it

    def writer(self, folder: Path) -> Writer:
        """One more program that uses a volume."""
        self._writers.append(Writer(folder, self.home / f"{len(self._writers)}.progress"))
        return self._writers[-1]

    # --- what Ceph says itself

    def ceph(self, *words: str) -> Any:
        """`ceph …`, as people have it on a node."""
        conf = next(self.folder.glob("nodes/*/agent/engine/ceph/ceph.conf"))
        done = subprocess.run(
            [
                "ceph",
                "-c",
                conf,
                "--connect-timeout",
                "20",
                "--format",
                "json",
                *words,
            ],
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
        )
        assert done.returncode == 0, f"ceph {' '.join(words)}: {done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    def pool_flags(self) -> str:
        """Of Ceph's own pool."""
        (pool,) = self.ceph("osd", "dump")["pools"]
        return str(pool["flags_names"])

    def unevenness(self) -> float:
        """By how many placement groups a disk is off what its size gives it."""
        disks: list[dict[str, float]] = self.ceph("osd", "df")["nodes"]
        share = sum(one["pgs"] for one in disks) / sum(one["crush_weight"] for one in disks)
        return max(abs(one["pgs"] - share * one["crush_weight"]) for one in disks)

    # --- processes

    def process(self, node: str, prefix: str) -> int | None:
        """The id of a node's process whose name begins so, as long as it runs."""
        for one in self.node(node)["processes"]:
            if one["name"].startswith(prefix) and one["running"]:
                return int(one["process_id"])
        return None

    def kill(self, node: str, prefix: str) -> int:
        """As a crash does; which process it was."""
        process_id = self.process(node, prefix)
        assert process_id is not None, f"no {prefix} runs on {node}"
        os.kill(process_id, signal.SIGKILL)
        return process_id

    def wait_for_another(self, node: str, prefix: str, before: int) -> float:
        """Until it has been started again, and all is well; how long it took."""
        began = time.monotonic()
        self.wait(f"{prefix} on {node}", lambda: self.process(node, prefix) not in (None, before))
        self.wait_healthy()
        return time.monotonic() - began

    def freeze(self, node: str) -> None:
        """Let all that runs on a node stand still, whoever starts something meanwhile."""
        while new := [one for one in machine.below(self.folder / "nodes" / node) if one not in self._frozen]:
            machine.send(new, signal.SIGSTOP)
            self._frozen += new

    def thaw(self) -> None:
        """Let them go on."""
        machine.send(self._frozen, signal.SIGCONT)
        self._frozen = []

    def destroy(self) -> None:
        super().destroy()  # first: a writer may wait for storage that stands still
        for writer in self._writers:
            writer.stop()


@contextlib.contextmanager
def slow_disk(process_id: int, folder: Path) -> Iterator[None]:
    """A process may write to the disk below a folder a few times a second only."""
    disk = folder.stat().st_dev
    group = _THROTTLES / f"artesian-{process_id}"
    group.mkdir()
    try:
        limit = f"{os.major(disk)}:{os.minor(disk)} {SLOW_IOPS}"
        (group / "blkio.throttle.write_iops_device").write_text(limit)
        (group / "cgroup.procs").write_text(str(process_id))
        yield
    finally:
        eventually(lambda: _is_emptied(group))


def _is_emptied(group: Path) -> bool:
    """Whether a control group is gone: it is busy for as long as a process that ends is in it."""
    try:
        for one in (group / "cgroup.procs").read_text().split():
            (_THROTTLES / "cgroup.procs").write_text(one)
        group.rmdir()
    except OSError as error:
        if error.errno not in (errno.EBUSY, errno.ESRCH):
            raise
        return False
    return True


def unable_to_slow_down() -> str:
    """Why no process can be slowed down on this machine; empty if it can."""
    if not (_THROTTLES / "blkio.throttle.write_iops_device").exists() or not os.access(_THROTTLES, os.W_OK):
        return f"{_THROTTLES} throttles nothing"
    return ""


@contextlib.contextmanager
def cut_off(address: str) -> Iterator[None]:
    """Nothing comes to an address of this machine, or from it, but from itself; nobody is told."""
    table = f"artesian-{address.replace('.', '-')}"
    rules = f"""
        table ip {table} {{
            chain out {{
                type filter hook output priority 0;
                ip saddr {address} ip daddr != {address} drop
                ip daddr {address} ip saddr != {address} drop
            }}
        }}
    """
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
    try:
        yield
    finally:
        subprocess.run(["nft", "delete", "table", "ip", table], check=True)


def unable_to_cut_off() -> str:
    """Why no address can be cut off on this machine; empty if it can."""
    if shutil.which("nft") is None:
        return "nft is not installed"
    done = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True)
    return done.stderr.strip()
