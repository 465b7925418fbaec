"""What `smartctl --json` says of a disk, whatever its kind: pure reading, no disk is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from artesian.model.disk import DiskSays

# Bits of smartctl's exit status; those that are not here are of the past, or of logs.
_NOT_ASKED = 0b11  # the command line was wrong, or the disk could not be opened, or sleeps
_FAILING = 1 << 3
_BELOW_THRESHOLD = 1 << 4
_NVME_WARNINGS = {
    0: "few spare blocks are left",
    2: "its reliability is degraded",
    3: "it can only be read any more",
    4: "the backup of its memory has failed",
    5: "its persistent memory can only be read any more",
}  # 1, that it is too hot or too cold, passes
_WORN_OUT = 100  # per cent of what its maker expects it to endure
_MOST_REASONS = 3


def read_smart(document: object, exit_code: int) -> DiskSays | None:
    """What a disk says of itself; None if it says nothing, or was not reached.

    `document` is what smartctl printed, `exit_code` how it ended.
    """
    if not isinstance(document, Mapping):
        return None
    status = _whole_number(_at(document, "smartctl", "exit_status"))
    status = exit_code if status is None else status
    passed = _at(document, "smart_status", "passed")
    warnings = _whole_number(_at(document, "nvme_smart_health_information_log", "critical_warning"))
    if status & _NOT_ASKED or not (isinstance(passed, bool) or warnings is not None or status & _FAILING):
        return None
    reasons = list(_reasons(document, status, passed, warnings or 0))
    return DiskSays(bool(reasons), "; ".join(reasons[:_MOST_REASONS]))


def _reasons(document: Mapping[str, Any], status: int, passed: object, warnings: int) -> Iterator[str]:
    named = [text for bit, text in _NVME_WARNINGS.items() if warnings >> bit & 1]
    yield from named
    yield from _attributes_below(document)
    worn = _whole_number(_at(document, "nvme_smart_health_information_log", "percentage_used"))
    if worn is not None and worn >= _WORN_OUT:
        yield f"it is worn out: {worn} % of what it endures is used"
    # An NVMe disk that is too hot says that it has failed, too.
    if not warnings and (passed is False or status & _FAILING):
        yield "its own test says that it fails"
    elif not warnings and status & _BELOW_THRESHOLD:
        yield "one of its values is below what it may be"


def _attributes_below(document: Mapping[str, Any]) -> Iterator[str]:
    """Values of an ATA disk that tell of a failure to come, and are too low now."""
    table = _at(document, "ata_smart_attributes", "table")
    for row in table if isinstance(table, list) else ():
        if isinstance(row, Mapping) and row.get("when_failed") == "now" and _at(row, "flags", "prefailure"):
            name, raw = row.get("name") or f"value {row.get('id')}", _at(row, "raw", "string")
            yield f"{name} is too low" + (f" ({raw})" if raw else "")


def _at(document: object, *names: str) -> Any:
    for name in names:
        document = document.get(name) if isinstance(document, Mapping) else None
    return document


def _whole_number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
