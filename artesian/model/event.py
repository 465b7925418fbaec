"""What happened, for people: one sentence each, kept in order."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """`number` grows; `at_s` is Unix time; `kind` is one word, `subject` what it is about."""

    kind: str
    subject: str
    because: str
    at_s: float = 0.0
    number: int = 0
