"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

_SLOW = ("takes_minutes", "slow")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of slow tests come first, and of them those that take minutes: whoever is left with one at the
    end has everybody wait."""
    marked = {name: {item.path for item in items if item.get_closest_marker(name)} for name in _SLOW}
    items.sort(key=lambda item: [item.path not in marked[name] for name in _SLOW])


@pytest.fixture(autouse=True)
def plain_logs() -> Iterator[None]:
    """Every test logs as the others do. Tracebacks with all values in them take seconds to write."""
    renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, renderer])
    yield
    structlog.reset_defaults()
