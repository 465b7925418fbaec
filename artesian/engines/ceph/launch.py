"""What every process of ours begins as: `python -m artesian.engines.ceph.launch CONFIG LOCK`.

It waits for what its daemon needs, and then becomes that daemon: its process id stays, and so does the lock
that says that it runs. `LOCK` is the descriptor that holds it.
"""

from __future__ import annotations

import importlib
import os
import resource
import sys
import time
from pathlib import Path
from typing import NoReturn

from artesian.engines.ceph.errors import CephNodeError
from artesian.engines.ceph.process_config import Role, read_config
from artesian.engines.ceph.waiting import Command
from artesian.host.single import Single

_MODULES = {
    Role.CLIENT: "client_process",
    Role.VOLUME: "volume_process",
    Role.PACKAGES: "packages",
    Role.CLEARING: "clearing_process",
    Role.OSD: "osd_process",
    Role.MGR: "mgr_process",
    Role.MON: "mon_process",
}


def main(arguments: list[str]) -> int:
    """The config's path and the lock's descriptor."""
    path, lock = Path(arguments[0]), int(arguments[1])
    os.umask(0o077)
    try:
        config = read_config(path)
        single = Single(config.home / "run", config.name)
        if not single.be_it(lock):
            say(f"{config.name} runs already")
            return 0
        single.name_it(os.getpid())
        module = importlib.import_module(f"artesian.engines.ceph.{_MODULES[config.role]}")
        command: Command | None = module.prepare(path)
        if command is not None:
            _become(command, lock)
    except (CephNodeError, OSError, ValueError) as error:
        say(f"error: {' '.join(str(error).split())}")
        return 1
    return 0


def say(what: str) -> None:
    """A line of the log."""
    print(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {what}", flush=True)


def _become(command: Command, lock: int) -> NoReturn:
    say(f"becomes {' '.join(command.words)}")
    os.set_inheritable(lock, True)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # Daemons have a Python inside, which is not ours.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    os.execvpe(command.words[0], [*command.words], environment | dict(command.environment))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
