"""What the NBD server itself costs: fio against an export in memory, beside `nbdkit memory`.

    python -m bench.nbd_null [--seconds 3]

Both serve from memory over a Unix socket and fio's nbd engine is the client; the ratio says how much of a
plain C server's speed is left before any storage is behind it. Two numbers that fio does not know are printed
too: the CPU time that our server spent per request, and the same for nbdkit.
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
from collections.abc import Iterator
from pathlib import Path

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


def measure(uri: str, process_id: int, job: fio.Job, seconds: float) -> tuple[float, float]:
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
    parser.add_argument("--seconds", type=float, default=3.0, help="length of each of the eight runs")
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
            our_uri, peer_uri = f"nbd+unix:///null?socket={ours}", f"nbd+unix:///?socket={theirs}"
            for uri in (our_uri, peer_uri):
                fio.fill(fio.nbd(uri), SIZE_BYTES)
            print(f"{'':24}{'ours':>12}{'nbdkit':>12}{'ratio':>8}{'our µs/req':>14}{'nbdkit µs/req':>16}")
            for job in fio.JOBS:
                figure, cost_us = measure(our_uri, mine.pid, job, options.seconds)
                yardstick, peer_cost_us = measure(peer_uri, peer.pid, job, options.seconds)
                ratio = figure / yardstick
                reached = reached and (job.block_bytes != 4096 or ratio >= TARGET)
                print(
                    f"{job.name:20}{job.unit:>4}{figure:12,.0f}{yardstick:12,.0f}{ratio:8.2f}"
                    f"{cost_us:14.1f}{peer_cost_us:16.1f}"
                )
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
