"""Drills in the loop: what follows from what is seen is stored, and what is no agent's to do is done here."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import MappingProxyType

import structlog

from artesian.clusters.local import LocalCluster
from artesian.clusters.port import Substrate
from artesian.drill.advancing import abort, advance, begin
from artesian.drill.choosing import choose
from artesian.drill.facts import DrillFacts, Stall, Told
from artesian.drill.scheduling import due
from artesian.host.processes import ProcessIdentity
from artesian.model.drill import Drill, DrillKind, DrillState, DrillWish, Moment
from artesian.model.errors import ArtesianError, Conflict, NotThere
from artesian.model.event import Event
from artesian.model.observation import Observation
from artesian.model.spec import Spec
from artesian.model.state import FrameworkState
from artesian.planner.planning import Decision
from artesian.providers.port import ProviderRefused, ProviderUnreachable
from artesian.remedy.looking import Look
from artesian.scheduler.calls import Calls
from artesian.scheduler.memory import Memory
from artesian.scheduler.notifying import Notifier
from artesian.scheduler.providing import Providers
from artesian.scheduler.reports import Reports

_ASK_AGAIN_S = 10.0  # for a drill of the schedule that was refused
_TELL_AGAIN_S = 300.0

log = structlog.get_logger()


class Driller:
    """`kill` ends this very process, as a crash does."""

    def __init__(
        self,
        memory: Memory,
        reports: Reports,
        substrate: Substrate,
        providers: Providers,
        wake: Callable[[], None],
        clock: Callable[[], float] = time.time,
        kill: Callable[[], None] = lambda: os.kill(os.getpid(), signal.SIGKILL),
    ) -> None:
        self._memory = memory
        self._reports = reports
        self._substrate = substrate
        self._providers = providers
        self._clock = clock
        self._kill = kill
        self._scheduler = _name_of_this_process()
        executor = ThreadPoolExecutor(2, thread_name_prefix="drill")
        self._calls = Calls(executor, wake)
        self._notifier = Notifier()
        self._stall: tuple[str, Stall] | None = None  # of which drill
        self._last_pass_s: float | None = None
        self._pass_gap_s = 0.0
        self._refused: dict[str, tuple[float, str]] = {}  # drills of the schedule: when it was told, why
        self._asked_s = 0.0

    def close(self) -> None:
        """Let go of whatever is stalled, and wait for nobody."""
        self._providers.stalls.end_all()
        self._calls.close()
        self._notifier.close()

    # --- in the loop

    def look(self, spec: Spec, seen: Observation, decision: Decision, remedies: Look) -> None:
        """One pass. Raises StoreUnusable."""
        drill = self._memory.state.open_drill
        if drill is None and not spec.drills:
            return
        self._note_pass(drill)
        self._carry_out(spec, drill)
        facts = self.facts(spec, seen, decision, remedies)
        if drill is not None:
            self._advance(facts)
        elif self._clock() - self._asked_s >= _ASK_AGAIN_S:
            self._asked_s = self._clock()
            self._schedule(facts)

    def facts(self, spec: Spec, seen: Observation, decision: Decision, remedies: Look) -> DrillFacts:
        """What drills look at now."""
        state = self._memory.state
        drill = state.open_drill
        told = {
            name: Told(heard.report.faults, heard.report.drill_writer)
            for name, heard in self._reports.all().items()
        }
        rates = {str(name): one.bytes_per_s for name, one in remedies.forecasts.items()}
        stall = self._stall
        return DrillFacts(
            spec=spec,
            seen=seen,
            state=state,
            decision=decision,
            now_s=self._clock(),
            scheduler=self._scheduler,
            told=MappingProxyType(told),
            firings=remedies.firings,
            mounts=MappingProxyType(self._mounts(seen)),
            fill_rates=MappingProxyType(rates),
            files=isinstance(self._substrate, LocalCluster),
            stall=stall[1] if stall is not None and drill is not None and stall[0] == drill.id else None,
            pass_gap_s=self._pass_gap_s,
        )

    def _mounts(self, seen: Observation) -> dict[str, str]:
        """Nodes of one machine share its folders, so each has a folder of its own."""
        substrate = self._substrate
        if not isinstance(substrate, LocalCluster):
            return {}
        return {node.name: str(substrate.agent_folder(node.name) / "mounts") for node in seen.nodes}

    def _note_pass(self, drill: Drill | None) -> None:
        now_s = time.monotonic()
        if drill is None or not drill.state.has_fault:
            self._last_pass_s, self._pass_gap_s = None, 0.0
            return
        if self._last_pass_s is not None:
            self._pass_gap_s = max(self._pass_gap_s, now_s - self._last_pass_s)
        self._last_pass_s = now_s

    def _advance(self, facts: DrillFacts) -> None:
        outcome = advance(facts)
        if outcome.state == facts.state:
            return
        told: list[Event] = []

        def change(state: FrameworkState) -> FrameworkState:
            after = advance(replace(facts, state=state))
            told.extend(after.events)
            return after.state

        after = self._memory.change(change, told)
        for event in told:
            log.info("drill", id=event.subject, because=event.because)
            drill = after.drills.get(event.subject)
            if drill is not None and drill.state is DrillState.FAILED:
                self._notifier.tell_of_drill(facts.spec.notify, drill)

    def _carry_out(self, spec: Spec, drill: Drill | None) -> None:
        """What is not done by an agent. It was stored before that it is to be done."""
        if drill is None or drill.kind is not DrillKind.STALL_PROVIDER or not drill.state.has_fault:
            self._providers.stalls.end_all()
            self._stall = None
        else:
            self._stall_provider(spec, drill)
        if (
            drill is not None
            and drill.kind is DrillKind.KILL_SCHEDULER
            and drill.state is DrillState.PROVOKING
            and drill.killer == self._scheduler
        ):
            log.warning("a drill kills this scheduler", id=drill.id)
            self._kill()

    def _stall_provider(self, spec: Spec, drill: Drill) -> None:
        """A question is asked, which hangs as long as the provider does not answer."""
        since_s = drill.times.get(Moment.PROVOKED, drill.changed_s)
        left_s = since_s + drill.hold_s - self._clock()
        answered = self._stall == (drill.id, Stall.ANSWERED)
        if answered:
            return
        if left_s > 0:
            self._providers.stalls.begin(drill.target, left_s)
        self._stall = (drill.id, Stall.HANGING)
        done = self._calls.ask(("stall", drill.id), lambda: self._ask(spec, drill.target))
        if done is not None:
            self._stall = (drill.id, Stall.ANSWERED)
            self._providers.stalls.end(drill.target)

    def _ask(self, spec: Spec, provider: str) -> bool:
        try:
            self._providers(spec, provider).disks()
        except (ProviderRefused, ProviderUnreachable) as error:
            log.info("a provider has answered a drill", provider=provider, reason=str(error))
        return True

    def _schedule(self, facts: DrillFacts) -> None:
        """Begin what is due; why something is refused is told once, until the reason is another one."""
        waiting = due(facts.spec, facts.state, facts.now_s)
        for one in waiting:
            try:
                self.run(one.wish, facts)
            except ArtesianError as error:
                self._tell_refusal(str(one.name), str(error))
            else:
                self._refused.pop(str(one.name), None)
                return

    def _tell_refusal(self, name: str, because: str) -> None:
        """Reasons with numbers in them change all the time: not each of them is told."""
        told_s, before = self._refused.get(name, (float("-inf"), ""))
        if before != because and self._clock() - told_s >= _TELL_AGAIN_S:
            self._refused[name] = self._clock(), because
            self._memory.tell("drill", name, f"{name} is due and waits: {because}")

    # --- what is asked

    def run(self, wish: DrillWish, facts: DrillFacts) -> Drill:
        """Begin a drill. Raises NotPossible, NotThere or Conflict, and then nothing has changed."""
        drill = choose(wish, facts)
        because = f" ({drill.because})" if drill.because else ""
        event = Event(
            "drill",
            drill.id,
            f"{drill.who} has asked for {drill.kind}: {drill.thing}{because}; "
            f"{drill.writer_node} writes to volume {drill.volume} meanwhile",
        )
        self._memory.change(lambda state: begin(state, drill), [event])
        return drill

    def abort(self, drill_id: str, who: str) -> Drill:
        """End a drill before its time. Raises NotThere or Conflict."""
        drill = find_drill(self._memory.state, drill_id)
        event = Event("drill", drill.id, f"{who or 'somebody'} ends {drill.kind} of {drill.thing}")

        def change(state: FrameworkState) -> FrameworkState:
            return abort(state, state.drills[drill.id], who, self._clock())

        self._memory.change(change, [event])
        return drill


def find_drill(state: FrameworkState, drill_id: str) -> Drill:
    """By its id, the beginning of it that no other has, or nothing: the one under way, or the last one.

    Raises NotThere.
    """
    if not drill_id:
        ordered = sorted(state.drills.values(), key=lambda one: (one.state.is_open, one.created_s))
        if not ordered:
            raise NotThere("there has been no drill yet")
        return ordered[-1]
    found = [one for key, one in state.drills.items() if key.startswith(drill_id)]
    if len(found) != 1:
        known = ", ".join(sorted(state.drills)) or "none"
        raise NotThere(f"there is no drill {drill_id}; there are {known}")
    return found[0]


def open_drill(state: FrameworkState) -> Drill:
    """The one under way. Raises Conflict."""
    drill = state.open_drill
    if drill is None:
        raise Conflict("no drill is under way")
    return drill


def _name_of_this_process() -> str:
    """No later process has it."""
    identity = ProcessIdentity.of(os.getpid())
    return f"{identity.process_id}-{identity.start_ticks}-{identity.boot_id}"
