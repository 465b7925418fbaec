"""An engine of its own for a measurement."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from demo.engine import Engine

VOLUME = "bench"


@contextlib.contextmanager
def engine(**options: object) -> Iterator[Engine]:
    """Three nodes with two disks each unless `options` say otherwise; gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="artesian-bench-"))
    made = Engine(folder / "engine")
    try:
        made.up(**options)  # type: ignore[arg-type]
        yield made
    finally:
        made.down(destroy=True)
        shutil.rmtree(folder, ignore_errors=True)


def mapped_volume(made: Engine, size: str, node: int = 1) -> str:
    """A new volume's NBD address."""
    made.run("volume", "create", VOLUME, size)
    made.run("map", VOLUME, str(node))
    return made.nbd_uri(VOLUME, node)
