"""Subscriptions that end in every way, and come back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from artesian.mesos import calls
from artesian.mesos.access import MesosAccess
from artesian.mesos.errors import (
    FailedOver,
    FrameworkRemoved,
    MasterUnreachable,
    NotAllowed,
    NotMesos,
    NotSubscribed,
    Refused,
)
from artesian.mesos.scheduler import Pace, SchedulerClient
from tests.mesos.standin import Answer, StandIn, stream, subscribed, text

_PATH = "/api/v1/scheduler"
_HEARTBEAT = {"type": "HEARTBEAT"}
_FAILED_OVER = {"type": "ERROR", "error": {"message": "Framework failed over"}}
# Ends every story: a client that comes here has come back.
_END = stream(_FAILED_OVER)


@pytest.fixture
def master() -> Iterator[StandIn]:
    with StandIn() as master:
        yield master


class Story:
    """Runs a client until something ends it. Time passes only when it sleeps."""

    def __init__(self, master: str, **more: Any) -> None:
        self.events: list[dict[str, Any]] = []
        self.waits_s: list[float] = []
        self.now_s = 0.0
        self.client = SchedulerClient(
            MesosAccess(master),
            {"id": {"value": "art-1"}, "user": "root", "name": "artesian"},
            pace=Pace(first_s=1.0, most_s=8.0, steady_s=60.0),
            sleep=self._sleep,
            clock=lambda: self.now_s,
            chance=lambda: 0.0,
            **more,
        )

    async def _sleep(self, delay_s: float) -> None:
        self.waits_s.append(delay_s)
        self.now_s += delay_s

    def run(self) -> Exception:
        """What has ended it."""

        async def story() -> Exception:
            with pytest.raises(Exception) as ended:
                async with asyncio.timeout(20):
                    await self.client.run(self.events.append)
            return ended.value

        return asyncio.run(story())

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]


def _through(master: StandIn, *answers: Answer) -> Story:
    """A story with these answers, and then its end."""
    master.on(_PATH, *answers, _END)
    story = Story(master.address)
    assert isinstance(story.run(), FailedOver)
    return story


def test_every_event_is_handed_over_as_it_came(master: StandIn) -> None:
    unknown = {"type": "NEW_IN_MESOS_2", "new": {"value": "ü"}}
    story = _through(master, stream(subscribed(), _HEARTBEAT, unknown))
    assert story.events[:3] == [subscribed(), _HEARTBEAT, unknown]
    assert story.types[3:] == ["DISCONNECTED", "ERROR"]
    assert "has ended the stream" in story.events[3]["reason"]
    call = master.bodies(_PATH)[0]
    assert call["type"] == "SUBSCRIBE"
    assert call["framework_id"] == call["subscribe"]["framework_info"]["id"] == {"value": "art-1"}


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (stream(subscribed(), then="break"), "cannot be reached"),
        (stream(subscribed(), more=b'40\n{"type": "OFF', then="break"), "cannot be reached"),
        (stream(subscribed(), more=b'40\n{"type": "OFF'), "ended the stream"),
        (stream(subscribed(), more=b"forty\n{}"), "broken"),
        (stream(subscribed(), more=b"2\n}{"), "broken"),
        (stream(subscribed(), more=b"2\n[]"), "broken"),
        (stream(subscribed(0.01), then="hang"), "was silent for 0.05 s"),
    ],
)
def test_a_subscription_that_breaks_is_told_and_made_anew(
    master: StandIn, broken: Answer, reason: str
) -> None:
    story = _through(master, broken)
    assert story.types == ["SUBSCRIBED", "DISCONNECTED", "ERROR"]
    assert reason in story.events[1]["reason"]
    assert story.waits_s == [1.0]


def test_heartbeats_keep_a_subscription_alive(master: StandIn) -> None:
    def answer(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Mesos-Stream-Id", "the-stream")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for event in (subscribed(0.1), *[_HEARTBEAT] * 10, _FAILED_OVER):
            content = json.dumps(event).encode()
            handler.chunk(b"%d\n%s" % (len(content), content))
            handler.wfile.flush()
            beat.wait(0.08)

    beat = threading.Event()
    master.on(_PATH, answer)
    story = Story(master.address)
    assert isinstance(story.run(), FailedOver)
    assert story.types.count("HEARTBEAT") == 10


def test_attempts_become_rarer_and_a_subscription_that_held_begins_anew(master: StandIn) -> None:
    away = text(503, "Master has not finished recovery")
    master.on(_PATH, *[away] * 6, stream(subscribed()), away, stream(subscribed()), _END)
    story = Story(master.address)

    def handle(event: dict[str, Any]) -> None:
        if event["type"] == "SUBSCRIBED" and story.types.count("SUBSCRIBED") == 1:
            story.now_s += 100.0  # the second one held

    taken = story.events
    story.events = _Watched(taken, handle)
    assert isinstance(story.run(), FailedOver)
    assert story.waits_s == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0, 8.0, 1.0]


class _Watched(list[dict[str, Any]]):
    """Events that something happens at."""

    def __init__(self, events: list[dict[str, Any]], handle: Any) -> None:
        super().__init__(events)
        self._handle = handle

    def append(self, event: dict[str, Any]) -> None:
        self._handle(event)
        super().append(event)


def test_the_trouble_is_known_as_long_as_there_is_one(master: StandIn) -> None:
    seen: list[tuple[bool, str | None]] = []
    master.on(_PATH, text(503, "No leader elected"), stream(subscribed()), _END)
    story = Story(master.address)
    assert story.client.trouble is None

    def look(event: dict[str, Any]) -> None:
        seen.append((story.client.is_subscribed, story.client.trouble))

    async def watching_sleep(delay_s: float) -> None:
        look({})

    story.client._sleep = watching_sleep
    story.events = _Watched([], look)
    story.run()
    (waiting, why), during, (lost, lost_why), *_ = seen
    assert not waiting and "No leader elected" in str(why)
    assert during == (True, None)
    assert not lost and "ended the stream" in str(lost_why)


def test_a_redirect_is_followed_at_once(master: StandIn) -> None:
    with StandIn() as leader:
        leader.on(_PATH, stream(subscribed()), _END)
        master.on(_PATH, text(307, "", Location=f"//{leader.address}/master/api/v1/scheduler"))
        story = Story(master.address)
        assert isinstance(story.run(), FailedOver)
    assert story.types == ["SUBSCRIBED", "DISCONNECTED", "ERROR"]
    # Once to find the leader, and once more when it is lost.
    assert len(master.bodies(_PATH)) == 2


def test_masters_that_name_each_other_are_not_asked_without_end(master: StandIn) -> None:
    with StandIn() as other:
        there = text(307, "", Location=f"//{other.address}/api/v1/scheduler")
        master.on(_PATH, *[there] * 3, stream(_FAILED_OVER))
        other.on(_PATH, text(307, "", Location=f"//{master.address}/api/v1/scheduler"))
        story = Story(master.address)
        assert isinstance(story.run(), FailedOver)
    assert len(story.waits_s) == 1


def test_of_several_masters_the_next_is_tried(master: StandIn) -> None:
    master.on(_PATH, _END)
    story = Story(f"127.0.0.1:9,{master.address}")
    assert isinstance(story.run(), FailedOver)
    assert story.waits_s == [1.0]


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("Framework failed over", FailedOver),
        ("Framework has been removed", FrameworkRemoved),
        ("Roles { a } are not present in the master's --roles", Refused),
    ],
)
def test_an_error_event_ends_it(master: StandIn, said: str, error: type[Exception]) -> None:
    master.on(_PATH, stream(subscribed(), {"type": "ERROR", "error": {"message": said}}, then="hang"))
    story = Story(master.address)
    assert type(story.run()) is error
    assert story.types == ["SUBSCRIBED", "ERROR", "DISCONNECTED"]
    assert not story.client.is_subscribed


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (text(401, ""), NotAllowed, "principal and secret"),
        (text(403, "Not you"), Refused, "Not you"),
        (text(400, "Failed to validate"), Refused, "Failed to validate"),
    ],
)
def test_what_does_not_mend_is_raised_at_once(
    master: StandIn, answer: Answer, error: type[Exception], says: str
) -> None:
    master.on(_PATH, answer)
    story = Story(master.address)
    ended = story.run()
    assert type(ended) is error and says in str(ended)
    assert not story.waits_s


def test_an_agent_is_no_master(master: StandIn) -> None:
    said = "Failed to validate agent::Call: Expecting 'type' to be present"
    master.on(_PATH, *[text(400, said)] * 10)
    ended = Story(master.address).run()
    assert type(ended) is NotMesos and f"a Mesos agent answers at http://{master.address}" in str(ended)


def test_whoever_is_not_heard_of_in_time_is_named() -> None:
    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as mute:  # takes connections, and says nothing
            address = f"127.0.0.1:{mute.getsockname()[1]}"
            story = Story(address)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    await story.client.run(story.events.append)
            assert story.client.trouble == f"no Mesos master answers at http://{address}"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("version", "says"),
    [
        (text(200, "<html>A web server</html>"), "does not say its version"),
        (text(200, '{"version": "here"}'), "its version is 'here'"),
        (text(200, '{"version": 3}'), "does not say its version"),
        (text(200, '{"version": "1.8.1"}'), "has version 1.8.1; 1.9 or newer is needed"),
        (text(404, ""), "status 404"),
        (text(302, "", Location="/login"), "status 302"),
    ],
)
def test_a_server_that_is_no_mesos_is_told_after_a_few_attempts(
    master: StandIn, version: Answer, says: str
) -> None:
    master.on("/version", version).on(_PATH, _END)
    story = Story(master.address)
    ended = story.run()
    assert type(ended) is NotMesos and says in str(ended)
    assert len(story.waits_s) == 2
    assert not master.bodies(_PATH)


@pytest.mark.parametrize("status", [401, 403])
def test_a_master_that_does_not_tell_its_version_to_everybody_is_asked_all_the_same(
    master: StandIn, status: int
) -> None:
    master.on("/version", text(status, "Endpoint is disabled"))
    assert _through(master, stream(subscribed())).types == ["SUBSCRIBED", "DISCONNECTED", "ERROR"]


def test_what_was_mesos_once_is_waited_for(master: StandIn) -> None:
    """While it starts, or from a proxy before it."""
    story = _through(master, stream(subscribed()), *[text(404, "")] * 5)
    assert story.types == ["SUBSCRIBED", "DISCONNECTED", "ERROR"]


def test_what_the_handler_raises_ends_it(master: StandIn) -> None:
    master.on(_PATH, stream(subscribed(), then="hang"))
    story = Story(master.address)

    def fail(event: dict[str, Any]) -> None:
        raise KeyError("mine")

    story.events = _Watched([], fail)
    assert isinstance(story.run(), KeyError)
    assert not story.client.is_subscribed


# ---- calls ----------------------------------------------------------------------------------------------


def _calling(master: StandIn, answer: Answer) -> tuple[Story, Exception | None]:
    """What comes of a call in a subscription that hangs otherwise."""
    master.on(_PATH, stream(subscribed(), then="hang"), answer, _END)
    story = Story(master.address)
    raised: list[Exception] = []

    async def call() -> None:
        try:
            await story.client.call(*calls.revive(["a"]))
        except Exception as error:  # noqa: BLE001 - it is looked at
            raised.append(error)
        if not raised or not isinstance(raised[0], NotSubscribed):
            raise _Done

    async def run() -> None:
        async def handle(event: dict[str, Any]) -> None:
            story.events.append(event)
            if event["type"] == "SUBSCRIBED":
                await call()

        async with asyncio.timeout(20):
            await story.client.run(handle)

    with pytest.raises((_Done, FailedOver)):
        asyncio.run(run())
    return story, raised[0] if raised else None


class _Done(Exception):
    pass


def test_a_call_carries_the_stream_and_the_framework(master: StandIn) -> None:
    headers: list[Any] = []

    def answer(handler: Any) -> None:
        headers.append(handler.headers)
        text(202, "")(handler)

    _, raised = _calling(master, answer)
    assert raised is None
    assert headers[0]["Mesos-Stream-Id"] == "the-stream"
    expected = {"framework_id": {"value": "art-1"}, "type": "REVIVE", "revive": {"roles": ["a"]}}
    assert master.bodies(_PATH)[1] == expected


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (text(400, "Failed to validate scheduler::Call"), Refused),
        (text(403, "No"), Refused),
        (text(401, ""), NotAllowed),
        (text(503, "Master has not finished recovery"), MasterUnreachable),
        (text(404, ""), NotMesos),
        (stream(then="break"), MasterUnreachable),
    ],
)
def test_a_call_that_fails_says_how(master: StandIn, answer: Answer, error: type[Exception]) -> None:
    _, raised = _calling(master, answer)
    assert type(raised) is error


@pytest.mark.parametrize(
    "answer",
    [
        text(403, "Framework is not subscribed"),
        text(400, "The stream ID 'x' included in this request didn't match the stream ID currently ..."),
        text(400, "Framework cannot be found"),
        text(307, "", Location="//127.0.0.1:9/api/v1/scheduler"),
    ],
)
def test_a_call_that_shows_that_the_subscription_is_lost_has_it_made_anew(
    master: StandIn, answer: Answer
) -> None:
    story, raised = _calling(master, answer)
    assert type(raised) is NotSubscribed
    assert story.types == ["SUBSCRIBED", "DISCONNECTED", "ERROR"]


def test_a_call_from_elsewhere_wakes_up_who_listens_to_a_dead_stream(master: StandIn) -> None:
    not_ours = text(403, "Framework is not subscribed")
    master.on(f"{_PATH}#SUBSCRIBE", stream(subscribed(), then="hang"), _END).on(f"{_PATH}#REVIVE", not_ours)
    story = Story(master.address)

    async def run() -> None:
        is_subscribed = asyncio.Event()

        def handle(event: dict[str, Any]) -> None:
            story.events.append(event)
            is_subscribed.set()

        running = asyncio.create_task(story.client.run(handle))
        await is_subscribed.wait()
        with pytest.raises(NotSubscribed):
            await story.client.call(*calls.revive())
        with pytest.raises(FailedOver):
            await running

    asyncio.run(asyncio.wait_for(run(), 20))
    assert story.types == ["SUBSCRIBED", "DISCONNECTED", "ERROR"]


def test_without_a_subscription_there_are_no_calls() -> None:
    client = Story("127.0.0.1:9").client
    with pytest.raises(NotSubscribed, match="not yet"):
        asyncio.run(client.call(*calls.suppress()))


def test_a_master_that_makes_no_sense_is_told_at_once() -> None:
    with pytest.raises(ValueError, match="expected is"):
        Story("nowhere:port")
