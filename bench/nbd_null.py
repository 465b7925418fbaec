"""What the NBD server itself costs: fio against an export in memory, beside `nbdkit memory`.

    python -m bench.nbd_null [--rounds 3] [--seconds 1]

Both serve from memory over a Unix socket and fio's nbd engine is the client; the ratio says how much of a
plain C server's speed is left before any storage is behind it. The two take turns, round by round, so that
other work on the machine meets both; the table has medians, and the lowest and highest ratio of a round.
Where those are far apart the machine was busy and the ratio says little. The CPU time that each server spent
per request is printed too, and depends far less on what else is running.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from bench import fio

SIZE_BYTES = 256 << 20
TARGET = 0.7  # of nbdkit, for 4 KiB


def serve(path: str) -> None:
    """Serve one memory export until the process is ended."""
    import uvloop

    from artesian.embedded.memory import keep_large_buffers
    from artesian.embedded.sdc.nbd import NbdServer
    from tests.embedded.sdc.nbd_memory import MemoryExport

    keep_large_buffers()

    async def work() -> None:
        export = MemoryExport("null", SIZE_BYTES)
        server = NbdServer(lambda name: export if name == export.name else None, lambda: [export.name])
        await server.start(path)
        await asyncio.Event().wait()

    uvloop.run(work())


@contextlib.contextmanager
def running(command: list[str], socket: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server process, up when its socket is there."""
    process = subprocess.Popen(command)
    try:
        while not socket.exists():
            if process.poll() is not None:
                raise RuntimeError(f"{command[0]} ended with {process.returncode}")
            time.sleep(0.01)
        yield process
    finally:
        process.terminate()
        process.wait()


def cpu_seconds(process_id: int) -> float:
    """User and system time that a process has used."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(uri: str, process_id: int, job: fio.Job, seconds: int) -> tuple[float, float]:
    """(the job's figure, microseconds of the server's CPU per request)."""
    before = cpu_seconds(process_id)
    figures = fio.run(fio.nbd(uri), job, size_bytes=SIZE_BYTES, runtime_s=seconds, ramp_s=0)
    requests = figures.iops * seconds
    return figures.of(job), (cpu_seconds(process_id) - before) / requests * 1e6


def main(argv: list[str]) -> int:
    """Print the table; the exit code tells whether the 4 KiB targets were reached."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="runs of each server and job")
    parser.add_argument("--seconds", type=int, default=1, help="length of a run; fio counts whole ones")
    parser.add_argument("--serve", metavar="SOCKET", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.serve:
        serve(options.serve)
        return 0
    reached = True
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = Path(folder) / "ours.sock", Path(folder) / "nbdkit.sock"
        nbdkit = ["nbdkit", "-f", "-U", str(theirs), "memory", str(SIZE_BYTES)]
        python = [sys.executable, "-m", "bench.nbd_null", "--serve", str(ours)]
        with running(nbdkit, theirs) as peer, running(python, ours) as mine:
            servers = (
                (f"nbd+unix:///null?socket={ours}", mine.pid),
                (f"nbd+unix:///?socket={theirs}", peer.pid),
            )
            for uri, _ in servers:
                fio.fill(fio.nbd(uri), SIZE_BYTES)
            print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors, {options.rounds} rounds")
            titles = ("ours", "nbdkit", "ratio", "lowest", "highest", "our µs", "its µs")
            print("{:24}{:>10}{:>10}{:>7}{:>8}{:>8}{:>9}{:>9}".format("", *titles))
            for job in fio.JOBS:
                ratio = compare(job, servers, options.rounds, options.seconds)
                reached = reached and (job.block_bytes != 4096 or ratio >= TARGET)
            print(f"load {os.getloadavg()[0]:.1f}")
    return 0 if reached else 1


def compare(job: fio.Job, servers: Sequence[tuple[str, int]], rounds: int, seconds: int) -> float:
    """Print one line; returns the median ratio."""
    figures: list[list[tuple[float, float]]] = [
        [measure(uri, process_id, job, seconds) for uri, process_id in servers] for _ in range(rounds)
    ]
    ratios = [ours / theirs for (ours, _), (theirs, _) in figures]
    ours, theirs, our_us, their_us = (
        median(found[server][field] for found in figures) for field in (0, 1) for server in (0, 1)
    )
    print(
        f"{job.name:19}{job.unit:>5}{ours:10,.0f}{theirs:10,.0f}{median(ratios):7.2f}"
        f"{min(ratios):8.2f}{max(ratios):8.2f}{our_us:9.1f}{their_us:9.1f}",
        flush=True,
    )
    return median(ratios)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
