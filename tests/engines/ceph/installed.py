"""Whether a real Ceph can be run on this machine."""

from __future__ import annotations

import functools
import shutil

from artesian.engines.ceph.bindings import load_rbd
from artesian.engines.ceph.errors import BindingsMissing

_PROGRAMS = ("ceph-mon", "ceph-mgr", "ceph-osd", "monmaptool", "qemu-storage-daemon")


@functools.cache
def why_no_ceph() -> str:
    """What is missing, in words; empty if nothing is."""
    missing = [one for one in _PROGRAMS if shutil.which(one) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    try:
        load_rbd()
    except BindingsMissing as error:
        return str(error)
    return ""
