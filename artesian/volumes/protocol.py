"""Docker's volume plugin protocol: requests as JSON, and what is answered to them.

Every error is a status of 500 with `Err`: podman takes an error that comes with 200 for a success, and mounts
what it finds. Clients send no body, a body without a name, or `null` for options, and mean it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from artesian.model.errors import ArtesianError, NotPossible
from artesian.volumes.service import Mounting, VolumeService

Document = dict[str, Any]
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Answer:
    """`mounting`: what the client has to hear of, or it was in vain."""

    status: int
    document: Document
    mounting: Mounting | None = None


class VolumeDriver:
    """Answers requests. Safe to use from several threads."""

    def __init__(self, service: VolumeService) -> None:
        self._service = service
        self._calls: Mapping[str, Callable[[Document], Answer]] = {
            "/Plugin.Activate": lambda _: Answer(200, {"Implements": ["VolumeDriver"]}),
            "/VolumeDriver.Capabilities": lambda _: Answer(200, {"Capabilities": {"Scope": "global"}}),
            "/VolumeDriver.Create": self._create,
            "/VolumeDriver.Remove": self._remove,
            "/VolumeDriver.Mount": self._mount,
            "/VolumeDriver.Unmount": self._unmount,
            "/VolumeDriver.Path": self._path,
            "/VolumeDriver.Get": self._get,
            "/VolumeDriver.List": self._list,
        }

    def answer(self, path: str, body: bytes) -> Answer:
        """To a request; never raises."""
        call = self._calls.get(path)
        if call is None:
            return Answer(404, {"Err": f"there is no call {path}"})
        try:
            return call(_read(body))
        except (ArtesianError, OSError) as error:
            log.info("a request of a container engine is refused", call=path, because=str(error))
            return Answer(500, {"Err": " ".join(str(error).split())})
        except Exception as error:
            log.exception("a request of a container engine has failed", call=path)
            return Answer(500, {"Err": f"a mistake in Artesian itself: {type(error).__name__}: {error}"})

    def not_heard(self, answer: Answer) -> None:
        """The client has gone before it could be answered; never raises."""
        if answer.mounting is not None:
            try:
                self._service.not_heard(answer.mounting)
            except OSError as error:
                log.error("a use cannot be taken back", volume=answer.mounting.name, reason=str(error))

    def _create(self, request: Document) -> Answer:
        self._service.create(_name(request), _options(request))
        return Answer(200, {"Err": ""})

    def _remove(self, request: Document) -> Answer:
        self._service.remove(_name(request))
        return Answer(200, {"Err": ""})

    def _mount(self, request: Document) -> Answer:
        mounting = self._service.mount(_name(request), _text(request, "ID"), _options(request))
        return Answer(200, {"Mountpoint": mounting.path, "Err": ""}, mounting)

    def _unmount(self, request: Document) -> Answer:
        self._service.unmount(_name(request), _text(request, "ID"))
        return Answer(200, {"Err": ""})

    def _path(self, request: Document) -> Answer:
        found = self._service.find(_name(request))
        return Answer(200, {"Mountpoint": self._service.path(found.name), "Err": ""})

    def _get(self, request: Document) -> Answer:
        found = self._service.find(_name(request))
        status = {
            "size": f"{found.size_bytes >> 30} GiB",
            "pool": found.pool,
            "node": found.node or "",
            "because": found.because,
        }
        mountpoint = self._service.path(found.name)
        volume = {"Name": found.name, "Mountpoint": mountpoint, "Status": status}
        return Answer(200, {"Volume": volume, "Err": ""})

    def _list(self, _request: Document) -> Answer:
        found = [{"Name": one, "Mountpoint": self._service.path(one)} for one in self._service.names()]
        return Answer(200, {"Volumes": found, "Err": ""})


def _read(body: bytes) -> Document:
    try:
        document = json.loads(body) if body.strip() else {}
    except ValueError as error:
        raise NotPossible(f"the request is no JSON: {error}") from None
    except RecursionError:
        raise NotPossible("the request is no JSON of ours: it is nested too deeply") from None
    if not isinstance(document, dict):
        raise NotPossible("the request is no JSON object")
    return document


def _text(request: Document, key: str) -> str:
    value = request.get(key)
    if value is not None and not isinstance(value, str):
        raise NotPossible(f"{key} is no text")
    return value or ""


def _name(request: Document) -> str:
    """Docker asks again with an empty body when a connection breaks, and means no volume by that."""
    name = _text(request, "Name")
    if not name:
        raise NotPossible("the request names no volume")
    return name


def _options(request: Document) -> dict[str, str]:
    options = request.get("Opts")
    if options is None:
        return {}
    if not isinstance(options, dict) or not all(isinstance(one, str) for one in options.values()):
        raise NotPossible("Opts is no object of texts")
    return options
