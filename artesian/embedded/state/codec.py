"""The state and the leader's observations as JSON.

A slice is `[generation, version, [[device, state], …], join or null]`, as there are many of them; everything
else is an object with the fields of its dataclass.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable
from enum import Enum
from functools import cache
from typing import Any, TypeVar, get_args, get_origin

from artesian.embedded.state.live import Live
from artesian.embedded.state.model import Copy, CopyState, Join, Slice, State

Record = TypeVar("Record")


def state_to_json(state: State) -> dict[str, Any]:
    """The whole state; nothing in the result is shared with it."""
    document: dict[str, Any] = _encode(state)
    return document


def state_from_json(document: dict[str, Any], *, only_shown: bool = False) -> State:
    """The inverse of `state_to_json`. Raises TypeError, KeyError or ValueError for anything else.

    A field that is not known is refused: a manager that left it out would decide otherwise than those that
    wrote it, and lose it for all once it leads. `only_shown`: nobody decides by this, and what a newer
    manager says more is left out.
    """
    return _record(State, document, not only_shown)


def live_to_json(live: Live) -> dict[str, Any]:
    """The observations; join numbers become text, as JSON has only such keys."""
    document: dict[str, Any] = _encode(live)
    return document


def live_from_json(document: dict[str, Any], *, only_shown: bool = False) -> Live:
    """The inverse of `live_to_json`; `only_shown` as for the state."""
    return _record(Live, document, not only_shown)


def _encode(value: Any) -> Any:
    if isinstance(value, Slice):
        join = None if value.join is None else [getattr(value.join, name) for name in _JOIN_FIELDS]
        return [
            value.generation,
            value.version,
            [[copy.device_id, copy.state.value] for copy in value.copies],
            join,
        ]
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value):
        return {field.name: _encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): _encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encode(item) for item in value]
    return value


_JOIN_FIELDS = [field.name for field in dataclasses.fields(Join)]


def _slice(document: list[Any]) -> Slice:
    generation, version, copies, join = document
    return Slice(
        [Copy(device_id, CopyState(state)) for device_id, state in copies],
        generation,
        version,
        None if join is None else Join(**dict(zip(_JOIN_FIELDS, join, strict=True))),
    )


@cache
def _types(record: Any) -> dict[str, Any]:
    return typing.get_type_hints(record)


def _record(record: Callable[..., Record], document: dict[str, Any], strict: bool) -> Record:
    hints = _types(record)
    unknown = document.keys() - hints.keys()
    if unknown and strict:
        name = getattr(record, "__name__", str(record))
        raise ValueError(
            f"{name} has no {', '.join(sorted(unknown))}: it was written by a newer version, and this one "
            "has to be upgraded as well"
        )
    known = {name: value for name, value in document.items() if name in hints}
    return record(**{name: _decode(hints[name], value, strict) for name, value in known.items()})


def _decode(hint: Any, value: Any, strict: bool) -> Any:
    if value is None or hint in (str, int, float, bool, object, Any):
        return value
    if hint is Slice:
        return _slice(value)
    origin = get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        inner = [one for one in get_args(hint) if one is not type(None)]
        return _decode(inner[0], value, strict) if len(inner) == 1 else value
    if origin is list:
        return [_decode(get_args(hint)[0], item, strict) for item in value]
    if origin is tuple:
        return tuple(_decode(get_args(hint)[0], item, strict) for item in value)
    if origin is not None and get_args(hint):
        key_hint, value_hint = get_args(hint)
        make_key = int if key_hint is int else str
        return {make_key(key): _decode(value_hint, item, strict) for key, item in value.items()}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(value)
    if dataclasses.is_dataclass(hint):
        return _record(typing.cast(Callable[..., Any], hint), value, strict)
    return value
