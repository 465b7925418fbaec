"""Calls, as Mesos' own definitions have them."""

from __future__ import annotations

from typing import Any

import pytest

from artesian.mesos import calls, resources
from tests.mesos.definitions import SCHEDULER, call_types, check_call

_TASK = {"name": "t", "task_id": {"value": "t"}, "agent_id": {"value": "a"}}
_RESERVED = [resources.reserved(resources.scalar("cpus", 1.5), resources.Mark("r", "me", {"a": "b"}))]
_STATUS = {"task_id": {"value": "t"}, "agent_id": {"value": "a"}, "uuid": "eA=="}
_OPERATIONS = [calls.reserve(_RESERVED), calls.launch([_TASK]), calls.unreserve(_RESERVED)]
_CALLS: list[calls.Call | None] = [
    calls.accept(["o1", "o2"], _OPERATIONS, 5.0),
    calls.accept(["o1"], [], 0.0),
    calls.decline(["o1"], 3600.0),
    calls.accept_inverse_offers(["i"]),
    calls.decline_inverse_offers(["i"], 60.0),
    calls.suppress(["r"]),
    calls.revive(),
    calls.acknowledge(_STATUS),
    calls.kill("t"),
    calls.kill("t", "a", 1.5),
    calls.reconcile([("t", None), ("u", "a")]),
    calls.reconcile([]),
    calls.message("a", "e", b"\x00\xff"),
    calls.shutdown("e", "a"),
    calls.teardown(),
]


@pytest.mark.parametrize("call", _CALLS)
def test_every_call_is_one_that_mesos_defines(call: calls.Call) -> None:
    kind, body = call
    whole: dict[str, Any] = {"framework_id": {"value": "f"}, "type": kind}
    if body is not None:
        whole[kind.lower()] = body
    check_call(SCHEDULER, whole)


def test_the_check_notices_what_mesos_does_not_define() -> None:
    wrong: list[dict[str, Any]] = [
        {"type": "KILL", "kill": {}},
        {"type": "KILL", "kill": {"task_id": {"value": 3}}},
        {"type": "KILL", "kill": {"taskId": {"value": "t"}}},
        {"type": "KILL", "kill": {"task_id": {"value": "t"}, "grace": 3}},
        {"type": "KILL", "decline": {"offer_ids": []}},
        {"type": "MURDER"},
    ]
    for call in wrong:
        with pytest.raises(AssertionError):
            check_call(SCHEDULER, call)
    assert {"SUBSCRIBE", "KILL"} <= call_types(SCHEDULER)


def test_an_update_without_a_uuid_is_not_acknowledged() -> None:
    assert calls.acknowledge({"task_id": {"value": "t"}, "agent_id": {"value": "a"}}) is None
    assert calls.acknowledge({**_STATUS, "uuid": ""}) is None
    assert calls.acknowledge({**_STATUS, "state": "TASK_RUNNING"}) == ("ACKNOWLEDGE", _STATUS)


def test_bytes_and_times_are_as_mesos_counts_them() -> None:
    _, message = calls.message("a", "e", b"hey")
    assert message is not None and message["data"] == "aGV5"
    _, kill = calls.kill("t", grace_s=0.25)
    assert kill is not None and kill["kill_policy"] == {"grace_period": {"nanoseconds": 250_000_000}}
