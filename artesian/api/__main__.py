"""`python -m artesian.api FOLDER [NUMBER]`: a scheduler of the cluster in a folder, and its API."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from artesian.api.opening import open_cluster
from artesian.api.process import run_alone, run_among_several
from artesian.host.logs import log_as_json
from artesian.model.errors import ArtesianError
from artesian.scheduler.settings import load_settings

_AGAIN = "--again"  # for one that has led before: the store may be away, and is waited for
_AGAIN_AFTER_S = 1.0


def main(arguments: list[str]) -> int:
    """Runs until SIGTERM or SIGINT. Storage, mounts and agents go on without it."""
    is_first = _AGAIN not in arguments
    plain = [one for one in arguments if one != _AGAIN]
    if len(plain) not in (1, 2) or not all(one.isdecimal() and int(one) > 0 for one in plain[1:]):
        print("usage: python -m artesian.api FOLDER [NUMBER]", file=sys.stderr)
        return 2
    log_as_json(sys.stdout)

    def again() -> int:
        time.sleep(_AGAIN_AFTER_S)
        os.execv(sys.executable, [sys.executable, "-P", "-m", "artesian.api", *plain, _AGAIN])

    try:
        cluster = open_cluster(Path(plain[0]))
        settings = load_settings(cluster.folder)
        if not settings.store:
            return run_alone(cluster)
        number = int(plain[1]) if len(plain) > 1 else 1
        return run_among_several(cluster, settings, number, again, is_first=is_first)
    except (ArtesianError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    sys.exit(main(sys.argv[1:]))
