"""A scheduler that waits until the leading one is gone, and says meanwhile who that is."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from artesian.api.problems import problem
from artesian.model.errors import ArtesianError
from artesian.store.journal import JournalStore
from artesian.store.port import NotLeading, StoreUnusable

_LOOK_S = 0.5

log = structlog.get_logger()


class Ending:
    """Somebody has told this process to end, perhaps while no server runs that would hear of it."""

    def __init__(self) -> None:
        self._told = False
        self._server: uvicorn.Server | None = None

    def tell(self) -> None:
        """For signals."""
        self._told = True
        if self._server is not None:
            self._server.should_exit = True

    def ends(self, server: uvicorn.Server) -> None:
        """From here on it is this server that ends."""
        self._server = server
        server.should_exit = self._told

    @property
    def is_told(self) -> bool:
        return self._told


class Standby:
    """Until the lead is ours. `open_again` makes another connection to the store."""

    def __init__(self, store: JournalStore | None, open_again: Callable[[], JournalStore]) -> None:
        self.because = "it has just been started"
        self.leader_url = ""
        self._store = store
        self._open_again = open_again
        self._ended = threading.Event()
        self._led: JournalStore | None = None

    def wait(self, listening: socket.socket, ending: Ending) -> JournalStore | None:
        """Wait, and answer whoever asks; the store with which we lead, or None if we are told to end."""
        server = uvicorn.Server(
            uvicorn.Config(
                make_standby_application(self),
                log_level="warning",
                access_log=False,
                timeout_graceful_shutdown=1,
            )
        )

        ending.ends(server)

        def look() -> None:
            while not self._ended.wait(_LOOK_S) and self._led is None:
                self._look()
            server.should_exit = True

        self._look()
        if self._led is not None:
            return self._led
        thread = threading.Thread(target=look, name="standby")
        thread.start()
        try:
            server.run(sockets=[listening.dup()])
        finally:
            self._ended.set()
            thread.join()
        if self._store is not None and (self._led is None or ending.is_told):
            self._store.close()
        return None if ending.is_told else self._led

    def _look(self) -> None:
        try:
            if self._store is None:
                self._store = self._open_again()
            self._store.lead()
            self._led = self._store
        except NotLeading as error:
            self._say(str(error), error.leader_url)
        except ArtesianError as error:  # StoreUnusable for one, which may pass
            self._say(str(error), "")
            if self._store is not None:
                with contextlib.suppress(StoreUnusable):
                    self._store.close()  # whatever it may have begun ends with its session
                self._store = None

    def _say(self, because: str, leader_url: str) -> None:
        if because != self.because:
            log.info("standing by", because=because)
        self.because, self.leader_url = because, leader_url


def make_standby_application(standby: Standby) -> Starlette:
    """/healthz says that we live; everything else is for the leader."""

    def alive(_request: Request) -> JSONResponse:
        document = {"alive": True, "leading": False, "leader": standby.leader_url, "because": standby.because}
        return JSONResponse(document)

    def other(_request: Request) -> JSONResponse:
        return problem(503, "not-leading", f"this scheduler does not lead: {standby.because}")

    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
    return Starlette(
        routes=[
            Route("/healthz", alive, methods=["GET"]),
            Route("/{path:path}", other, methods=methods),
        ]
    )
