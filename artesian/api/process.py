"""A scheduler with its API as a process: alone with a file, or one of several that share a store."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import structlog
import uvicorn

from artesian.api.agent_file import AgentFiles
from artesian.api.application import make_application
from artesian.api.given import Given
from artesian.api.opening import OpenedCluster
from artesian.api.standby import Ending, Standby
from artesian.host.files import write_durably
from artesian.model.errors import ArtesianError, Conflict
from artesian.scheduler.loop import Scheduler
from artesian.scheduler.settings import ENDED, SchedulerSettings, home_of, urls_of
from artesian.store.journal import JournalStore
from artesian.store.opening import open_store
from artesian.store.port import Store
from artesian.store.sqlite import SqliteStore
from artesian.store.url import read_store_url
from artesian.store.who import Who

_CLUSTER = "cluster"  # the document that says whose a store is

log = structlog.get_logger()


def _ending_in_good_order() -> Ending:
    """Who is told to end finishes the present pass, and gives back the lead. Uvicorn, which has handlers of
    its own while it serves, raises a signal once more when it has ended."""
    ending = Ending()
    for told in (signal.SIGTERM, signal.SIGINT):
        signal.signal(told, lambda *_: ending.tell())
    return ending


def run_alone(cluster: OpenedCluster, given: Given) -> int:
    """With a file. Raises ArtesianError, OSError when it cannot begin."""
    ending = _ending_in_good_order()
    home = home_of(cluster.folder, 1)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    (home / ENDED).unlink(missing_ok=True)
    agent_files = _agent_files(cluster, home)
    store = SqliteStore(home / "store.sqlite")
    store.lead()
    given.keep_token(store)
    url = f"http://{cluster.address}:{cluster.port}"
    substrate = cluster.substrate(store, url, lambda: agent_files.get().sha256)
    scheduler = Scheduler(store, substrate, home, url)
    listening = socket.create_server((cluster.address, cluster.port))
    failed = _serve(scheduler, store, listening, url, ending, agent_files, given)
    substrate.close()
    return 1 if failed else 0


def run_among_several(
    cluster: OpenedCluster,
    settings: SchedulerSettings,
    number: int,
    given: Given,
    again: Callable[[], int],
    *,
    is_first: bool,
) -> int:
    """Wait for the lead, and lead. One that has lost the lead begins `again` as a whole: nothing that it was
    about to do goes on. Raises ArtesianError, OSError when it cannot begin for the first time."""
    home = home_of(cluster.folder, number)
    home.mkdir(exist_ok=True, mode=0o700)
    agent_files = _agent_files(cluster, home)
    port = cluster.port + number - 1
    url = f"http://{cluster.address}:{port}"
    ending = _ending_in_good_order()
    listening = socket.create_server((cluster.address, port))
    store_url = read_store_url(settings.store)

    def open_it() -> JournalStore:
        store = open_store(store_url, Who(f"{number} on {socket.gethostname()}", url))
        _check_cluster(store, settings)
        return store

    standby = Standby(open_it() if is_first else None, open_it)
    log.info("scheduler waits", url=url, process_id=os.getpid())
    store = standby.wait(listening, ending)
    if store is None:
        return 0
    try:
        _mark(store, settings)
        given.keep_token(store)
        substrate = cluster.substrate(store, url, lambda: agent_files.get().sha256)
        urls = urls_of(cluster.address, cluster.port, settings)
        scheduler = Scheduler(store, substrate, home, ",".join(urls))
    except ArtesianError as error:
        store.close()
        if is_first or isinstance(error, Conflict):
            raise
        log.error("the lead is given up", reason=str(error))
        return again()
    failed = _serve(scheduler, store, listening, url, ending, agent_files, given)
    substrate.close()
    if scheduler.has_lost_lead:
        return again()
    return 1 if failed else 0


def _agent_files(cluster: OpenedCluster, home: Path) -> AgentFiles:
    """The file that nodes fetch is made before anybody waits for the first pass, as that takes seconds."""
    files = AgentFiles(home)
    if cluster.gives_agent:
        try:
            files.get()
        except OSError as error:
            log.warning("the agent's file cannot be made yet", reason=str(error))  # each pass tries it again
    return files


def _check_cluster(store: JournalStore, settings: SchedulerSettings) -> None:
    """A store is one cluster's. Raises Conflict."""
    if store.load().get(_CLUSTER, settings.cluster) != settings.cluster:
        shown = store.shown
        store.close()
        raise Conflict(f"what is in the store {shown} belongs to another cluster: give this one another path")


def _mark(store: JournalStore, settings: SchedulerSettings) -> None:
    """For the leader. Raises Conflict."""
    _check_cluster(store, settings)
    if _CLUSTER not in store.load():
        store.commit({_CLUSTER: settings.cluster})


def _serve(
    scheduler: Scheduler,
    store: Store,
    listening: socket.socket,
    url: str,
    ending: Ending,
    agent_files: AgentFiles,
    given: Given,
) -> bool:
    """Until we are told to end; whether the loop has ended by itself."""
    access = given.access(url, scheduler.memory.secrets.api_token)
    write_durably(scheduler.folder / "api.json", json.dumps(access), 0o600)
    server = uvicorn.Server(
        uvicorn.Config(
            make_application(scheduler, agent_files),
            log_level="warning",
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=2,
        )
    )
    ending.ends(server)

    def loop() -> None:
        try:
            given.take_spec(scheduler)
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
        store.close()
    if failed:
        log.error("the loop has ended by itself", reason=scheduler.last_error)
    return failed
