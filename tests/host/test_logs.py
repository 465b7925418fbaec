"""A log that nobody takes must not end anything."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest
import structlog

from artesian.host.logs import forgiving


def test_what_can_be_written_is() -> None:
    stream = io.StringIO()
    print("a line", file=forgiving(stream), flush=True)
    assert stream.getvalue() == "a line\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("factory", [structlog.PrintLoggerFactory, structlog.WriteLoggerFactory])
def test_a_full_disk_costs_lines_and_nothing_else(factory: type) -> None:
    took_all = []
    with contextlib.suppress(OSError), open("/dev/full", "w") as stream:
        with pytest.raises(OSError, match="No space left"):
            factory(stream)().info("x")
        logger = factory(forgiving(stream))()
        for _ in range(10):
            logger.info("x" * 5000)
        took_all.append(True)
    assert took_all


def test_a_closed_log_costs_nothing_either() -> None:
    stream = io.StringIO()
    stream.close()
    print("a line", file=forgiving(stream), flush=True)
