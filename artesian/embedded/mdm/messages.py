"""The Raft messages between managers as JSON: pysyncobj's own dicts, with bytes as base64.

pysyncobj would pickle them; whoever can write a pickle runs code. Only messages that this module knows get
through, each field checked. Four fields are ours: `sent` (the leader's count of such messages), `echo` (the
newest `sent` that the follower has seen from it), `last` (the index of the leader's last entry), and `new`
(whether the candidate is; see `guard.py`). The last three kinds are ours as well (`elections.py`).
Large entries never travel in pieces ("transmission"): the batch size is above the largest command.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any

from artesian.embedded.mdm.journal import Entry

Message = dict[str, Any]


class BadMessage(Exception):
    """A peer sent something that is no Raft message."""


def encode_message(message: Message) -> bytes:
    """JSON of a message as pysyncobj makes it. Raises BadMessage for a kind that must not be sent."""
    form = _FORMS.get(message["type"])
    if form is None:
        raise BadMessage(f"messages of type {message['type']!r} are never sent")
    fields = {name: _ENCODERS.get(name, _same)(value) for name, value in message.items()}
    return json.dumps(fields, separators=(",", ":")).encode()


def decode_message(data: bytes) -> Message:
    """The inverse of `encode_message`. Raises BadMessage."""
    try:
        fields = json.loads(data)
        form = _FORMS[fields["type"]]
        message = {name: check(fields[name]) for name, check in form.items() if name in fields}
    except (ValueError, TypeError, KeyError, RecursionError, binascii.Error) as error:
        raise BadMessage(f"not a Raft message: {error}") from error
    missing = form.keys() - message.keys() - _OPTIONAL
    if missing:
        raise BadMessage(f"a {fields['type']} without {', '.join(sorted(missing))}")
    message["type"] = fields["type"]
    return message


def _same(value: Any) -> Any:
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or value < -1:
        raise ValueError(f"{value!r} is no index or term")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false")
    return value


def _entries(value: Any) -> list[Entry]:
    return [
        (base64.b64decode(command, validate=True), _number(index), _number(term))
        for command, index, term in value
    ]


def _piece(value: Any) -> tuple[bytes, bool, bool] | None:
    if value is None:
        return None
    data, is_first, is_last = value
    return base64.b64decode(data, validate=True), _truth(is_first), _truth(is_last)


def _entries_to_json(entries: list[Entry]) -> list[list[Any]]:
    return [[base64.b64encode(command).decode(), index, term] for command, index, term in entries]


def _piece_to_json(piece: tuple[bytes, bool, bool] | None) -> list[Any] | None:
    return None if piece is None else [base64.b64encode(piece[0]).decode(), piece[1], piece[2]]


_ENCODERS: dict[str, Callable[[Any], Any]] = {"entries": _entries_to_json, "serialized": _piece_to_json}

_FORMS: dict[str, dict[str, Callable[[Any], Any]]] = {
    "request_vote": {
        "term": _number,
        "last_log_index": _number,
        "last_log_term": _number,
        "new": _truth,
    },
    "response_vote": {"term": _number},
    "append_entries": {
        "term": _number,
        "commit_index": _number,
        "sent": _number,
        "last": _number,
        "entries": _entries,
        "prevLogIdx": _number,
        "prevLogTerm": _number,
        "serialized": _piece,
    },
    "next_node_idx": {"next_node_idx": _number, "reset": _truth, "success": _truth, "echo": _number},
    "timeout_now": {"term": _number},
    "ask_stand": {},
    "may_stand": {},
    "newer_term": {"term": _number},
}

_OPTIONAL = {"entries", "prevLogIdx", "prevLogTerm", "serialized"}
