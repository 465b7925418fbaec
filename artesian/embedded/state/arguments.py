"""Whether what came as JSON fits the signature of a command, told before the command sees it.

Commands can then rely on the types of their parameters: one that failed half way over a wrong type would
leave the state half changed, on every manager alike.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, get_args, get_origin

from artesian.embedded.state.refusals import WRONG_PARAMETERS, refuse

_WORDS = {str: "text", int: "a whole number", bool: "true or false", type(None): "null"}
_PLURALS = {str: "texts", int: "whole numbers"}


@cache
def signature_of(command: Callable[..., Any]) -> inspect.Signature:
    """With types instead of their names."""
    return inspect.signature(command, eval_str=True)


def check_arguments(name: str, command: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    """Refuse missing, unknown and wrongly typed arguments, with the name of the first that is wrong."""
    signature = signature_of(command)
    try:
        signature.bind(None, **arguments)
    except TypeError as error:
        refuse(WRONG_PARAMETERS, f"{name}: {error}")
    for argument, value in arguments.items():
        parameter = signature.parameters.get(argument)
        wanted = Any if parameter is None else parameter.annotation
        if not _fits(value, wanted):
            refuse(WRONG_PARAMETERS, f"{name}: {argument} must be {_describe(wanted)}")


def _fits(value: Any, wanted: Any) -> bool:
    if wanted is Any:
        return True
    origin = get_origin(wanted)
    if origin in (types.UnionType, typing.Union):
        return any(_fits(value, one) for one in get_args(wanted))
    if origin is list:
        (item,) = get_args(wanted)
        return isinstance(value, list) and all(_fits(one, item) for one in value)
    if origin is dict:
        key, item = get_args(wanted)
        return isinstance(value, dict) and all(
            _fits(name, key) and _fits(one, item) for name, one in value.items()
        )
    if wanted is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, wanted)


def _describe(wanted: Any) -> str:
    origin = get_origin(wanted)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_describe(one) for one in get_args(wanted))
    if origin is list:
        return (
            "a list" if get_args(wanted)[0] is Any else f"a list, each of it {_describe(get_args(wanted)[0])}"
        )
    if origin is dict:
        return "an object"
    return _WORDS.get(wanted, str(wanted))
