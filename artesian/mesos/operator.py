"""The operator API of the leading master: what agents and frameworks there are, and an agent's retirement."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from artesian.mesos import answers
from artesian.mesos.access import MesosAccess
from artesian.mesos.errors import MasterUnreachable, NotMesos
from artesian.mesos.masters import redirected

Json = dict[str, Any]

_PATH = "/api/v1"
_TIMEOUT_S, _CONNECT_TIMEOUT_S = 15.0, 5.0
_ATTEMPTS = 4


class Operator:
    """Safe to use from several threads. Raises ValueError if the master's address makes no sense.

    Every call raises MasterUnreachable, NotMesos, NotAllowed and Refused. `on_call` sees each as it is sent.
    """

    def __init__(self, access: MesosAccess, *, on_call: Callable[[Json], None] = lambda call: None) -> None:
        self._access = access
        self._masters = access.masters()
        self._on_call = on_call
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None

    def close(self) -> None:
        """Let go of connections; the next call makes new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def version(self) -> str:
        """The version of the leading master. Raises NotMesos also if it is too old for us."""
        found = self.call("GET_VERSION").get("get_version", {})
        version = found.get("version_info", {}).get("version")
        if not isinstance(version, str):
            raise NotMesos(f"what answers at {self._access.master} does not say its version, as Mesos does")
        answers.check_version(version, self._access.master)
        return version

    def agents(self) -> list[Json]:
        """Every agent that the master knows as registered: GET_AGENTS' `agents`."""
        return self._listed("GET_AGENTS", "agents")

    def recovered_agents(self) -> list[Json]:
        """AgentInfo of those that a former master had, and that have not come back to this one."""
        return self._listed("GET_AGENTS", "recovered_agents")

    def frameworks(self) -> list[Json]:
        """Every framework that is not completed: GET_FRAMEWORKS' `frameworks`."""
        return self._listed("GET_FRAMEWORKS", "frameworks")

    def mark_agent_gone(self, agent_id: str) -> None:
        """Declare that an agent will never come back. Its tasks are gone for certain only if it is."""
        self.call("MARK_AGENT_GONE", {"agent_id": {"value": agent_id}})

    def drain_agent(self, agent_id: str, max_grace_s: float | None = None, mark_gone: bool = False) -> None:
        """Have all tasks of an agent end and no new ones begin; then, if so asked, declare it gone."""
        body: Json = {"agent_id": {"value": agent_id}, "mark_gone": mark_gone}
        if max_grace_s is not None:
            body["max_grace_period"] = {"seconds": round(max_grace_s)}
        self.call("DRAIN_AGENT", body)

    def deactivate_agent(self, agent_id: str) -> None:
        """No more offers of this agent; its tasks go on."""
        self.call("DEACTIVATE_AGENT", {"agent_id": {"value": agent_id}})

    def reactivate_agent(self, agent_id: str) -> None:
        """Offers of this agent again, after it was drained or deactivated."""
        self.call("REACTIVATE_AGENT", {"agent_id": {"value": agent_id}})

    def maintenance_windows(self) -> list[Json]:
        """The windows of the maintenance schedule, those that are over too."""
        schedule = (
            self.call("GET_MAINTENANCE_SCHEDULE").get("get_maintenance_schedule", {}).get("schedule", {})
        )
        return list(schedule.get("windows", []))

    def call(self, type: str, body: Mapping[str, Any] | None = None) -> Json:
        """Any call; its answer, empty if Mesos answers with nothing."""
        call: Json = {"type": type}
        if body is not None:
            call[type.lower()] = dict(body)
        self._on_call(call)
        for _ in range(_ATTEMPTS):
            url = self._masters.url()
            response = self._post(url, call)
            if not answers.is_redirect(response.status_code):
                return self._read(response, url)
            self._masters.is_led_by(redirected(url, response.headers.get("Location")))
        raise MasterUnreachable("no Mesos master leads: each names another one")

    def _post(self, url: str, call: Json) -> httpx.Response:
        try:
            return self._connected().post(url + _PATH, json=call)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            self._masters.failed(url)
            text = f"the Mesos master at {url} cannot be reached: {error or type(error).__name__}"
            raise MasterUnreachable(text) from None

    def _read(self, response: httpx.Response, url: str) -> Json:
        if not answers.is_success(response.status_code):
            error = answers.problem(response.status_code, response.content, url)
            if isinstance(error, MasterUnreachable | NotMesos):
                self._masters.failed(url)
            raise error
        try:
            found = response.json() if response.content else {}
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise NotMesos(f"what answers at {url} is no Mesos master: it does not answer in JSON")
        return found

    def _listed(self, type: str, name: str) -> list[Json]:
        answer = self.call(type).get(type.lower())
        if not isinstance(answer, dict):
            raise NotMesos(f"what answers at {self._access.master} answers {type} as no Mesos master does")
        return list(answer.get(name, []))

    def _connected(self) -> httpx.Client:
        with self._lock:
            if self._client is None:
                self._client = httpx.Client(
                    auth=self._access.credentials(),
                    verify=self._access.trust(),
                    timeout=httpx.Timeout(_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S),
                    headers={"Accept": "application/json"},
                    trust_env=False,
                )
            return self._client
