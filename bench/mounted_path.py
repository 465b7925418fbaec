"""fio with direct I/O on the block device that `attach` makes."""

from __future__ import annotations

import os
import statistics

from bench import fio
from bench.engine_run import VOLUME, engine, mapped_volume
from bench.figures import Figure

SIZE_BYTES = 1 << 30
AIMS = {
    "4 KiB random write": 0.7 * 21_000,
    "4 KiB random read": 0.7 * 27_000,
    "1 MiB write": 0.7 * 525,
    "1 MiB read": 0.7 * 768,
}


def measure(quick: bool) -> list[Figure]:
    """Nothing where no block device can be made."""
    if os.geteuid() != 0:
        print("skipped: making a block device needs root")
        return []
    rounds, runtime_s = (2, 2.0) if quick else (4, 4.0)
    figures = []
    with engine() as made:
        mapped_volume(made, "2GiB")
        device = made.run("attach", VOLUME, "--node", "1")["device"]
        try:
            fio.fill(fio.block_device(device), SIZE_BYTES)
            for job in fio.JOBS:
                results = [
                    fio.run(fio.block_device(device), job, size_bytes=SIZE_BYTES, runtime_s=runtime_s).of(job)
                    for _ in range(rounds)
                ]
                name = f"{job.name}, block device"
                figures.append(Figure(name, statistics.median(results), job.unit, None, AIMS[job.name]))
        finally:
            made.run("detach", VOLUME, "--node", "1")
    return figures
