"""Pauses: what somebody wants left alone for a while, the whole cluster or one part of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from artesian.model.disk import PoolName

EVERYTHING = "everything"
REMEDIES = "remedies"  # but telling somebody, which harms nothing
KINDS = (EVERYTHING, REMEDIES, "pool:DOMAIN/POOL", "node:NAME", "remedy:KIND", "rule:NAME")


def of_pool(pool: PoolName) -> str:
    """The scope of a pool."""
    return f"pool:{pool}"


def of_node(node: str) -> str:
    """The scope of a node."""
    return f"node:{node}"


def of_kind(kind: str) -> str:
    """The scope of all remedies of a kind."""
    return f"remedy:{kind}"


def of_rule(rule: str) -> str:
    """The scope of what a rule raises."""
    return f"rule:{rule}"


@dataclass(frozen=True, slots=True)
class Pause:
    """One pause. Times are Unix time; `until_s` None: until somebody ends it."""

    scope: str
    since_s: float = 0.0
    until_s: float | None = None
    because: str = ""
    who: str = ""

    @property
    def sentence(self) -> str:
        """What is paused, by whom, until when and why, as far as that was said."""
        until = ""
        if self.until_s is not None:
            at = datetime.fromtimestamp(self.until_s, UTC)
            until = f" until {at:%Y-%m-%d %H:%M} UTC"
        who = f" by {self.who}" if self.who else ""
        because = f": {self.because}" if self.because else ""
        return f"{_subject(self.scope)} paused{until}{who}{because}"

    def has_ended(self, now_s: float) -> bool:
        """Whether its time is over."""
        return self.until_s is not None and now_s >= self.until_s


def _subject(scope: str) -> str:
    kind, _, name = scope.partition(":")
    if scope == REMEDIES:
        return "all remedies are"
    if kind == "remedy":
        return f"remedies of kind {name} are"
    return f"{kind} {name} is" if name else f"{kind} is"
