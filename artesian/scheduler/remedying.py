"""Remedies in the loop: rules are looked at, what follows is stored, and providers are asked for disks."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import structlog

from artesian.model.disk import Claim, Tombstone
from artesian.model.event import Event
from artesian.model.observation import Observation
from artesian.model.provided import DiskRequest, ProvidedDisk, Quote
from artesian.model.provider_spec import ProviderKind
from artesian.model.remedy import RELEASED, Part, PartState, Remedy, RemedyState
from artesian.model.spec import Spec
from artesian.model.state import FrameworkState, with_item
from artesian.model.topology import Topology
from artesian.providers.port import DiskProvider, ProviderRefused, ProviderUnreachable
from artesian.remedy.expanding import FEWEST_DISKS
from artesian.remedy.facts import RemedyFacts
from artesian.remedy.health import device_health
from artesian.remedy.holding import half_a_picture
from artesian.remedy.lifecycle import advance, moved
from artesian.remedy.looking import Look, look
from artesian.remedy.parts import (
    Choice,
    can_afford,
    choose,
    disks_wanted,
    given_up,
    identities_of,
    may_be_released,
    needs_disks,
    provided,
    request_for,
    settled,
    with_part,
)
from artesian.remedy.pausing import paused
from artesian.scheduler.calls import Calls
from artesian.scheduler.memory import Memory
from artesian.scheduler.telling import Teller

_RELEASE_EVERY_S = 5.0
_GIVEN_BACK = "it is given back to its provider"  # of tombstones
_LISTED_LATE_S = 300.0  # what was asked for last may appear in a provider's list only after a while

log = structlog.get_logger()


class Remediator:
    """`provider` gives the adapter of a provider that the spec names."""

    def __init__(
        self,
        memory: Memory,
        provider: Callable[[Spec, str], DiskProvider],
        wake: Callable[[], None],
        clock: Callable[[], float] = time.time,
        executor: Executor | None = None,
    ) -> None:
        self.last = Look()
        self._memory = memory
        self._provider = provider
        self._clock = clock
        executor = executor or ThreadPoolExecutor(8, thread_name_prefix="provider")
        self._calls = Calls(executor, wake)
        self._teller = Teller(memory, clock)
        self._released_s = 0.0
        self._stuck: dict[str, str] = {}  # why disks that were given up are still there, as it was told

    def close(self) -> None:
        """Ask nobody any more."""
        self._calls.close()
        self._teller.close()

    @property
    def waits_for_disks(self) -> bool:
        """Whether a provider is making or attaching one, and has to be asked how far it is."""
        return any(
            part.state is PartState.ASKED and part.disk_id and not part.attached_s
            for one in self._memory.state.remedies.values()
            if one.state is RemedyState.ACTING and paused(one, self._memory.state) is None
            for part in one.parts
        )

    def look(self, spec: Spec, seen: Observation, topology: Topology) -> None:
        """One pass. Raises StoreUnusable."""
        state, now_s = self._memory.state, self._clock()
        self.last = look(
            self.last,
            spec,
            seen,
            state,
            now_s,
            verdicts=topology.verdicts,
            device_health=device_health(seen),
        )
        facts = self.facts(spec, seen, topology)
        self._teller.catch_up(spec)
        self._advance(facts)
        self._teller.tell_of_waiting(spec)
        if not any(
            one.parts or one.state is RemedyState.ACTING for one in self._memory.state.remedies.values()
        ):
            return
        for key in sorted(self._memory.state.remedies):
            remedy = self._memory.state.remedies[key]
            if remedy.state is RemedyState.ACTING and needs_disks(remedy, facts):
                self._get_disks(remedy, replace(facts, state=self._memory.state))
        self._settle(facts)
        self._release(replace(facts, state=self._memory.state))

    def facts(self, spec: Spec, seen: Observation, topology: Topology) -> RemedyFacts:
        """What remedies look at now, by the rules as they were found at the last look."""
        last = self.last
        return RemedyFacts(
            spec,
            seen,
            self._memory.state,
            topology,
            last.firings,
            last.memory,
            self._clock(),
        )

    def would_choose(self, remedy: Remedy, facts: RemedyFacts) -> Choice:
        """The disks that a remedy would ask for now; providers are asked what they would give."""
        if not needs_disks(remedy, facts):
            return Choice(detail="no disks are needed")
        wanted = replace(remedy, disks=remedy.disks or disks_wanted(remedy, facts))
        return choose(wanted, facts, lambda name, request: self._quote(facts, name, request))

    def _quote(self, facts: RemedyFacts, name: str, request: DiskRequest) -> Quote:
        try:
            return self._provider(facts.spec, name).quote(request)
        except ProviderUnreachable as error:
            return Quote(refused=str(error), for_now=True)
        except ProviderRefused as error:
            return Quote(refused=str(error))
        except Exception as error:  # noqa: BLE001  one provider's mistake must not end the pass for all
            return Quote(refused=_mistake(name, error), for_now=True)

    def _advance(self, facts: RemedyFacts) -> None:
        told: list[Event] = []

        def change(state: FrameworkState) -> FrameworkState:
            outcome = advance(replace(facts, state=state))
            told.extend(outcome.events)
            return outcome.state

        if advance(facts).state != facts.state:
            self._memory.change(change, told)
            for event in told:
                log.info("remedy", id=event.subject, because=event.because)
            self._teller.tell(facts.spec, told)

    # --- getting disks

    def _get_disks(self, remedy: Remedy, facts: RemedyFacts) -> None:
        held = paused(remedy, facts.state) is not None
        whole = not held and half_a_picture(facts) is None
        if not remedy.disks and whole:
            wanted = disks_wanted(remedy, facts)
            self._change(remedy.id, lambda one: replace(one, disks=wanted))
            remedy = self._memory.state.remedies[remedy.id]
        if _alive(remedy) < remedy.disks and whole:
            self._choose(remedy, facts)
            remedy = self._memory.state.remedies[remedy.id]
        if held or remedy.state is not RemedyState.ACTING:
            return
        for part in remedy.parts:
            if part.state is PartState.ASKED:
                self._ask_for(remedy, part, facts)

    def _choose(self, remedy: Remedy, facts: RemedyFacts) -> None:
        """The parts are stored first, with their tokens, before any provider is asked for them."""
        done = self._calls.ask(("choose", remedy.id), lambda: self.would_choose(remedy, facts))
        if done is None:
            return
        choice: Choice = done.result()
        if choice.final:
            remedy = self._memory.state.remedies[remedy.id]
            failed = moved(remedy, RemedyState.FAILED, facts.now_s, choice.detail)
            event = Event("remedy", remedy.id, f"{remedy.kind} of {remedy.shown} has failed: {choice.detail}")
            self._change(remedy.id, lambda _: failed, event)
            self._teller.tell(facts.spec, [event])
            return
        before = remedy.parts
        if choice.enough and _alive(remedy) >= min(FEWEST_DISKS, remedy.disks):  # some may be lost meanwhile
            self._change(remedy.id, lambda one: replace(one, disks=_alive(one)))
        if not choice.parts and choice.detail not in ("", remedy.detail) and not _alive(remedy):
            event = Event("remedy", remedy.id, f"{remedy.kind} of {remedy.shown} waits: {choice.detail}")
            self._change(remedy.id, lambda one: replace(one, detail=choice.detail), event)
        if choice.parts and can_afford(remedy, choice.parts, facts):
            where = ", ".join(f"{part.node} ({part.provider})" for part in choice.parts)
            event = Event("remedy", remedy.id, f"disks are asked for on {where}")
            self._change(
                remedy.id,
                lambda one: replace(one, parts=(*before, *choice.parts)) if one.parts == before else one,
                event,
            )

    def _ask_for(self, remedy: Remedy, part: Part, facts: RemedyFacts) -> None:
        request = request_for(facts, part.token, part.node, part.size_bytes)
        done = self._calls.ask(
            ("provide", part.token), lambda: self._provider(facts.spec, part.provider).provide(request)
        )
        if done is None:
            return
        after, claim = _answered(done, remedy, part, facts)
        if after == part:
            return
        event = None
        if after.state is not part.state:
            detail = f": {after.detail}" if after.detail else ""
            event = Event("remedy", remedy.id, f"the disk for node {part.node} is {after.state}{detail}")
        self._change(remedy.id, lambda one: with_part(one, after), event, claim)

    def _settle(self, facts: RemedyFacts) -> None:
        for key, remedy in sorted(self._memory.state.remedies.items()):
            for part in remedy.parts:
                after = settled(part, replace(facts, state=self._memory.state))
                if after.state is not part.state:
                    event = Event("remedy", key, f"the disk for node {part.node} is {after.state}")
                    self._change(key, lambda one, after=after: with_part(one, after), event)  # type: ignore[misc]

    # --- giving disks back

    def _release(self, facts: RemedyFacts) -> None:
        """Whatever was made for parts that were given up, wherever it is by now."""
        names = {
            part.provider
            for remedy in facts.state.remedies.values()
            for part in remedy.parts
            if part.state is PartState.GIVEN_UP and not part.is_released
        }
        # A time that is still to come was told by a clock that was wrong.
        if not names or 0.0 <= facts.now_s - self._released_s < _RELEASE_EVERY_S:
            return
        self._released_s = facts.now_s
        for name in sorted(names):
            done = self._calls.ask(("list", name), lambda name=name: self._provider(facts.spec, name).disks())  # type: ignore[misc]
            if done is None:
                continue
            self._note_stuck(name, done, f"what provider {name} has made and was given up cannot be found")
            if done.exception() is not None:
                continue
            disks: tuple[ProvidedDisk, ...] = done.result()
            self._note_released(name, {disk.token for disk in disks}, facts)
            for disk in disks:
                if may_be_released(disk, facts.state, facts) is None:
                    self._let_go(name, disk, facts)
                    released = self._calls.ask(
                        ("release", disk.id),
                        lambda name=name, disk=disk: self._provider(facts.spec, name).release(disk.id),  # type: ignore[misc]
                    )
                    self._note_stuck(disk.token, released, f"disk {disk.id} of {name} cannot be released")

    def _note_stuck(self, subject: str, done: Future[Any] | None, what: str) -> None:
        """Disks that stay may cost money: it is told once, until the reason is another one."""
        error = done.exception() if done is not None else None
        reason = f"{what}: {error}" if error is not None else ""
        if done is not None and self._stuck.get(subject, "") != reason:
            self._stuck[subject] = reason
            if reason:
                log.warning("a disk that was given up stays", reason=reason)
                self._memory.tell("remedy", subject, reason)

    def _let_go(self, provider: str, disk: ProvidedDisk, facts: RemedyFacts) -> None:
        """Nobody takes a disk that is about to go; one that its node had anyway is only free again."""
        kinds = {one.name: one.kind for one in facts.spec.providers}
        part = next(
            part for one in facts.state.remedies.values() for part in one.parts if part.token == disk.token
        )
        # A node that does not show it yet will mostly call it by its serial number.
        names = identities_of(disk, part, facts) or {f"serial:{disk.name}"}
        names -= facts.state.tombstones.keys()
        if kinds.get(provider) is ProviderKind.SPARE or not names:
            return

        def bury(state: FrameworkState) -> FrameworkState:
            for identity in sorted(names):
                stone = Tombstone(identity, _GIVEN_BACK)
                state = replace(state, tombstones=with_item(state.tombstones, identity, stone))
            return state

        self._memory.change(bury)

    def _note_released(self, provider: str, there: set[str], facts: RemedyFacts) -> None:
        for key, remedy in sorted(facts.state.remedies.items()):
            for part in remedy.parts:
                gone = (
                    part.state is PartState.GIVEN_UP and part.provider == provider and part.token not in there
                )
                if gone and part.detail != RELEASED and facts.now_s - part.since_s > _LISTED_LATE_S:
                    after = replace(part, detail=RELEASED)
                    event = Event("remedy", key, f"the disk for node {part.node} is released ({part.detail})")
                    self._change(
                        key,
                        lambda one, after=after: with_part(one, after),  # type: ignore[misc]
                        event,
                        more=lambda state: _without_stones(state, facts.seen),
                    )

    # --- storing

    def _change(
        self,
        remedy_id: str,
        change: Callable[[Remedy], Remedy],
        event: Event | None = None,
        claim: Claim | None = None,
        more: Callable[[FrameworkState], FrameworkState] = lambda state: state,
    ) -> None:
        def whole(state: FrameworkState) -> FrameworkState:
            remedy = state.remedies.get(remedy_id)
            if remedy is None:
                return state
            state = more(state.with_remedy(change(remedy)))
            if claim is None or claim.identity in state.claims:
                return state
            return replace(state, claims=with_item(state.claims, claim.identity, claim))

        self._memory.change(whole, [event] if event is not None else [])
        if event is not None:
            log.info("remedy", id=remedy_id, because=event.because)


def _without_stones(state: FrameworkState, seen: Observation) -> FrameworkState:
    """The state without tombstones of disks that were given back and are nowhere any more."""
    shown = {disk.identity for node in seen.nodes for disk in node.disks}
    left = {
        identity: stone
        for identity, stone in state.tombstones.items()
        if stone.because != _GIVEN_BACK or identity in shown
    }
    if len(left) == len(state.tombstones):
        return state
    return replace(state, tombstones=MappingProxyType(left))


def _alive(remedy: Remedy) -> int:
    """How many disks it has, or waits for."""
    return sum(part.state is not PartState.GIVEN_UP for part in remedy.parts)


def _answered(
    done: Future[ProvidedDisk], remedy: Remedy, part: Part, facts: RemedyFacts
) -> tuple[Part, Claim | None]:
    """A part after its provider has answered, in whatever way."""
    try:
        return provided(remedy, part, done.result(), facts)
    except ProviderRefused as error:
        return replace(given_up(part, str(error), facts.now_s), refused=not part.disk_id), None
    except ProviderUnreachable as error:
        return replace(part, detail=str(error)), None
    except Exception as error:  # noqa: BLE001  it may have made the disk: it is asked again, as if it were away
        return replace(part, detail=_mistake(part.provider, error)), None


def _mistake(provider: str, error: Exception) -> str:
    log.error("a mistake in a provider", provider=provider, exc_info=error)
    return f"a mistake in provider {provider}: {type(error).__name__}; the scheduler's log has it"
