"""What all tests share."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

_HEAVY = "pytest.mark.heavy"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Heavy files come first, then those of slow tests, as whoever is left with one at the end has everybody
    wait."""
    heavy, slow = (
        {item.path for item in items if item.get_closest_marker(name)} for name in ("heavy", "slow")
    )
    items.sort(key=lambda item: (item.path not in heavy, item.path not in slow))


class OneHeavyFileAtATime(LoadFileScheduling):  # type: ignore[misc]  # it has no types
    """Files are given to whoever is free, but all heavy ones to the same worker, one after the other."""

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        return _HEAVY if _is_heavy(self.config.rootpath / file) else file


@functools.cache
def _is_heavy(file: Path) -> bool:
    return _HEAVY in file.read_text()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneHeavyFileAtATime:
    return OneHeavyFileAtATime(config, log)


@pytest.fixture(autouse=True)
def plain_logs() -> Iterator[None]:
    """Every test logs as the others do. Tracebacks with all values in them take seconds to write."""
    renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, renderer])
    yield
    structlog.reset_defaults()
