"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

# Their tests share nothing and take long: they fill up the workers that have no other file left.
_SPREAD = ("simulation/test_seeds.py", "simulation/test_remedy_seeds.py", "simulation/test_drills.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of a file run one after the other in one worker: many share a cluster."""
    for item in items:
        path = item.nodeid.partition("::")[0]
        if not path.endswith(_SPREAD):
            item.add_marker(pytest.mark.xdist_group(path))


@pytest.fixture(autouse=True)
def plain_logs() -> Iterator[None]:
    """Every test logs as the others do. Tracebacks with all values in them take seconds to write."""
    renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, renderer])
    yield
    structlog.reset_defaults()
