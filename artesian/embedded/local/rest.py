"""The gateway's REST interface, as far as the command line uses it."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from artesian.embedded.local.errors import NotRunning, NotThere, RestRefused, TookTooLong

_TIMEOUT_S = 130.0  # the gateway waits for devices to be formatted and space to be allocated
_CONNECT_TIMEOUT_S = 5.0
_FIRST_PATIENCE_S, _LAST_PATIENCE_S = 0.5, 20.0  # with a gateway that is not ready yet; grows
_RETRY_S = 0.02


class Gateway:
    """A session with the gateway. Everything raises RestRefused, or NotRunning when it cannot be reached.

    The gateway's own certificate is the only one that is trusted. Safe to use from several threads.
    """

    def __init__(self, url: str, user: str, password: str, certificate: Path) -> None:
        self._url = url
        self._user = user
        self._password = password
        self._certificate = certificate
        self._client: httpx.Client | None = None

    def __enter__(self) -> Self:
        self._client = self._connect()
        try:
            self._log_in(_TIMEOUT_S)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def wait_until_ready(self, timeout_s: float, check: Callable[[], object]) -> None:
        """Wait until the gateway answers, and the managers answer it. Raises TookTooLong.

        `check` is called now and then; what it raises ends the waiting.
        """
        deadline = time.monotonic() + timeout_s
        patience_s = _FIRST_PATIENCE_S
        while True:
            try:
                if self._client is None:
                    self._client = self._connect()
                self._log_in(patience_s)
            except (NotRunning, RestRefused) as error:
                if isinstance(error, RestRefused) and error.status != httpx.codes.SERVICE_UNAVAILABLE:
                    raise
                check()
                if time.monotonic() > deadline:
                    raise TookTooLong(f"the gateway was not ready within {timeout_s:g} s: {error}") from None
            else:
                self._close()
                return
            patience_s = min(1.2 * patience_s, _LAST_PATIENCE_S)
            time.sleep(_RETRY_S)

    def _log_in(self, timeout_s: float) -> None:
        if self._client is None:
            raise RuntimeError("the session is not open")
        token = self._request("GET", "/api/login", auth=(self._user, self._password), timeout=timeout_s)
        self._client.auth = httpx.BasicAuth("", str(token))

    def _close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def list(self, kind: str) -> list[dict[str, Any]]:
        """Every object of a type, such as "Volume"."""
        found: list[dict[str, Any]] = self._request("GET", f"/api/types/{kind}/instances")
        return found

    def named(self, kind: str, name: str) -> dict[str, Any]:
        """The object with this name or id. Raises NotThere."""
        for item in self.list(kind):
            if name in (item.get("name"), item["id"]):
                return item
        raise NotThere(f"there is no {kind.lower()} named {name!r}")

    def create(self, kind: str, parameters: Mapping[str, Any]) -> str:
        """Create an object; its id."""
        answer = self._request("POST", f"/api/types/{kind}/instances", json=dict(parameters))
        return str(answer["id"])

    def act(self, kind: str, object_id: str, action: str, parameters: Mapping[str, Any] | None = None) -> Any:
        """Carry out an action on an object."""
        path = f"/api/instances/{kind}::{object_id}/action/{action}"
        return self._request("POST", path, json=dict(parameters or {}))

    def _connect(self) -> httpx.Client:
        try:
            context = ssl.create_default_context(cafile=str(self._certificate))
        except (OSError, ssl.SSLError) as error:
            raise NotRunning(f"the gateway has no certificate yet ({error})") from None
        timeout = httpx.Timeout(_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S)
        return httpx.Client(base_url=self._url, verify=context, timeout=timeout, trust_env=False)

    def _request(self, method: str, path: str, **options: Any) -> Any:
        if self._client is None:
            raise RuntimeError("the session is not open")
        try:
            response = self._client.request(method, path, **options)
        except httpx.TransportError as error:
            raise NotRunning(f"the gateway at {self._url} cannot be reached: {error}") from None
        try:
            body = response.json() if response.content else {}
        except ValueError:
            raise RestRefused(
                response.status_code, 0, "the gateway answered with something else than JSON"
            ) from None
        if response.status_code != httpx.codes.OK:
            raise RestRefused(
                response.status_code,
                int(body.get("errorCode", 0)) if isinstance(body, dict) else 0,
                str(body.get("message", "")) if isinstance(body, dict) else str(body),
            )
        return body
