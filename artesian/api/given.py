"""What whoever starts a scheduler may give it: the spec that the cluster is to have, and the API's token."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from artesian.api.routes import take_spec
from artesian.model.errors import ArtesianError
from artesian.scheduler.loop import Scheduler
from artesian.store.port import Store

_TOKEN_KEY = "secrets/api_token"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Given:
    """`spec`: a file with the spec; None: the one that is stored. `token`: empty: the one that is stored, or
    a new one. `token_file`: where it was read, if that was a file."""

    spec: Path | None = None
    token: str = field(default="", repr=False)
    token_file: str = ""

    def keep_token(self, store: Store) -> None:
        """For the leader, before anybody is served. Raises NotLeading, StoreUnusable."""
        if self.token and store.load().get(_TOKEN_KEY) != self.token:
            store.commit({_TOKEN_KEY: self.token})

    def access(self, url: str, token: str) -> dict[str, object]:
        """How the command line of this folder asks us. A token that somebody keeps elsewhere is not written
        down again: what is in a task's sandbox, whoever may see Mesos' agents may see too."""
        document: dict[str, object] = {"url": url, "process_id": os.getpid()}
        if self.token_file:
            document["token_file"] = self.token_file
        elif not self.token:
            document["token"] = token
        return document

    def take_spec(self, scheduler: Scheduler) -> None:
        """Before the first pass. With one that is refused the cluster goes on as it was."""
        if self.spec is None:
            return
        try:
            text = self.spec.read_text()
            if text == scheduler.memory.state.spec_text:
                return
            for warning in take_spec(scheduler, text, f"the scheduler was started with {self.spec.name}"):
                log.warning("spec", file=str(self.spec), warning=warning)
            log.info("spec taken", file=str(self.spec))
        except (ArtesianError, OSError, UnicodeDecodeError) as error:
            log.error("the spec is not taken", file=str(self.spec), reason=str(error))
            _tell(scheduler, f"{self.spec.name}, which the scheduler was started with, is not taken: {error}")


def _tell(scheduler: Scheduler, because: str) -> None:
    try:
        scheduler.memory.tell("spec", "spec", because)
    except ArtesianError as error:
        log.error("no event is stored", reason=str(error))
