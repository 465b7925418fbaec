"""How much memory a server takes."""

from __future__ import annotations

import time
from pathlib import Path

from bench.engine_run import engine
from bench.figures import Figure


def resident_mb(process_id: int) -> float:
    """A process' resident memory in MB."""
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"process {process_id} says nothing of its memory")


def measure(quick: bool) -> list[Figure]:
    """A server with 100 GiB of slots, every one of them taken by a thick volume."""
    size = "10GiB" if quick else "100GiB"
    with engine(nodes=2, disks_per_node=1, disk_size="112GiB") as made:
        empty = resident_mb(made.process_ids("sds", 1)[0])
        made.run("volume", "create", "large", size, "--thick")
        time.sleep(2)
        full = resident_mb(made.process_ids("sds", 1)[0])
    return [
        Figure("an empty server", empty, "MB"),
        Figure(f"a server with {size} of slots in use", full, "MB", None, 80, True),
    ]
