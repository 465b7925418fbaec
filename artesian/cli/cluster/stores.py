"""The store of a cluster, as it is chosen when the cluster is made and erased when it is destroyed."""

from __future__ import annotations

import os
import time
from pathlib import Path

from artesian.model.errors import NotPossible
from artesian.scheduler.settings import load_settings
from artesian.store.opening import open_store
from artesian.store.port import NotLeading
from artesian.store.url import has_password, read_store_url
from artesian.store.who import Who

VARIABLE = "ARTESIAN_STORE"
_POLL_S = 0.2


def wanted_store(store: str | None) -> str | None:
    """The URL that `artesian up` was given, as an option or in the environment; somebody answers there.

    Raises NotPossible, SpecError, StoreUnusable.
    """
    if store is not None and has_password(store):
        raise NotPossible(
            "everybody on this machine can read a command line: put the password into a file that only you "
            f"can read, and add ?password_file=FILE to the URL; or give the URL in {VARIABLE}"
        )
    wanted = store or os.environ.get(VARIABLE) or None
    if wanted is not None:
        open_store(read_store_url(wanted), Who("artesian up")).close()
    return wanted


def erase_store(folder: Path) -> str | None:
    """Delete what a store that is no file knows of a cluster whose schedulers have ended; what was done.

    Raises StoreUnusable, NotLeading.
    """
    settings = load_settings(folder)
    if not settings.store:
        return None
    url = read_store_url(settings.store)
    deadline = time.monotonic() + 2 * url.session_s
    store = open_store(url, Who("artesian down"))
    try:
        while store.load().get("cluster", settings.cluster) == settings.cluster:
            try:
                store.lead()
                store.erase()
                return f"erased {url.shown}"
            except NotLeading:
                if time.monotonic() > deadline:  # a scheduler that was killed still leads for a session
                    raise
                time.sleep(_POLL_S)
    finally:
        store.close()
    return None
