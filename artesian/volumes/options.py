"""Options of volumes that are made for containers: REX-Ray's, where we have the same."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from artesian.model.errors import NotPossible
from artesian.model.sizes import parse_size
from artesian.volumes.ports import NewVolume

_GIB = 1 << 30
_MIB = 1 << 20
DEFAULT_BYTES = 16 * _GIB  # REX-Ray's
_MOST_DIGITS = 18
_TRUE, _FALSE = ("true", "yes", "on", "1", ""), ("false", "no", "off", "0")


def _size(text: str) -> int:
    """Whole GiB, rounded up; a plain number is one of GiB."""
    try:
        size_bytes = parse_size(f"{text}GiB" if text.replace(".", "", 1).isdecimal() else text)
    except ValueError:
        raise NotPossible(f"{text!r} is no size like 20 (GiB) or 20GiB") from None
    if size_bytes <= 0:
        raise NotPossible("a volume has a size of 1 GiB at least")
    return -(-size_bytes // _GIB) * _GIB


def _flag(text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise NotPossible(f"{text!r} is neither true nor false")


def _no_flag(text: str) -> bool:
    return not _flag(text)


def _kind(text: str) -> bool:
    if text.lower() not in ("thick", "thin"):
        raise NotPossible(f"{text!r} is neither thick nor thin")
    return text.lower() == "thick"


def _fstype(text: str) -> str:
    if text.lower() not in ("ext4", "xfs"):
        raise NotPossible(f"{text!r} is neither ext4 nor xfs")
    return text.lower()


def _count(text: str) -> int:
    if not text.isdecimal() or len(text) > _MOST_DIGITS:
        shown = text if len(text) <= _MOST_DIGITS else f"{text[:_MOST_DIGITS]}…"
        raise NotPossible(f"{shown!r} is no number of requests")
    return int(text)


def _bandwidth(text: str) -> int:
    try:
        size_bytes = parse_size(text)
    except ValueError:
        raise NotPossible(f"{text!r} is no size like 20MiB") from None
    return -(-size_bytes // _MIB) * _MIB


def _pool(text: str) -> str:
    if not text:
        raise NotPossible("it names no pool")
    return text


def _never(text: str) -> None:
    if _flag(text):
        raise NotPossible("what is on a volume is never overwritten: remove the volume, and make it anew")


# Each name, what it sets, and how it is read. The first of several that set the same is the one to show.
_OPTIONS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "size": ("size_bytes", _size),
    "pool": ("pool", _pool),
    "storagepool": ("pool", _pool),
    "thick": ("thick", _flag),
    "thin": ("thick", _no_flag),
    "volumetype": ("thick", _kind),
    "fstype": ("fstype", _fstype),
    "newfstype": ("fstype", _fstype),
    "iops": ("limit_iops", _count),
    "bandwidth": ("limit_bandwidth_bytes_per_s", _bandwidth),
    "preempt": ("preempt", _flag),
    "overwritefs": ("", _never),
}
KNOWN = tuple(_OPTIONS)


def new_volume(options: Mapping[str, str]) -> NewVolume:
    """What the options of a volume say; names in any case. Raises NotPossible for what is not known, makes
    no sense, or is said twice."""
    values: dict[str, Any] = {"size_bytes": DEFAULT_BYTES}
    said: dict[str, str] = {}
    for given, text in sorted(options.items()):
        name = given.strip().lower()
        if name not in _OPTIONS:
            raise NotPossible(_unknown(given))
        key, read = _OPTIONS[name]
        try:
            value = read(text.strip())
        except NotPossible as error:
            raise NotPossible(f"option {given}: {error}") from None
        if key and values.get(key, value) != value and key in said:
            raise NotPossible(f"options {said[key]} and {given} contradict each other")
        if key:
            values[key], said[key] = value, given
    return NewVolume(**values)


def preempts(options: Mapping[str, str]) -> bool:
    """Whether a volume that is there may be taken from another node. Options that are right are heeded when
    a volume is made; raises NotPossible for the others all the same."""
    return new_volume(options).preempt


def _unknown(given: str) -> str:
    near = difflib.get_close_matches(given.lower(), KNOWN, 1)
    hint = f", did you mean {near[0]}?" if near else ";"
    return f"there is no option {given!r}{hint} there are {', '.join(KNOWN)}"
