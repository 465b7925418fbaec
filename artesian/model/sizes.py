"""Sizes, rates and times as people write and read them."""

from __future__ import annotations

import re

_UNITS: dict[str, int] = {"": 1, "b": 1}
for _power, _letter in enumerate("kmgtp", start=1):
    _UNITS[_letter] = _UNITS[f"{_letter}ib"] = 1 << 10 * _power
    _UNITS[f"{_letter}b"] = int(10 ** (3 * _power))
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)", re.IGNORECASE | re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(
    r"(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9}(?:\.\d{1,3})?)s)?", re.ASCII
)


def parse_size(text: str) -> int:
    """`"2GiB"`, `"2G"`, `"1.5TiB"`, `"4096"` → bytes; GB and the like are powers of ten.

    Raises ValueError.
    """
    found = _SIZE.fullmatch(text.strip())
    unit = _UNITS.get(found[2].lower()) if found is not None else None
    if found is None or unit is None:
        raise ValueError(f"{text!r} is not a size like 2GiB")
    whole, _, fraction = found[1].partition(".")
    size, rest = divmod(int(whole + fraction) * unit, int("1" + "0" * len(fraction)))
    if rest:
        raise ValueError(f"{text!r} is not a whole number of bytes")
    return size


def parse_duration(text: str) -> float:
    """`"45s"`, `"10m"`, `"1h30m"`, `"7d"` → seconds. Raises ValueError."""
    found = _DURATION.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        raise ValueError(f"{text!r} is not a time like 45s, 10m or 1h30m")
    return sum(
        float(number) * _SECONDS[unit] for number, unit in zip(found.groups(), "dhms", strict=True) if number
    )


def format_size(size_bytes: float | None) -> str:
    """At most four digits: `"2.0 GiB"`, `"350 MiB"`."""
    if size_bytes is None:
        return "?"
    size = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if size >= 100 or unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} PiB"


def format_limits(iops: int, bandwidth_bytes_per_s: int) -> str:
    """`"500 requests and 10.0 MiB a second"`; empty without limits."""
    parts = [f"{iops} requests"] if iops else []
    parts += [format_size(bandwidth_bytes_per_s)] if bandwidth_bytes_per_s else []
    return f"{' and '.join(parts)} a second" if parts else ""


def format_duration(seconds: float | None) -> str:
    """`"8 s"`, `"3 min 20 s"`, `"2 h 5 min"`."""
    if seconds is None:
        return "?"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
