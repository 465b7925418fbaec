"""How long a lead is certain: by our own clock, from the moment at which it was last asked to go on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from artesian.store.keeper import Beaten, Keeper, Unclear
from artesian.store.port import StoreUnusable

_BEATS = 5  # in a session
_MARGIN = 1 / 3  # of the session, in which an effect that was begun can end


def boot_s() -> float:
    """Goes on while this machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Lease:
    """The service ends a lead no sooner than a session after the last question that it has answered; we
    count from when that was asked, and doubt earlier. For use from several threads."""

    def __init__(self, session_s: float, now: Callable[[], float] = boot_s) -> None:
        self._session_s = session_s
        self._now = now
        self._asked_s = float("-inf")

    def renew(self, asked_s: float) -> None:
        """An answer came to what was asked then."""
        self._asked_s = max(self._asked_s, asked_s)

    def check(self, shown: str) -> None:
        """Raises StoreUnusable when it is not certain any more."""
        silent_s = self._now() - self._asked_s
        if silent_s > self._session_s * (1 - _MARGIN):
            raise StoreUnusable(
                f"the store {shown} has not answered for {silent_s:.1f} s: whether this scheduler still "
                "leads is in doubt, and nothing is done meanwhile"
            )


class Heart:
    """Lets a lead last, beside everything else. `lost` is called once, when it is gone."""

    def __init__(self, keeper: Keeper, lease: Lease, lost: Callable[[str], object]) -> None:
        self._keeper = keeper
        self._lease = lease
        self._lost = lost
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lead", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(self._keeper.session_s / _BEATS):
            asked_s = boot_s()
            try:
                self._keeper.beat()
                self._lease.renew(asked_s)
            except Beaten as error:
                self._lost(str(error))
                return
            except (Unclear, StoreUnusable):
                continue  # the lease says by itself when that is too long

    def stop(self) -> None:
        """Let the lead end by itself."""
        self._ended.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(self._keeper.session_s)
