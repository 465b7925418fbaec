"""Running fio and reading what it measured."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Job:
    """One workload; `block_bytes` per request, `depth` requests at a time."""

    name: str
    mode: str  # fio's rw=
    block_bytes: int
    depth: int
    unit: str  # "IOPS" | "MB/s"


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run measured."""

    iops: float
    bytes_per_s: float
    p99_us: float

    def of(self, job: Job) -> float:
        """The figure that this job is judged by."""
        return self.iops if job.unit == "IOPS" else self.bytes_per_s / 1e6


JOBS = (
    Job("4 KiB random write", "randwrite", 4096, 32, "IOPS"),
    Job("4 KiB random read", "randread", 4096, 32, "IOPS"),
    Job("1 MiB write", "write", 1 << 20, 8, "MB/s"),
    Job("1 MiB read", "read", 1 << 20, 8, "MB/s"),
)


def nbd(uri: str) -> list[str]:
    """fio's arguments for an NBD export."""
    return ["--ioengine=nbd", f"--uri={uri}"]


def block_device(path: str) -> list[str]:
    """fio's arguments for a block device, past the page cache."""
    return ["--ioengine=libaio", "--direct=1", f"--filename={path}"]


def run(target: list[str], job: Job, *, size_bytes: int, runtime_s: float, ramp_s: float = 0.5) -> Figures:
    """One run of one job. Raises CalledProcessError when fio fails."""
    options = {
        "rw": job.mode,
        "bs": job.block_bytes,
        "iodepth": job.depth,
        "size": size_bytes,
        "runtime": runtime_s,
        "ramp_time": ramp_s,
        "output-format": "json",
    }
    flags = [f"--{name}={value}" for name, value in options.items()]
    command = ["fio", "--name=bench", *target, *flags, "--time_based", "--randrepeat=1", "--thread"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    text = done.stdout[done.stdout.index("{") :]
    direction = "read" if "read" in job.mode else "write"
    measured = json.loads(text)["jobs"][0][direction]
    percentiles = measured["clat_ns"].get("percentile", {})
    return Figures(
        iops=measured["iops"],
        bytes_per_s=float(measured["bw_bytes"]),
        p99_us=percentiles.get("99.000000", 0) / 1000,
    )


def fill(target: list[str], size_bytes: int) -> None:
    """Write the whole range once, so that reads find data."""
    command = [
        "fio",
        "--name=fill",
        *target,
        "--rw=write",
        "--bs=1M",
        "--iodepth=4",
        f"--size={size_bytes}",
        "--thread",
    ]
    subprocess.run(command, capture_output=True, check=True)
