"""Work that may hang for ever, such as asking a disk or a mount that does not answer."""

from __future__ import annotations

import threading
from collections.abc import Callable

Begin = Callable[[Callable[[], None]], None]


def in_daemon_thread(name: str) -> Begin:
    """Begins work in threads of this name, which do not keep the agent from ending."""

    def begin(work: Callable[[], None]) -> None:
        threading.Thread(target=work, name=name, daemon=True).start()

    return begin
