"""Refusing a command, with PowerFlex' numeric codes and texts, and the checks that many commands share."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NoReturn, TypeVar

from artesian.embedded.errors import CommandRefused
from artesian.embedded.state.model import State

MALFORMED = 0
NOT_FOUND = 3
ALREADY_EXISTS = 7
WRONG_PARAMETERS = 62
OUT_OF_RANGE = 64
NO_CAPACITY = 67
SERVER_NOT_CONNECTED = 69
SERVER_NOT_FOUND = 78
VOLUME_NOT_FOUND = 79
CLIENT_NOT_FOUND = 80
ALREADY_MAPPED = 81
NOT_MAPPED = 84
ADDRESS_IN_USE = 93
SERVER_NAME_IN_USE = 98
VOLUME_NAME_IN_USE = 99
DEVICE_NAME_IN_USE = 100
SERVER_REMOVING = 103
VOLUME_MAPPED = 104
DEVICE_NOT_FOUND = 126
VOLUME_SHRINKS = 133
DEVICE_REMOVING = 135
DOMAIN_NAME_IN_USE = 141
DOMAIN_NOT_FOUND = 142
DOMAIN_HAS_SERVERS = 143
POOL_NOT_FOUND = 171
POOL_HAS_DEVICES = 172
POOL_NAME_IN_USE = 173
DOMAIN_HAS_POOLS = 176
CLIENT_HAS_MAPPINGS = 180
VOLUME_TOO_LARGE = 190
POOL_HAS_VOLUMES = 196
WRONG_DOMAIN = 197
DEVICE_PATH_IN_USE = 206
ONE_WRITER = 306
# PowerFlex has texts for these, but no public source tells their numbers.
LONG_NAME = 401
FAULT_SET_NOT_FOUND = 402
FAULT_SET_NAME_IN_USE = 403
FAULT_SET_NOT_EMPTY = 404
DOMAIN_HAS_FAULT_SETS = 405
NO_ROOM_FOR_DATA = 406
TOO_FEW_COPIES_LEFT = 407
SIZE_ILLEGAL = 408
CLIENT_CONNECTED = 409
USER_EXISTS = 410
ONE_MANAGER_AT_A_TIME = 411
ONE_SERVER_IN_MAINTENANCE = 412
LAST_GOOD_COPIES = 413
SERVER_IN_MAINTENANCE = 414
DEVICE_STILL_FAILS = 415

MAX_NAME_CHARACTERS = 31
_HEX8 = re.compile(r"[0-9a-f]{8}")

Found = TypeVar("Found")


def refuse(code: int, message: str) -> NoReturn:
    """Raise CommandRefused."""
    raise CommandRefused(code, message)


def find(objects: Mapping[str, Found], object_id: str, code: int, message: str) -> Found:
    """The object of this id, or a refusal."""
    found = objects.get(object_id)
    if found is None:
        refuse(code, message)
    return found


def check_name(
    name: str | None, taken: Iterable[str | None], code: int, what: str, *, optional: bool = False
) -> None:
    """A name of at most 31 printable characters that nobody else of its kind has."""
    if name is None and optional:
        return
    if isinstance(name, str) and len(name) > MAX_NAME_CHARACTERS:
        refuse(LONG_NAME, f"The {what} name is too long: at most {MAX_NAME_CHARACTERS} characters")
    if not is_name(name):
        refuse(WRONG_PARAMETERS, f"The {what} name is not valid: it needs 1 to 31 printable characters")
    if name in taken:
        refuse(code, f"{what} name already in use. Please use a different name.")


def is_name(name: Any) -> bool:
    """Whether it could be the name of anything."""
    return (
        isinstance(name, str)
        and bool(name.strip())
        and name.isprintable()
        and len(name) <= MAX_NAME_CHARACTERS
    )


def free_name(wish: str, taken: Collection[str]) -> str:
    """A name for an object that was given none: `wish`, shortened and numbered as far as necessary."""
    name, number = wish[:MAX_NAME_CHARACTERS], 1
    while name in taken:
        number += 1
        ending = f"_{number}"
        name = wish[: MAX_NAME_CHARACTERS - len(ending)] + ending
    return name


def new_id(state: State, random: str) -> str:
    """A new object id: 8 random hex digits of the leader, and a counter."""
    if not isinstance(random, str) or not _HEX8.fullmatch(random):
        refuse(WRONG_PARAMETERS, "`random` must be 8 hex digits")
    number = state.next_number
    state.next_number += 1
    return f"{random}{number & 0xFFFFFFFF:08x}"


def check_choice(value: Any, choices: Iterable[str], what: str) -> None:
    """One of several words."""
    words = list(choices)
    if value not in words:
        refuse(
            MALFORMED,
            f"{what} should get one of the following values: {', '.join(words)}, but its value is {value}",
        )


def check_range(value: Any, low: int, high: int, what: str) -> None:
    """A whole number within bounds."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        refuse(OUT_OF_RANGE, f"{what} must be a whole number from {low} to {high}")
