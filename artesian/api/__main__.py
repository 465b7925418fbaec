"""`python -m artesian.api FOLDER`: the scheduler of the cluster in a folder, and its API."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path

import structlog
import uvicorn

from artesian.api.agent_file import AgentFiles
from artesian.api.application import make_application
from artesian.api.opening import open_cluster
from artesian.host.files import write_durably
from artesian.host.logs import log_as_json
from artesian.model.errors import ArtesianError
from artesian.scheduler.loop import Scheduler
from artesian.store.sqlite import SqliteStore

log = structlog.get_logger()


def main(arguments: list[str]) -> int:
    """Runs until SIGTERM or SIGINT. Storage, mounts and agents go on without it."""
    if len(arguments) != 1:
        print("usage: python -m artesian.api FOLDER", file=sys.stderr)
        return 2
    log_as_json(sys.stdout)
    try:
        cluster = open_cluster(Path(arguments[0]))
        folder = cluster.folder / "scheduler"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        store = SqliteStore(folder / "store.sqlite")
        agent_files = AgentFiles(folder)
        url = f"http://{cluster.address}:{cluster.port}"
        substrate = cluster.substrate(store, url, lambda: agent_files.get().sha256)
        scheduler = Scheduler(store, substrate, folder, url)
        listening = socket.create_server((cluster.address, cluster.port))
    except (ArtesianError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    _write_access(folder / "api.json", url, scheduler.memory.secrets.api_token)
    server = uvicorn.Server(
        uvicorn.Config(
            make_application(scheduler, agent_files),
            log_level="warning",
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=2,
        )
    )

    def loop() -> None:
        try:
            scheduler.run()
        finally:
            server.should_exit = True  # nobody is served by an API without a loop behind it

    thread = threading.Thread(target=loop, name="loop")
    thread.start()
    log.info("scheduler", url=url, process_id=os.getpid())
    try:
        server.run(sockets=[listening])
    finally:
        failed = scheduler.has_ended  # before it was told to
        scheduler.stop()
        thread.join(30.0)
        substrate.close()
        store.close()
    if failed:
        log.error("the loop has ended by itself", reason=scheduler.last_error)
    return 1 if failed else 0


def _write_access(path: Path, url: str, token: str) -> None:
    """How the command line finds us; for the owner only."""
    write_durably(path, json.dumps({"url": url, "token": token, "process_id": os.getpid()}), 0o600)


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    sys.exit(main(sys.argv[1:]))
