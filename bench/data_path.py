"""fio over NBD: the engine (two copies, checksums, two hops) beside nbdkit's file plugin (one, none, one)."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from bench import fio
from bench.engine_run import engine, mapped_volume
from bench.figures import Figure
from bench.peer import nbdkit_file

SIZE_BYTES = 1 << 30
AIMS = {
    "4 KiB random write": 0.5,
    "4 KiB random read": 0.45,
    "1 MiB write": 0.4,
    "1 MiB read": 0.7,
}


def measure(quick: bool) -> list[Figure]:
    """Engine and yardstick in turns, the median of each."""
    rounds, runtime_s = (2, 2.0) if quick else (5, 4.0)
    figures = []
    with (
        tempfile.TemporaryDirectory() as folder,
        engine() as made,
        nbdkit_file(Path(folder), SIZE_BYTES) as peer,
    ):
        own = mapped_volume(made, "2GiB")
        for uri in (own, peer):
            fio.fill(fio.nbd(uri), SIZE_BYTES)
        for job in fio.JOBS:
            ours, theirs = [], []
            for _ in range(rounds):
                for uri, results in ((own, ours), (peer, theirs)):
                    run = fio.run(fio.nbd(uri), job, size_bytes=SIZE_BYTES, runtime_s=runtime_s)
                    results.append(run.of(job))
            figures.append(
                Figure(job.name, statistics.median(ours), job.unit, statistics.median(theirs), AIMS[job.name])
            )
    return figures
