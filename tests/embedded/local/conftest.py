"""Folders for engines, and real engines that are always taken away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from artesian.embedded.local import engine as engines
from artesian.embedded.local.engine import LocalEngine
from artesian.embedded.local.layout import Layout
from artesian.embedded.local.planning import Wish
from artesian.host import processes

from .impatient import ImpatientEngine

MIB = 1 << 20


def quiet(_text: str) -> None:
    """Progress that nobody watches."""


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Callable[..., LocalEngine]]:
    """Bring up the engine in `folder` (a name): `up(nodes=3, …)`. Its processes end with the test."""
    folders: set[Path] = set()

    def start(folder: str = "engine", **wish: int) -> LocalEngine:
        path = tmp_path / folder
        folders.add(path)
        if not path.exists():
            wish = {"disks_per_node": 1, "disk_size_bytes": 256 * MIB, "managers": 1} | wish
        engine, _ = engines.up(path, Wish(**wish), quiet)
        return engine

    yield start
    for folder in folders:
        for pid_file in Layout(folder).run.glob("*.pid"):
            identity = processes.running(pid_file)
            if identity is not None:
                processes.stop([identity], 0.0)


@pytest.fixture
def impatient(up: Callable[..., LocalEngine]) -> ImpatientEngine:
    return ImpatientEngine(up(nodes=3))
