"""How fast a join copies: the limit that the managers set, which may change while it runs."""

from __future__ import annotations

import asyncio

BUSY_OPERATIONS_PER_S = 20.0
SAMPLE_S = 0.25


class Pace:
    """A limit in bytes per second; 0: none. It may hold only while applications use the device."""

    def __init__(self) -> None:
        self.limit_bytes_per_s = 0
        self.while_busy_only = False
        self._next_at = 0.0
        self._sampled_at = -SAMPLE_S
        self._sampled_operations = 0
        self._busy = True  # until it is known to be idle

    async def wait(self, size_bytes: int, operations: int) -> None:
        """Wait until so many bytes may be copied. `operations`: what applications have done here so far."""
        now = asyncio.get_running_loop().time()
        self._sample(now, operations)
        if not self.limit_bytes_per_s or (self.while_busy_only and not self._busy):
            return
        wait_s = self._next_at - now
        self._next_at = max(self._next_at, now) + size_bytes / self.limit_bytes_per_s
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    def _sample(self, now: float, operations: int) -> None:
        elapsed_s = now - self._sampled_at
        if elapsed_s < SAMPLE_S:
            return
        if self._sampled_at >= 0:
            self._busy = operations - self._sampled_operations > BUSY_OPERATIONS_PER_S * elapsed_s
        self._sampled_at, self._sampled_operations = now, operations
