"""Talking to the scheduler, with nothing but the standard library."""

from __future__ import annotations

import http.client
import json
from typing import Any, Self
from urllib.parse import quote, urlsplit

from artesian.agent.config import AgentConfig
from artesian.model.errors import ArtesianError, Conflict, NotPossible, NotThere

_CONNECT_S = 5.0


class SchedulerUnreachable(ArtesianError):
    """The scheduler does not answer, or does not want this agent: go on with what was assigned last."""


class SchedulerRefuses(SchedulerUnreachable):
    """The scheduler that leads has said no: `error` is what it has met."""

    def __init__(self, error: ArtesianError) -> None:
        super().__init__(f"the scheduler refuses: {error}")
        self.error = error


_REFUSALS = {  # what problems are called for programs
    "not-there": NotThere, "conflict": Conflict, "not-possible": NotPossible, "malformed": NotPossible,
}  # fmt: skip


class SchedulerClient:
    """One connection, made anew when it breaks. For one thread.

    `urls`: of all schedulers, with commas between them. The one that leads is found by asking in turn.
    """

    def __init__(self, urls: str, token: str, node: str) -> None:
        self._places = [urlsplit(url) for url in urls.split(",")]
        self._at = 0
        self._token = token
        self._base = f"/v1/agents/{quote(node, safe='')}"
        self._connection: http.client.HTTPConnection | None = None

    @classmethod
    def of(cls, config: AgentConfig) -> Self:
        """That of an agent with this config."""
        return cls(config.scheduler_url, config.token, config.node)

    def report(self, document: dict[str, Any]) -> None:
        """Say how things are. Raises SchedulerUnreachable."""
        self._request("PUT", f"{self._base}/report", document, timeout_s=10.0)

    def assignment(self, have: str, wait_s: float) -> tuple[str, dict[str, Any]] | None:
        """The assignment and its generation when it is not `have`; None if nothing has changed in `wait_s`.

        Raises SchedulerUnreachable.
        """
        path = f"{self._base}/assignment?have={quote(have, safe='')}&wait_s={wait_s:g}"
        answer = self._request("GET", path, None, timeout_s=wait_s + 10.0)
        if not answer:
            return None
        return str(answer["generation"]), dict(answer["assignment"])

    def ask(self, method: str, path: str, body: dict[str, Any] | None, timeout_s: float = 10.0) -> Any:
        """Anything else below this node's path. Raises SchedulerUnreachable, SchedulerRefuses."""
        return self._request(method, self._base + path, body, timeout_s)

    @property
    def is_one_of_several(self) -> bool:
        """Whether there are schedulers that wait for the one that leads to be gone."""
        return len(self._places) > 1

    def _request(self, method: str, path: str, body: dict[str, Any] | None, timeout_s: float) -> Any:
        """Of the scheduler that has answered last, else of each of the others."""
        for turn in range(len(self._places)):
            try:
                return self._request_one(method, path, body, timeout_s)
            except SchedulerRefuses:
                raise  # none of the others leads
            except SchedulerUnreachable:
                self.close()
                self._at = (self._at + 1) % len(self._places)
                if turn + 1 == len(self._places):
                    raise
        return None

    def _request_one(self, method: str, path: str, body: dict[str, Any] | None, timeout_s: float) -> Any:
        host, port = self._places[self._at].hostname or "", self._places[self._at].port or 80
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        text = json.dumps(body).encode() if body is not None else None
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(host, port, timeout=min(timeout_s, _CONNECT_S))
                self._connection.connect()
            self._connection.timeout = timeout_s
            if self._connection.sock is not None:
                self._connection.sock.settimeout(timeout_s)
            self._connection.request(method, path, text, headers)
            response = self._connection.getresponse()
            data = response.read()
            if response.status >= 400:
                _check_refusal(data)
                words = data[:300].decode(errors="replace")
                raise SchedulerUnreachable(f"the scheduler answers {response.status}: {words}")
            return json.loads(data) if data else None
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            reason = str(error) or type(error).__name__
            raise SchedulerUnreachable(f"the scheduler at {host} cannot be reached: {reason}") from None

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _check_refusal(data: bytes) -> None:
    """Raises SchedulerRefuses for a problem document of ours that says no: anything may be at an address."""
    try:
        problem = json.loads(data)
        kind, detail = str(problem["type"]).rpartition(":")[2], str(problem["detail"])
        ours = str(problem["type"]).startswith("urn:artesian:problem:")
    except (ValueError, KeyError, TypeError):
        return
    if ours and kind in _REFUSALS:
        raise SchedulerRefuses(_REFUSALS[kind](detail))
