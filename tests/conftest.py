"""What all tests share."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

_TURN_S = 2400  # whoever waits for his turn does not hang


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of slow tests come first, as whoever is left with one at the end has everybody wait. Heavy ones
    are spread among them, the first of them at the very beginning."""
    files = list(dict.fromkeys(item.path for item in items))
    slow, heavy = (
        {item.path for item in items if item.get_closest_marker(name)} for name in ("slow", "heavy")
    )
    longest = {item.path for item in items if item.get_closest_marker("takes_minutes")}
    order = [path for path in files if path in slow - heavy] + [path for path in files if path not in slow]
    spread = sorted((path for path in files if path in heavy), key=lambda path: path not in longest)
    between = len(slow - heavy) // len(spread) if spread else 0
    for number, path in enumerate(spread):
        order.insert(number * (between + 1), path)
    places = {path: place for place, path in enumerate(order)}
    items.sort(key=lambda item: places[item.path])
    for item in items:
        if item.path in heavy:
            item.add_marker(pytest.mark.timeout(_TURN_S))


@pytest.fixture(scope="module", autouse=True)
def one_heavy_file_at_a_time(request: pytest.FixtureRequest) -> Iterator[None]:
    """What keeps all processors busy by itself has to take turns."""
    if request.node.get_closest_marker("heavy") is None:
        yield
        return
    with (Path(tempfile.gettempdir()) / "artesian-heavy-tests.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield


@pytest.fixture(autouse=True)
def plain_logs() -> Iterator[None]:
    """Every test logs as the others do. Tracebacks with all values in them take seconds to write."""
    renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, renderer])
    yield
    structlog.reset_defaults()
