"""Raft messages on their way: all of them arrive as they were, and nothing else does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artesian.embedded.mdm.messages import BadMessage, decode_message, encode_message

MESSAGES: list[dict[str, Any]] = [
    {"type": "request_vote", "term": 3, "last_log_index": 9, "last_log_term": 2, "new": False},
    {"type": "response_vote", "term": 3},
    {
        "type": "append_entries", "term": 3, "commit_index": 7, "sent": 5, "last": 9,
        "entries": [(b"\x00\xff", 8, 3), (b"", 9, 3)], "prevLogIdx": 7, "prevLogTerm": 2,
    },
    {"type": "append_entries", "term": 3, "commit_index": 7, "sent": 5, "last": 9,
     "serialized": (b"\x80state", True, False)},
    {"type": "append_entries", "term": 3, "commit_index": 7, "sent": 5, "last": 9, "serialized": None},
    {"type": "next_node_idx", "next_node_idx": 8, "reset": True, "success": False, "echo": 4},
    {"type": "timeout_now", "term": 3},
]  # fmt: skip


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: str(message["type"]))
def test_a_message_arrives_as_it_was(message: dict[str, Any]) -> None:
    assert decode_message(encode_message(message)) == message


@pytest.mark.parametrize("kind", ["apply_command", "apply_command_response", "surprise"])
def test_what_managers_do_not_tell_each_other_is_not_sent(kind: str) -> None:
    with pytest.raises(BadMessage):
        encode_message({"type": kind, "command": b""})
    with pytest.raises(BadMessage):
        decode_message(json.dumps({"type": kind, "command": ""}).encode())


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: str(message["type"]))
def test_a_message_that_lacks_something_or_has_something_else_in_its_place_is_refused(
    message: dict[str, Any],
) -> None:
    fields = json.loads(encode_message(message))
    for name in fields.keys() - {"entries", "serialized", "prevLogIdx", "prevLogTerm"}:
        with pytest.raises(BadMessage):
            decode_message(json.dumps({key: value for key, value in fields.items() if key != name}).encode())
    for name in fields:
        for other in ("text", -7, 1.5, [[1]], {"a": 1}):
            with pytest.raises(BadMessage):
                decode_message(json.dumps(fields | {name: other}).encode())


def test_fields_that_are_not_known_do_not_get_through() -> None:
    fields = {"type": "timeout_now", "term": 3, "__class__": "os.system", "entries": []}
    assert decode_message(json.dumps(fields).encode()) == {"type": "timeout_now", "term": 3}


@given(st.binary(max_size=200))
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(BadMessage):
        decode_message(data)


def test_what_is_nested_without_end_is_refused() -> None:
    with pytest.raises(BadMessage):
        decode_message(b"[" * 100_000)
