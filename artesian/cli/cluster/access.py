"""Finding a cluster's scheduler, and asking it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx

from artesian.cli.cluster.connection import Access, accesses
from artesian.embedded.local.errors import NotRunning, TookTooLong
from artesian.model.errors import ArtesianError, Conflict, NotPossible, NotThere, SpecError

_TIMEOUT_S = 30.0
_CONNECT_S = 5.0
_POLL_S = 0.1
_UNAUTHORIZED = 401
_NOT_LEADING, _NOT_LEADING_TITLE = 503, "not-leading"
_ERRORS: dict[str, type[Exception]] = {
    "not-there": NotThere,
    "conflict": Conflict,
    "not-possible": NotPossible,
    "malformed": NotPossible,
    "spec": SpecError,
    "not-leading": NotRunning,
}

Document = dict[str, Any]


class Api:
    """The API of the cluster in a folder: of the scheduler that leads, if there are several.

    Raises NotRunning, and what the API's problems say.
    """

    def __init__(self, folder: Path, found: Sequence[Access] | None = None) -> None:
        """`found`: these schedulers, whatever is in the folder."""
        self._found = found or accesses(folder)
        self._clients = [self._client(one) for one in self._found]

    def _client(self, access: Access) -> httpx.Client:
        return httpx.Client(
            base_url=f"{access.url}/v1",
            headers={"Authorization": f"Bearer {access.token}"},
            timeout=httpx.Timeout(_TIMEOUT_S, connect=_CONNECT_S),
            verify=access.url.startswith("https:"),  # reading all authorities takes longer than asking
            trust_env=False,
        )

    def get(self, path: str, **parameters: Any) -> Any:
        """Ask."""
        return self._request("GET", path, params=parameters)

    def post(self, path: str, body: Document | None = None) -> Any:
        """Ask for something new."""
        return self._request("POST", path, json=body or {})

    def put(self, path: str, body: Document) -> Any:
        """Ask for something to be so."""
        return self._request("PUT", path, json=body)

    def patch(self, path: str, body: Document) -> Any:
        """Ask for a change."""
        return self._request("PATCH", path, json=body)

    def delete(self, path: str, **parameters: Any) -> Any:
        """Ask for something to be gone."""
        return self._request("DELETE", path, params=parameters)

    def _request(self, method: str, path: str, **options: Any) -> Any:
        if {".", ".."} & set(path.split("/")) or set("?#") & set(path):
            raise NotThere(f"{path}: no name has this form, and what it would lead to is not what was meant")
        try:
            response = self._ask_in_turn(method, path, options)
        except (ValueError, httpx.InvalidURL) as error:  # half of a character, or a number that is none
            raise NotPossible(f"this cannot be asked for: {error}") from None
        except httpx.TransportError as error:
            asked = self._found[-1]
            raise NotRunning(
                f"the scheduler at {asked.url} does not answer ({error}); {asked.remedy}"
            ) from None
        try:
            body = response.json() if response.content else None
        except ValueError:
            if response.is_success or response.is_redirect or response.is_client_error:
                raise NotRunning(f"what answers at {self._asked(response).url} is no scheduler") from None
            raise ArtesianError(
                f"the scheduler has failed ({response.status_code}); its log says why"
            ) from None
        if response.is_success:
            return body
        if response.status_code == _UNAUTHORIZED:
            asked = self._asked(response)
            raise NotPossible(f"the scheduler at {asked.url} does not take the token in {asked.token_from}")
        kind = str(body.get("title", "")) if isinstance(body, dict) else ""
        detail = str(body.get("detail", "")) if isinstance(body, dict) else response.text
        raise _ERRORS.get(kind, ArtesianError)(detail or f"the scheduler answers {response.status_code}")

    def _asked(self, response: httpx.Response) -> Access:
        """Whom the response is from."""
        url = str(response.request.url)
        return next((one for one in self._found if url.startswith(f"{one.url}/")), self._found[-1])

    def _ask_in_turn(self, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
        """Of the first one that does not say that another one leads. What may have been heard is not asked
        of anybody else."""
        for client in self._clients[:-1]:
            try:
                response = client.request(method, path, **options)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
            if response.status_code != _NOT_LEADING or _NOT_LEADING_TITLE not in response.text:
                return response
        return self._clients[-1].request(method, path, **options)


def part(name: str) -> str:
    """A name as one part of a path. Raises NotThere for one that would lead to something else."""
    if name in ("", ".", "..") or set("/%?#") & set(name):
        raise NotThere(f"{name!r} is no name of anything: look at how it is written in the list")
    return name


def wait_for(look: Callable[[], str | None], timeout_s: float, say: Callable[[str], None]) -> None:
    """Until `look` gives None; what it gives else is what is waited for. Raises TookTooLong with that."""
    deadline = time.monotonic() + timeout_s
    while (missing := look()) is not None:
        say(f"{missing} …")
        if time.monotonic() > deadline:
            raise TookTooLong(f"after {timeout_s:g} s: {missing}")
        time.sleep(_POLL_S)
