"""How much longer than on an idle machine a test waits, as other tests run beside it.

Only for what has to happen at some time: what has to happen soon is measured in `bench/`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 4.0


def eventually(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    """Wait for what another thread, or a process that this one has started, does at once."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, f"it never was so within {timeout_s:g} s"
        time.sleep(0.01)
