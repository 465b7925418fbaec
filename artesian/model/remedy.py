"""Remedies: wishes that a rule has raised, stored from the first thought to what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from artesian.model.disk import PoolName
from artesian.model.rule import RemedyKind


class RemedyState(StrEnum):
    """How far a remedy has come."""

    ASKING = "asking"  # somebody has to agree
    HELD = "held"  # the guard lets it wait; `detail` says why
    ACTING = "acting"
    CHECKING = "checking"  # everything is done: has it helped?
    HELPED = "helped"
    FAILED = "failed"  # it could not be done, or did not help: somebody has to look
    REJECTED = "rejected"
    NOT_NEEDED = "not needed"  # what was wrong went away before anything was done

    @property
    def is_open(self) -> bool:
        """Whether it still may do something."""
        return self in _OPEN


_OPEN = frozenset({RemedyState.ASKING, RemedyState.HELD, RemedyState.ACTING, RemedyState.CHECKING})


class PartState(StrEnum):
    """How far a disk of a remedy has come."""

    ASKED = "asked"  # of the provider
    THERE = "there"  # its node sees it, and it is claimed for the pool
    IN_USE = "in use"
    GIVEN_UP = "given up"  # it is released, and another one is asked for elsewhere


RELEASED = "released"  # the `detail` of a part that was given up, once nothing is left of its disk


@dataclass(frozen=True, slots=True)
class Part:
    """A disk that a remedy gets. `token` is what the provider knows it by. `attached_s`: since when the
    provider says that it is attached; `refused`: it said no, and made nothing."""

    token: str
    provider: str
    node: str
    size_bytes: int
    state: PartState
    asked_s: float  # for the first time
    since_s: float  # in this state
    cost_per_month: float = 0.0
    disk_id: str = ""
    identity: str = ""
    detail: str = ""
    attached_s: float = 0.0
    refused: bool = False

    @property
    def is_released(self) -> bool:
        """Whether it was given up, and nothing is left of it."""
        return self.state is PartState.GIVEN_UP and self.detail == RELEASED

    @property
    def may_cost(self) -> bool:
        """Whether there is, may be or is to be a disk for it."""
        return self.state is not PartState.GIVEN_UP or not (self.is_released or self.refused)


@dataclass(frozen=True, slots=True)
class Machine:
    """A node that a remedy gets. `name` is what the substrate knows it by; `made_s` 0: it may not be there
    yet. `refused`: the substrate said no, and made nothing."""

    name: str
    disks: int
    disk_bytes: int
    asked_s: float
    made_s: float = 0.0
    detail: str = ""
    refused: bool = False

    @property
    def is_made(self) -> bool:
        """Whether the substrate says that it is there."""
        return self.made_s > 0


@dataclass(frozen=True, slots=True)
class Remedy:
    """One remedy. Times are Unix time. `saw` are the metrics at that moment; `thing` is what it is for, and
    `title` what people call that, where they call it otherwise."""

    id: str
    rule: str
    kind: RemedyKind
    thing: str
    because: str
    state: RemedyState
    created_s: float
    changed_s: float
    saw: Mapping[str, float] = field(default_factory=dict)
    parameters: Mapping[str, str | float] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()
    disks: int = 0  # how many it needs
    pool: PoolName | None = None
    approved_by: str = ""
    detail: str = ""
    machine: Machine | None = None
    title: str = ""

    @property
    def shown(self) -> str:
        """What it is for, in a sentence."""
        return self.title or self.thing
