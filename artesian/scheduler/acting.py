"""Taking steps: the intent is stored, then the effect is made, then it is stored that it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum

import structlog

from artesian.engines.port import ChangeRefused, Engine, EngineUnreachable, NotYet
from artesian.model.changes import AddDevice, JoinNode, RestartProcesses
from artesian.model.event import Event
from artesian.model.plan import Step
from artesian.model.state import EngineIdentity, FrameworkState
from artesian.planner.recording import complete, intend
from artesian.scheduler.memory import Memory

_AT_ONCE = 8
_PAUSE_AFTER_REFUSAL_S = 5.0

log = structlog.get_logger()


class Outcome(StrEnum):
    """How far a step has come."""

    DONE = "done"
    UNDER_WAY = "under way"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Taken:
    """A step that was taken in a pass, how far it came, and what is said of it."""

    step: Step
    outcome: Outcome
    detail: str = ""


def said_of(step: Step) -> str:
    """Why a step is taken, and with which disk: a reason that is the same for many disks does not say."""
    match step.change:
        case AddDevice(node=node, path=path) if path not in step.because:
            return f"{path} of node {node}: {step.because}"
    return step.because


class _OtherSpec(Exception):
    """Another spec has been given since the steps were decided on."""


class Actor:
    """Takes steps. One that was refused is tried again, but not at every pass."""

    def __init__(self, memory: Memory, clock: Callable[[], float]) -> None:
        self._memory = memory
        self._clock = clock
        self._announced: set[str] = set()
        self._refused: dict[str, tuple[float, str]] = {}

    def act(
        self,
        steps: Iterable[Step],
        engine: Engine | None,
        new_engine: EngineIdentity,
        addresses: Mapping[str, str],
        spec_text: str,
    ) -> list[Taken]:
        """Take every step as far as it goes now; the engine is told of several at once. None is begun if
        another spec than that which they follow from has been given meanwhile.

        Raises NotLeading, StoreUnusable: then steps that were taken are taken again.
        """
        steps = list(steps)
        if not steps:
            self._refused.clear()
            return []
        try:
            self._store_intents(steps, new_engine, addresses, spec_text)
        except _OtherSpec:
            log.info("steps are decided on anew", reason="another spec has been given meanwhile")
            return []
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="step") as pool:
            taken = list(pool.map(lambda step: self._take(step, engine), steps))
        done = [one.step for one in taken if one.outcome is Outcome.DONE]
        if done:
            self._memory.change(
                lambda state: complete(state, done),
                [Event("done", type(step.change).__name__, said_of(step)) for step in done],
            )
            self._announced -= {step.id for step in done}
        return taken

    def _store_intents(
        self, steps: list[Step], new_engine: EngineIdentity, addresses: Mapping[str, str], spec_text: str
    ) -> None:
        def intended(state: FrameworkState) -> FrameworkState:
            if state.spec_text != spec_text:
                raise _OtherSpec
            return intend(state, steps, new_engine, addresses)

        new = [step for step in steps if step.id not in self._announced]
        self._memory.change(
            intended,
            [Event("step", type(step.change).__name__, said_of(step)) for step in new],
        )
        for step in new:
            log.info("step", id=step.id, change=repr(step.change), because=step.because)
        self._announced |= {step.id for step in new}

    def _take(self, step: Step, engine: Engine | None) -> Taken:
        if isinstance(step.change, JoinNode):
            return Taken(step, Outcome.DONE)
        if isinstance(step.change, RestartProcesses):  # it is assigned, and done once the node is back
            what = f"the {step.change.part} of node {step.change.node} are started anew"
            return Taken(step, Outcome.UNDER_WAY, f"{what}; {step.because}")
        refused = self._refused.get(step.id)
        if refused is not None and self._clock() - refused[0] < _PAUSE_AFTER_REFUSAL_S:
            return Taken(step, Outcome.REFUSED, refused[1])
        if engine is None:
            return Taken(step, Outcome.UNDER_WAY, "the engine is being made")
        self._memory.confirm()  # the intent may be an old one, and somebody else lead by now
        try:
            engine.carry_out(step.change)
        except (NotYet, EngineUnreachable) as error:
            return Taken(step, Outcome.UNDER_WAY, str(error))
        except ChangeRefused as error:
            if refused is None or refused[1] != str(error):
                log.warning("step refused", id=step.id, because=str(error))
                self._memory.tell("refused", type(step.change).__name__, str(error))
            self._refused[step.id] = (self._clock(), str(error))
            return Taken(step, Outcome.REFUSED, str(error))
        self._refused.pop(step.id, None)
        log.info("step done", id=step.id)
        return Taken(step, Outcome.DONE)
