"""What a leader says of itself to those that wait."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Who:
    """`name` for people, `url` where its API answers."""

    name: str
    url: str = ""

    def encoded(self) -> bytes:
        return json.dumps(dataclasses.asdict(self)).encode()


def who_from(body: bytes) -> Who | None:
    """None for what cannot be read."""
    try:
        values = json.loads(body)
        return Who(str(values["name"]), str(values["url"]))
    except (ValueError, KeyError, TypeError):
        return None
