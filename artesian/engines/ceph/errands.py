"""Work that may take long, and that nobody waits for to the end: who wants it done asks for it again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future


class Errands:
    """Each under a name of its own, a few of them `at_once`. They keep no program from ending."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._lock = threading.Lock()
        self._under_way: dict[str, Future[None]] = {}

    def attend_to(self, name: str, work: Callable[[], None], patience_s: float) -> bool:
        """Whether it is done; False if it is under way, or has to wait for others. Raises what it raises."""
        with self._lock:
            errand = self._under_way.get(name)
            if errand is None:
                if sum(not one.done() for one in self._under_way.values()) >= self._at_once:
                    return False
                errand = self._under_way[name] = Future()
                threading.Thread(target=_run, args=(errand, work), name=name, daemon=True).start()
        try:
            errand.result(timeout=patience_s)
        except TimeoutError:
            if not errand.done():
                return False
            raise
        finally:
            if errand.done():
                with self._lock:
                    self._under_way.pop(name, None)
        return True

    def when_done(self, then: Callable[[], None]) -> None:
        """What must not be before all are done; at once, if they are."""
        with self._lock:
            left = [one for one in self._under_way.values() if not one.done()]
        if not left:
            then()
            return

        def wait() -> None:
            for one in left:
                one.exception()
            then()

        threading.Thread(target=wait, name="after errands", daemon=True).start()


def _run(errand: Future[None], work: Callable[[], None]) -> None:
    try:
        work()
    except BaseException as error:  # noqa: BLE001  it is raised where it is asked for
        errand.set_exception(error)
    else:
        errand.set_result(None)
