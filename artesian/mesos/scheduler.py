"""A framework's subscription to the leading master: events as they come, for ever, and calls."""

from __future__ import annotations

import asyncio
import copy
import inspect
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import httpx

from artesian.mesos import answers
from artesian.mesos.access import MesosAccess as MesosAccess
from artesian.mesos.errors import (
    FailedOver,
    FrameworkRemoved,
    MasterUnreachable,
    MesosError,
    NotMesos,
    NotSubscribed,
    Refused,
)
from artesian.mesos.masters import redirected
from artesian.mesos.recordio import Decoder
from artesian.mesos.retrying import delay_s

Event = dict[str, Any]
Handler = Callable[[Event], Awaitable[None] | None]

_PATH = "/api/v1/scheduler"
_STREAM_ID = "Mesos-Stream-Id"
_TIMEOUT_S, _CONNECT_TIMEOUT_S = 15.0, 5.0
_FIRST_EVENT_S = 60.0
_HEARTBEAT_S, _HEARTBEATS_MISSED = 15.0, 5
# A master that has just started has not opened all its doors yet, and says that there is nothing.
_STRANGE_ANSWERS = 3
_REDIRECTS = 4


@dataclass(frozen=True, slots=True)
class Pace:
    """How soon a lost subscription is tried anew, in seconds: at first, at most; and how long one has to
    have held for the next loss to count as the first."""

    first_s: float = 0.5
    most_s: float = 30.0
    steady_s: float = 60.0


class _Redirected(MasterUnreachable):
    """Another master leads, and it is known which."""


@dataclass(frozen=True, slots=True)
class _Stream:
    url: str
    id: str


class SchedulerClient:
    """One framework towards its master. `run` once; `call` from the same event loop while it runs.

    `framework` is FrameworkInfo with its id, which we choose: Mesos takes one that it does not know as it is.
    `on_call` sees every call as it is sent, the subscription included. Raises ValueError if the master's
    address makes no sense.
    """

    def __init__(
        self,
        access: MesosAccess,
        framework: Mapping[str, Any],
        *,
        pace: Pace = Pace(),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
        on_call: Callable[[Event], None] = lambda call: None,
    ) -> None:
        self._access = access
        self._masters = access.masters()
        self._framework = copy.deepcopy(dict(framework))
        if access.principal is not None:
            self._framework.setdefault("principal", access.principal)
        self._pace, self._sleep, self._clock, self._chance = pace, sleep, clock, chance
        self._on_call = on_call
        self._client: httpx.AsyncClient | None = None
        self._stream: _Stream | None = None
        self._patience: asyncio.Timeout | None = None
        self._given_up: str | None = None
        self._was_subscribed = False
        self._trouble: str | None = None

    @property
    def is_subscribed(self) -> bool:
        """Whether a master has us as subscribed, as far as we know."""
        return self._stream is not None

    @property
    def trouble(self) -> str | None:
        """Why there is no subscription; None if there is one, or none was tried yet."""
        return None if self.is_subscribed else self._trouble

    async def run(self, handle: Handler) -> NoReturn:
        """Subscribe and hand over every event, as Mesos sends it; subscribe anew, for ever, when that ends.

        Whenever a subscription is lost, {"type": "DISCONNECTED", "reason": …} is handed over. Raises
        FrameworkRemoved, FailedOver, NotAllowed, Refused or NotMesos, which trying again does not mend, and
        whatever `handle` raises. Events wait while `handle` is busy.
        """
        self._trouble = self._trouble or self._masters.silence
        async with self._connections() as self._client:
            failures = strange = redirects = 0
            while True:
                began_s = self._clock()
                try:
                    await self._subscription(handle)
                except _Redirected as error:
                    self._trouble = str(error)
                    redirects += 1
                    if redirects <= _REDIRECTS:
                        continue
                except MasterUnreachable as error:
                    self._trouble = str(error)
                except NotMesos as error:
                    self._trouble = str(error)
                    strange += 1
                    if strange >= _STRANGE_ANSWERS and not self._was_subscribed:
                        raise
                redirects = 0
                if self._clock() - began_s >= self._pace.steady_s:
                    failures = 0
                await self._sleep(delay_s(failures, self._chance(), self._pace.first_s, self._pace.most_s))
                failures += 1

    async def call(self, type: str, body: Mapping[str, Any] | None = None) -> None:
        """Make a call (see `calls`); it was taken when this returns, and calls that wait for one another
        arrive in that order. Raises NotSubscribed, Refused, NotAllowed, NotMesos and MasterUnreachable,
        with which it is not known whether it was taken.
        """
        stream = self._stream
        if stream is None or self._client is None:
            raise NotSubscribed(f"there is no subscription to a Mesos master: {self._trouble or 'not yet'}")
        call = {"framework_id": self._framework["id"], "type": type}
        if body is not None:
            call[type.lower()] = dict(body)
        self._on_call(call)
        try:
            response = await self._client.post(stream.url + _PATH, json=call, headers={_STREAM_ID: stream.id})
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as error:
            raise MasterUnreachable(_unreachable(stream.url, error)) from None
        if answers.is_success(response.status_code):
            return
        if answers.is_redirect(response.status_code):
            raise self._lost(stream, f"the master at {stream.url} does not lead any more")
        problem = answers.problem(response.status_code, response.content, stream.url)
        if isinstance(problem, Refused) and _tells_of_no_subscription(str(problem)):
            raise self._lost(stream, str(problem))
        raise problem

    def _connections(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            auth=self._access.credentials(),
            verify=self._access.trust(),
            timeout=httpx.Timeout(_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S),
            headers={"Accept": "application/json"},
            trust_env=False,
        )

    async def _subscription(self, handle: Handler) -> NoReturn:
        """One subscription, from its attempt to its end, which is always an error."""
        url = await asyncio.to_thread(self._masters.url)
        if self._trouble == self._masters.silence:
            self._trouble = f"no Mesos master answers at {url}"
        reason: MesosError
        self._given_up = None
        try:
            async with self._opened(url) as response:
                events = self._events(response, url)
                while True:
                    try:
                        event = await anext(events)
                    except MesosError as error:
                        reason = error
                        break
                    if event["type"] == "SUBSCRIBED":
                        self._stream = _Stream(url, response.headers.get(_STREAM_ID, ""))
                        self._was_subscribed = True
                    await _hand_over(handle, event)
            was_subscribed, self._stream, self._trouble = self.is_subscribed, None, str(reason)
            if was_subscribed:
                await _hand_over(handle, {"type": "DISCONNECTED", "reason": str(reason)})
            raise reason
        except _Redirected:
            raise
        except (MasterUnreachable, NotMesos):
            self._masters.failed(url)
            raise
        finally:
            self._stream = None

    @asynccontextmanager
    async def _opened(self, url: str) -> AsyncIterator[httpx.Response]:
        """The stream that a master answers SUBSCRIBE with."""
        assert self._client is not None
        framework_id = self._framework["id"]
        subscribe = {"framework_info": self._framework}
        call = {"framework_id": framework_id, "type": "SUBSCRIBE", "subscribe": subscribe}
        try:
            version = await self._client.get(f"{url}/version")
            if version.status_code == httpx.codes.OK:
                answers.check_version(answers.version_of(version.content, url), url)
            elif version.status_code not in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
                raise answers.problem(version.status_code, version.content, url)
            # Between two events there may be any time; how much of it is too much is seen to when reading.
            timeout = httpx.Timeout(_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S, read=None)
            # Nobody on the way is to pack it: it is read as it comes.
            request = self._client.build_request(
                "POST", url + _PATH, json=call, timeout=timeout, headers={"Accept-Encoding": "identity"}
            )
            self._on_call(call)
            async with asyncio.timeout(_TIMEOUT_S):
                response = await self._client.send(request, stream=True)
        except TimeoutError:
            raise MasterUnreachable(f"the Mesos master at {url} does not answer") from None
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as error:
            raise MasterUnreachable(_unreachable(url, error)) from None
        try:
            if answers.is_redirect(response.status_code):
                leader = redirected(url, response.headers.get("Location"))
                self._masters.is_led_by(leader)
                raise _Redirected(f"not the Mesos master at {url} leads, but that at {leader}")
            if response.status_code != httpx.codes.OK:
                raise answers.problem(response.status_code, await _rest(response), url)
            yield response
        finally:
            await response.aclose()

    async def _events(self, response: httpx.Response, url: str) -> AsyncIterator[Event]:
        """The events of a stream. Its end is an error, in any case."""
        decoder, chunks = Decoder(), response.aiter_raw()
        patience_s, heartbeat_s = _FIRST_EVENT_S, _HEARTBEAT_S
        while True:
            try:
                async with asyncio.timeout(0 if self._given_up else patience_s) as self._patience:
                    chunk = await anext(chunks, None)
            except TimeoutError:
                silence = f"the Mesos master at {url} was silent for {patience_s:g} s"
                raise MasterUnreachable(self._given_up or silence) from None
            except (httpx.HTTPError, httpx.StreamError) as error:
                raise MasterUnreachable(_unreachable(url, error)) from None
            finally:
                self._patience = None
            if chunk is None:
                raise MasterUnreachable(f"the Mesos master at {url} has ended the stream of events")
            for event in _decoded(decoder, chunk, url):
                if event["type"] == "SUBSCRIBED":
                    heartbeat_s = float(event["subscribed"].get("heartbeat_interval_seconds", heartbeat_s))
                    patience_s = _HEARTBEATS_MISSED * heartbeat_s
                yield event
                if event["type"] == "ERROR":
                    raise _meaning(event)

    def _lost(self, stream: _Stream, reason: str) -> NotSubscribed:
        """A call was answered as if there were no subscription: there is none, whatever the stream says."""
        if self._stream is stream:
            self._given_up = reason
            if self._patience is not None and not self._patience.expired():
                self._patience.reschedule(asyncio.get_running_loop().time())
        return NotSubscribed(f"the subscription is lost: {reason}")


async def _hand_over(handle: Handler, event: Event) -> None:
    result = handle(event)
    if inspect.isawaitable(result):
        await result


async def _rest(response: httpx.Response) -> bytes:
    """The text of a refusal."""
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            return await response.aread()
    except (TimeoutError, httpx.HTTPError, httpx.StreamError):
        return b""


def _decoded(decoder: Decoder, chunk: bytes, url: str) -> list[Event]:
    try:
        events = [json.loads(record) for record in decoder.feed(chunk)]
    except ValueError as error:
        raise MasterUnreachable(f"the stream of events from {url} is broken: {error}") from None
    if not all(isinstance(event, dict) and isinstance(event.get("type"), str) for event in events):
        raise MasterUnreachable(f"the stream of events from {url} is broken: what is no event came")
    return events


def _meaning(event: Event) -> MesosError:
    """The error that an ERROR event is: all of them end the subscription for good."""
    said = str(event.get("error", {}).get("message", "without a reason"))
    if said.startswith("Framework failed over"):
        return FailedOver("another scheduler has subscribed with our framework id")
    if said.startswith(("Framework has been removed", "Completed framework")):
        return FrameworkRemoved(f"Mesos takes our framework id no more: {said}")
    return Refused(said)


def _tells_of_no_subscription(said: str) -> bool:
    return any(
        text in said
        for text in ("is not subscribed", "is not connected", "stream ID", "Framework cannot be found")
    )


def _unreachable(url: str, error: Exception) -> str:
    return f"the Mesos master at {url} cannot be reached: {error or type(error).__name__}"
