"""A session with a PowerFlex gateway: logging in, lists of objects, actions, and what its errors mean."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from artesian.engines.port import ChangeRefused, EngineUnreachable, NotYet

Json = dict[str, Any]

_TIMEOUT_S, _CONNECT_TIMEOUT_S = 10.0, 5.0
_FIRST_SERVER_ERROR = 500
# PowerFlex reports refusals of its managers with status 500 and a number of their own; these are none.
_UNKNOWN_ERRORS = (0, 1)
# A server does not answer, something is still being removed, or a disk is not back yet: it ends by itself.
_PASSING_ERRORS = (69, 103, 135, 145, 415)


class GatewaySession:
    """Talks to one gateway. Logs in when it is first used, and anew when a session has ended.

    Every request raises EngineUnreachable, ChangeRefused, or NotYet for what passes by itself. Without a
    certificate those of the public authorities are trusted. Safe to use from several threads.
    """

    def __init__(
        self,
        url: str,
        user: str,
        password: str,
        certificate: Path | None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._url = url
        self._user = user
        self._password = password
        self._certificate = certificate
        self._transport = transport
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None
        self._token: str | None = None

    def close(self) -> None:
        """Let go of connections; the next request makes new ones."""
        with self._lock:
            client, self._client, self._token = self._client, None, None
        if client is not None:
            client.close()

    def everything(self) -> Json:
        """All objects of the engine at one moment: lists by names such as "volumeList"."""
        return self._object(self._request("GET", "/api/instances"))

    def all_of(self, kind: str) -> list[Json]:
        """Every object of a type, such as "Volume"."""
        found = self._request("GET", f"/api/types/{kind}/instances")
        if not isinstance(found, list):
            raise self._nonsense()
        return found

    def create(self, kind: str, parameters: Mapping[str, Any], *, slow: bool = False) -> None:
        """Create an object. `slow`: it may take longer than the timeout, which raises NotYet then."""
        self._request("POST", f"/api/types/{kind}/instances", parameters, slow=slow)

    def act(
        self,
        kind: str,
        object_id: str,
        action: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        slow: bool = False,
    ) -> None:
        """Carry out an action on an object. `slow` as for `create`."""
        path = f"/api/instances/{kind}::{object_id}/action/{action}"
        self._request("POST", path, parameters or {}, slow=slow)

    def manager_cluster(self) -> Json:
        """Who leads, who follows, and who only votes."""
        return self._object(self._request("POST", "/api/instances/System/queryMdmCluster", {}))

    def statistics(self, kind: str, properties: list[str]) -> dict[str, Json]:
        """These figures of every object of a type, by its id."""
        path = f"/api/types/{kind}/instances/action/querySelectedStatistics"
        return self._object(self._request("POST", path, {"allIds": "", "properties": properties}))

    def _request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, slow: bool = False
    ) -> Any:
        token = self._token or self._log_in(None)
        response = self._send(method, path, token, body, slow=slow)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            response = self._send(method, path, self._log_in(token), body, slow=slow)
        return self._read(response)

    def _log_in(self, ended: str | None) -> str:
        """A token other than the one that has ended; threads that wait here share the new one."""
        with self._lock:
            if self._token is None or self._token == ended:
                self._token = None
                token = self._read(self._send("GET", "/api/login", self._password))
                if not isinstance(token, str):
                    raise self._nonsense()
                self._token = token
            return self._token

    def _send(
        self,
        method: str,
        path: str,
        password: str,
        body: Mapping[str, Any] | None = None,
        *,
        slow: bool = False,
    ) -> httpx.Response:
        json = None if body is None else dict(body)
        try:
            return self._connected().request(method, path, auth=(self._user, password), json=json)
        except httpx.ReadTimeout:
            if slow:
                raise NotYet("the engine is still at it") from None
            raise EngineUnreachable(f"{self._name} has not answered within {_TIMEOUT_S:g} s") from None
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise EngineUnreachable(f"{self._name} cannot be reached: {error}") from None

    def _connected(self) -> httpx.Client:
        if self._client is None:
            verify: ssl.SSLContext | bool = True
            if self._certificate is not None:
                try:
                    verify = ssl.create_default_context(cafile=str(self._certificate))
                except (OSError, ssl.SSLError) as error:
                    text = f"the certificate of {self._name} cannot be read ({self._certificate}: {error})"
                    raise EngineUnreachable(text) from None
            self._client = httpx.Client(
                base_url=self._url,
                verify=verify,
                timeout=httpx.Timeout(_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S),
                trust_env=False,
                transport=self._transport,
            )
        return self._client

    def _read(self, response: httpx.Response) -> Any:
        """The body of an answer, or the error that it reports."""
        status = response.status_code
        if status == httpx.codes.UNAUTHORIZED:
            raise ChangeRefused(f"the gateway refuses user {self._user}")
        try:
            body = response.json() if response.content else {}
        except ValueError:
            raise self._nonsense(f" (status {status})") from None
        if response.is_success:
            return body
        error = body if isinstance(body, dict) else {}
        code, message = _code(error), _message(error) or f"status {status} without a reason"
        if code in _PASSING_ERRORS:
            raise NotYet(message)
        if status >= _FIRST_SERVER_ERROR and code in _UNKNOWN_ERRORS:
            raise EngineUnreachable(f"{self._name} cannot answer: {message}")
        raise ChangeRefused(message)

    def _object(self, body: Any) -> Json:
        if not isinstance(body, dict):
            raise self._nonsense()
        return body

    def _nonsense(self, more: str = "") -> EngineUnreachable:
        return EngineUnreachable(f"{self._name} answers, but not as a gateway does{more}")

    @property
    def _name(self) -> str:
        host = self._url.partition("://")[2].partition("/")[0].rpartition("@")[2]
        return f"the gateway at {host or self._url}"


def _details(error: Json) -> Json:
    """PowerFlex 3 reports some errors as a list with one item."""
    details = error.get("details")
    first = details[0] if isinstance(details, list) and details else {}
    return first if isinstance(first, dict) else {}


def _code(error: Json) -> int:
    for code in (error.get("errorCode"), _details(error).get("rc")):
        if isinstance(code, int) and code:
            return code
    return 0


def _message(error: Json) -> str:
    details = _details(error)
    return str(details.get("errorMessage") or details.get("error") or error.get("message") or "")
