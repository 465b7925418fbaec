"""Settings of PowerFlex that this engine does not act on: they are stored, and answered back.

Each is an action that sets one or several attributes of an object; the actions are made from tables here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from artesian.embedded.gateway.context import Context, Handler
from artesian.embedded.gateway.failures import bad_request
from artesian.embedded.gateway.values import Parameters

Reader = Callable[[Parameters], dict[str, Any]]

PERFORMANCE_PROFILES = ("Compact", "HighPerformance", "Default")


def storing(kind: str, read: Reader) -> Handler:
    """An action that stores the attributes that `read` finds in its parameters."""

    async def handler(context: Context, object_id: str, parameters: Parameters) -> None:
        attributes = read(parameters)
        if attributes:
            await store(context, kind, object_id, attributes)

    return handler


async def store(context: Context, kind: str, object_id: str, attributes: Mapping[str, Any]) -> None:
    """Stores attributes; `kind` is the state's word for the type."""
    await context.command("set_attributes", kind=kind, id=object_id, attributes=dict(attributes))


def constant(**attributes: Any) -> Reader:
    """For actions whose name says it all, such as enableRfcache."""
    return lambda _parameters: attributes


def flag(parameter: str, attribute: str | None = None) -> Reader:
    return lambda parameters: {attribute or parameter: parameters.required_flag(parameter)}


def choice(parameter: str, allowed: Sequence[str], attribute: str | None = None) -> Reader:
    return lambda parameters: {attribute or parameter: parameters.required_choice(parameter, allowed)}


def number(
    parameter: str, lowest: int, highest: int, attribute: str | None = None, factor: int = 1
) -> Reader:
    """A number within bounds, stored `factor` times as large."""
    return lambda parameters: {
        attribute or parameter: factor * bounded(parameters, parameter, lowest, highest)
    }


def bounded(parameters: Parameters, name: str, lowest: int, highest: int) -> int:
    """A required number within bounds. Raises ApiError 400."""
    found = parameters.required_number(name)
    if not lowest <= found <= highest:
        raise bad_request(f"{name} should be between {lowest} and {highest}, but its value is {found}")
    return found


def optional_bounded(parameters: Parameters, name: str, lowest: int, highest: int) -> int | None:
    """A number within bounds, or None if it is not given. Raises ApiError 400."""
    return None if parameters.number(name) is None else bounded(parameters, name, lowest, highest)
