"""The framework's state as documents, one for each thing, so that a change writes only what has changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Any

from pydantic import TypeAdapter, ValidationError

from artesian.model.disk import Claim, Tombstone
from artesian.model.drill import Drill
from artesian.model.pause import Pause
from artesian.model.remedy import Remedy
from artesian.model.restart import Restart
from artesian.model.state import Approval, EngineIdentity, FrameworkState, NodeRecord, Stopping
from artesian.model.wishes import VolumeWish
from artesian.store.port import StoreUnusable

_MANY: dict[str, TypeAdapter[Any]] = {
    "nodes": TypeAdapter(NodeRecord),
    "claims": TypeAdapter(Claim),
    "tombstones": TypeAdapter(Tombstone),
    "volumes": TypeAdapter(VolumeWish),
    "remedies": TypeAdapter(Remedy),
    "drills": TypeAdapter(Drill),
    "pauses": TypeAdapter(Pause),
}
_ONE: dict[str, TypeAdapter[Any]] = {
    "spec_text": TypeAdapter(str),
    "engine": TypeAdapter(EngineIdentity | None),
    "engine_seen_once": TypeAdapter(bool),
    "paused": TypeAdapter(bool),
    "stopping": TypeAdapter(Stopping),
    "approval": TypeAdapter(Approval | None),
    "restart": TypeAdapter(Restart | None),
}
assert {field.name for field in fields(FrameworkState)} == set(_MANY) | set(_ONE)


def state_from_documents(documents: Mapping[str, str]) -> FrameworkState:
    """Raises StoreUnusable for what cannot be read: guessing would be worse than stopping."""
    values: dict[str, Any] = {name: {} for name in _MANY}
    for key, body in documents.items():
        name, _, item = key.partition("/")
        try:
            if name in _ONE and not item:
                values[name] = _ONE[name].validate_json(body)
            elif name in _MANY and item:
                values[name][item] = _MANY[name].validate_json(body)
        except ValidationError as error:
            raise StoreUnusable(f"the store's document {key!r} cannot be read: {error}") from None
    for name in _MANY:
        values[name] = MappingProxyType(values[name])
    return replace(FrameworkState(), **values)


def changed_documents(old: FrameworkState, new: FrameworkState) -> dict[str, str | None]:
    """What to write, and what to remove (None), so that the documents say `new` where they said `old`."""
    changes: dict[str, str | None] = {}
    for name, adapter in _ONE.items():
        if getattr(old, name) != getattr(new, name):
            changes[name] = _text(adapter, getattr(new, name))
    for name, adapter in _MANY.items():
        before, after = getattr(old, name), getattr(new, name)
        if before is after:
            continue
        for item, value in after.items():
            if before.get(item) != value:
                changes[f"{name}/{item}"] = _text(adapter, value)
        changes |= {f"{name}/{item}": None for item in before if item not in after}
    return changes


def _text(adapter: TypeAdapter[Any], value: Any) -> str:
    return json.dumps(adapter.dump_python(value, mode="json"), sort_keys=True)
