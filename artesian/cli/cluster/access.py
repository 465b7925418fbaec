"""Finding a cluster's scheduler, and asking it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from artesian.embedded.local.errors import NotRunning, TookTooLong
from artesian.model.errors import ArtesianError, Conflict, NotPossible, NotThere, SpecError

_TIMEOUT_S = 30.0
_POLL_S = 0.1
_ERRORS: dict[str, type[ArtesianError]] = {
    "not-there": NotThere,
    "conflict": Conflict,
    "not-possible": NotPossible,
    "malformed": NotPossible,
    "spec": SpecError,
}

Document = dict[str, Any]


class Api:
    """The API of the cluster in a folder. Raises NotRunning, and what the API's problems say."""

    def __init__(self, folder: Path) -> None:
        path = folder / "scheduler" / "api.json"
        try:
            access = json.loads(path.read_bytes())
        except FileNotFoundError:
            if not any((folder / name).exists() for name in ("cluster.json", "mesos.json")):
                raise NotThere(f"there is no cluster in {folder}; make one with: artesian up") from None
            raise NotRunning("the scheduler has never run here; start it with: artesian up") from None
        except (OSError, ValueError) as error:
            raise NotRunning(f"{path} cannot be read: {error}") from None
        self._folder = folder
        self._client = httpx.Client(
            base_url=f"{access['url']}/v1",
            headers={"Authorization": f"Bearer {access['token']}"},
            timeout=_TIMEOUT_S,
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
            response = self._client.request(method, path, **options)
        except (ValueError, httpx.InvalidURL) as error:  # half of a character, or a number that is none
            raise NotPossible(f"this cannot be asked for: {error}") from None
        except httpx.TransportError as error:
            raise NotRunning(
                f"the scheduler of {self._folder} does not answer ({error}); start it with: artesian up"
            ) from None
        try:
            body = response.json() if response.content else None
        except ValueError:
            raise ArtesianError(
                f"the scheduler has failed ({response.status_code}); its log says why: "
                f"{self._folder / 'scheduler' / 'scheduler.log'}"
            ) from None
        if response.is_success:
            return body
        kind = str(body.get("title", "")) if isinstance(body, dict) else ""
        detail = str(body.get("detail", "")) if isinstance(body, dict) else response.text
        raise _ERRORS.get(kind, ArtesianError)(detail or f"the scheduler answers {response.status_code}")


def wait_for(look: Callable[[], str | None], timeout_s: float, say: Callable[[str], None]) -> None:
    """Until `look` gives None; what it gives else is what is waited for. Raises TookTooLong with that."""
    deadline = time.monotonic() + timeout_s
    while (missing := look()) is not None:
        say(f"{missing} …")
        if time.monotonic() > deadline:
            raise TookTooLong(f"after {timeout_s:g} s: {missing}")
        time.sleep(_POLL_S)
