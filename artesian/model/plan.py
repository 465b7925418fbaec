"""Plans: ordered steps from what is to what should be, and what the guard lets through."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from enum import StrEnum

from artesian.model.changes import Change
from artesian.model.names import digest

_ID_LENGTH = 12


@functools.lru_cache(maxsize=1 << 15)
def step_id(change: Change) -> str:
    """The same change has the same id, always."""
    return digest(f"{type(change).__name__} {change!r}")[:_ID_LENGTH]


class Consent(StrEnum):
    """Whether somebody has to agree to a step before it is taken."""

    NONE = "none"
    NEEDED = "needed"  # policy, or what is at stake, asks for it
    GIVEN = "given"  # the step is itself what a user has asked for


@dataclass(frozen=True, slots=True)
class Step:
    """One change. `after` are the ids of steps of the same plan that have to be done before.

    `destructive`: it writes to a disk that was free, moves copies away, or deletes.
    """

    change: Change
    because: str
    after: tuple[str, ...] = ()
    destructive: bool = False
    consent: Consent = Consent.NONE
    id: str = field(init=False, compare=False)  # names the change

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", step_id(self.change))


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in an order in which they can be taken; `notes` are what cannot be met, or is left alone."""

    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()
    id: str = field(init=False, compare=False)  # names exactly these steps

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", digest(" ".join(step.id for step in self.steps))[:_ID_LENGTH])


@dataclass(frozen=True, slots=True)
class HeldStep:
    """A step that is not taken now, and why."""

    step: Step
    because: str


@dataclass(frozen=True, slots=True)
class GuardedPlan:
    """The plan as it may be carried out now.

    `ready`: take them. `waiting`: they come after others. `held`: something speaks against them.
    """

    plan: Plan
    ready: tuple[Step, ...] = ()
    waiting: tuple[HeldStep, ...] = ()
    held: tuple[HeldStep, ...] = ()
