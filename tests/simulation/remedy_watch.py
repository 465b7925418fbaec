"""What remedies and providers must never do, looked for at every call of the cloud and after every pass."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from artesian.model.observation import Observation
from artesian.model.provided import DiskRequest, ProvidedState
from artesian.model.remedy import Part, PartState, Remedy, RemedyState
from artesian.model.rule import Approval, Budget, RemedyKind, Rule
from artesian.model.spec import Spec
from artesian.model.state import FrameworkState
from artesian.remedy.expanding import FEWEST_DISKS
from artesian.remedy.machines import NODES_PER_DAY, NODES_TOTAL
from artesian.remedy.parts import ATTEMPTS
from artesian.remedy.proposing import REJECTED_S
from tests.simulation.cloud import Cloud, CloudDisk, rounded
from tests.simulation.held_back import pause_of_remedy
from tests.simulation.rules import Violation
from tests.simulation.store import CrashingStore
from tests.simulation.system import System

DAY_S = 86_400.0
_WAITING = (RemedyState.ASKING, RemedyState.HELD)
_AT_WORK = (RemedyState.ACTING, RemedyState.CHECKING)
_OFTEN = 3  # times that remedies may give the same disk to a pool


@dataclass
class RemedyWatch:
    """Sees what is stored, what the cloud is asked, and what truly is."""

    system: System
    store: CrashingStore
    cloud: Cloud
    clock: Callable[[], float]
    spec: Spec = field(default_factory=Spec)
    given: Counter[str] = field(default_factory=Counter)  # identities of disks, how often remedies got them
    begun: int = 0
    ended: Counter[str] = field(default_factory=Counter)  # remedies by kind and what became of them
    wanted: Counter[str] = field(default_factory=Counter)  # how many disks a remedy has wanted at most, by id
    machines: dict[str, float] = field(default_factory=dict)  # that were made, by name, and when

    def fail(self, rule: str, detail: str) -> None:
        """Something is wrong."""
        raise Violation(rule, detail)

    # --- at every call

    def making(self, provider: str, request: DiskRequest) -> None:
        """A disk is about to be made."""
        remedies = self.store.state().remedies
        remedy = next(
            (one for one in remedies.values() for part in one.parts if part.token == request.token), None
        )
        if remedy is None:
            self.fail("a disk is made of which nothing is stored", str(request))
            return
        # One that has found that fewer will do has tried for all that it wanted before.
        most = ATTEMPTS * max(remedy.disks, self.wanted[remedy.id], FEWEST_DISKS)
        if len(remedy.parts) > most:
            self.fail("a remedy tries too many disks", f"{len(remedy.parts)} of {most}: {remedy}")
        self._budgets(remedies, request)

    def _budgets(self, remedies: Mapping[str, Remedy], request: DiskRequest) -> None:
        """With the disk that is to be made, and whatever was made and is not being given back."""
        kept = {one.token for one in self.cloud.disks.values() if one.state is not ProvidedState.RELEASING}
        parts = [
            (one, part)
            for one in remedies.values()
            for part in one.parts
            if part.token in kept or part.token == request.token
            or (part.state in (PartState.THERE, PartState.IN_USE) and part.provider == "spare")
        ]  # fmt: skip
        self._budget(self.spec.budget, [part for _, part in parts])
        for rule in self.spec.rules:
            self._budget(rule.budget, [part for one, part in parts if one.rule == rule.name])

    def _budget(self, budget: Budget, parts: list[Part]) -> None:
        today = [part for part in parts if self.clock() - part.asked_s < DAY_S]
        for limit, spent in (
            (budget.disks_total, len(parts)),
            (budget.disks_per_day, len(today)),
            (budget.bytes_total, _bytes(parts)),
            (budget.bytes_per_day, _bytes(today)),
            (budget.cost_total, _cost(parts)),
            (budget.cost_per_day, _cost(today)),
        ):
            if limit is not None and spent > limit + 1e-6:
                self.fail("a budget is exceeded", f"{spent} of {limit}: {parts}")

    def releasing(self, disk: CloudDisk) -> None:
        """A disk is about to be taken from its node and deleted."""
        state = self.store.state()
        if disk.identity in state.claims:
            self.fail("a claimed disk is released", f"{disk}, {state.claims[disk.identity]}")
        if disk.identity in self.system.devices:
            self.fail("a device is released", f"{disk}, {self.system.devices[disk.identity]}")

    def making_node(self, name: str) -> None:
        """A machine is about to be made."""
        state, now_s = self.store.state(), self.clock()
        known = [
            one for one in state.remedies.values() if one.machine is not None and one.machine.name == name
        ]
        if not known or name in self.machines:
            self.fail("a machine is made of which nothing is stored, or a second time", name)
        self.machines[name] = now_s
        today = [at_s for at_s in self.machines.values() if abs(now_s - at_s) < DAY_S]
        budget = self.spec.budget
        per_day = budget.nodes_per_day if budget.nodes_per_day is not None else NODES_PER_DAY
        in_all = budget.nodes_total if budget.nodes_total is not None else NODES_TOTAL
        there = [one for one in self.machines if one in self.cloud.nodes or one == name]
        if len(today) > per_day or len(there) > in_all:
            self.fail("too many machines are made", f"{self.machines}, {budget}")

    # --- after each pass

    def after_pass(
        self, before: FrameworkState, after: FrameworkState, seen: Observation, spec: Spec
    ) -> None:
        """A pass has ended, which began with `before`."""
        self.spec = spec
        if after.remedies is before.remedies:
            return
        for key, remedy in after.remedies.items():
            old = before.remedies.get(key)
            if old is not remedy and old != remedy:
                self._changed(old, remedy, before, after, seen)
        self._lanes(after)

    def _changed(
        self,
        old: Remedy | None,
        remedy: Remedy,
        before: FrameworkState,
        after: FrameworkState,
        seen: Observation,
    ) -> None:
        rule = next((one for one in self.spec.rules if one.name == remedy.rule), None)
        self.wanted[remedy.id] = max(self.wanted[remedy.id], remedy.disks)
        if old is None:
            self._raised(remedy, rule, after)
        was_waiting = old is None or old.state in _WAITING
        if was_waiting and remedy.state in _AT_WORK and remedy.kind is not RemedyKind.NOTIFY:
            self.begun += 1
            away = _does_not_matter(remedy, seen)
            self._half_a_picture(f"remedy {remedy.id} begins", before, seen, away)
            self._not_paused(remedy, after)
            self._agreed(remedy, rule, after)
            self._limit(remedy, before, after)
        known = {part.token: part for part in old.parts} if old is not None else {}
        if len(remedy.parts) > len(known):
            self._half_a_picture(f"remedy {remedy.id} asks for disks", before, seen)
            self._not_paused(remedy, after)
        alive = sum(part.state is not PartState.GIVEN_UP for part in remedy.parts)
        if alive > remedy.disks:
            self.fail("a remedy asks for more disks than it needs", str(remedy))
        for part in remedy.parts:
            earlier = known.get(part.token)
            if part.state is PartState.THERE and (earlier is None or earlier.state is PartState.ASKED):
                self.given[part.identity] += 1
                if self.given[part.identity] > _OFTEN:
                    self.fail("the same disk is given again and again", str(remedy))
        if (old is None or old.state.is_open) and not remedy.state.is_open:
            self.ended[f"{remedy.kind} {remedy.state}"] += 1
            if remedy.state in (RemedyState.FAILED, RemedyState.REJECTED) and not remedy.detail:
                self.fail("a remedy ends without a reason", str(remedy))

    def _not_paused(self, remedy: Remedy, after: FrameworkState) -> None:
        """Pauses begin between passes, and end before a pass decides anything."""
        pause = pause_of_remedy(remedy, after)
        if pause:
            self.fail("a remedy goes on although it is paused", f"{pause}: {remedy}")

    def _limit(self, remedy: Remedy, before: FrameworkState, after: FrameworkState) -> None:
        """A limit goes where its rule says, and not beyond."""
        if remedy.kind is not RemedyKind.CHANGE_LIMIT:
            return
        old, new = before.volumes[remedy.thing].limit_iops, after.volumes[remedy.thing].limit_iops
        by = float(remedy.parameters.get("by_share", 0.0))
        most = float(remedy.parameters.get("at_most_iops", math.inf))
        least = float(remedy.parameters.get("at_least_iops", 0.0))
        if (by > 0 and not old < new <= most) or (by < 0 and not old > new >= least):
            self.fail("a limit is changed beyond its bounds", f"{old} to {new}: {remedy}")

    def _raised(self, remedy: Remedy, rule: Rule | None, state: FrameworkState) -> None:
        if remedy.pool is None and remedy.kind in (RemedyKind.EXPAND_POOL, RemedyKind.REPLACE_DEVICE):
            self.fail("a remedy does not know its pool", str(remedy))
        for other in _same(remedy, state):
            ago_s = abs(self.clock() - other.changed_s)
            same_voice = other.rule == remedy.rule
            if other.state is RemedyState.REJECTED and ago_s < REJECTED_S and same_voice:
                self.fail("what was rejected is raised again", f"{remedy}, {other}")
            done = other.state in (RemedyState.HELPED, RemedyState.FAILED) and same_voice
            if done and rule is not None and ago_s < rule.cooldown_s:
                self.fail("a remedy is raised before its rule has cooled down", f"{remedy}, {other}")
            if other.state.is_open:
                self.fail("two remedies for the same", f"{remedy}, {other}")

    def _half_a_picture(
        self, what: str, before: FrameworkState, seen: Observation, away: Collection[str] = ()
    ) -> None:
        if seen.engine is None:
            self.fail("a remedy acts without an engine that answers", what)
        if seen.unheard - set(away):
            self.fail("a remedy acts on half a picture", f"{what}: {seen.unheard}")
        if before.paused:
            self.fail("a remedy acts while everything is paused", what)

    def _agreed(self, remedy: Remedy, rule: Rule | None, state: FrameworkState) -> None:
        if remedy.approved_by:
            return
        if rule is not None and rule.approval is Approval.ASK:
            self.fail("a remedy begins to which nobody has agreed", str(remedy))
        past = [one for one in _same(remedy, state) if not one.state.is_open]
        last = max(past, key=lambda one: one.changed_s, default=None)
        if last is not None and last.state is RemedyState.FAILED:
            self.fail("what did not help is done again, and nobody was asked", f"{remedy}, {last}")
        now = int(self.clock() // 60 % 1440)
        if rule is not None and any(hours.contain(now) for hours in rule.quiet_hours):
            self.fail("a remedy begins in quiet hours", str(remedy))

    def _lanes(self, state: FrameworkState) -> None:
        """One at a time for each pool, and no pool waits for another."""
        at_work = [one for one in state.remedies.values() if one.state in _AT_WORK and one.pool is not None]
        counts = Counter(one.pool for one in at_work)
        for pool, count in counts.items():
            if count > 1:
                self.fail("two remedies are at work on one pool", f"{pool}: {at_work}")
        for one in state.remedies.values():
            if one.kind is RemedyKind.EXPAND_POOL and one.state is RemedyState.HELD:
                for other in at_work:
                    if other.pool != one.pool and other.id in one.detail:
                        self.fail("a pool waits for another", f"{one}, {other}")

    # --- in the end

    def at_the_end(self, state: FrameworkState) -> None:
        """All is well again: nothing is left over of what was begun."""
        left = unfinished(state)
        if left:
            self.fail("a remedy never ends", str(left))
        for disk in self.cloud.disks.values():
            if disk.identity in state.claims or disk.identity in self.system.devices:
                continue
            self.fail("nobody knows of a disk that was made", f"{disk}: {part_of(state, disk.token)}")


def part_of(state: FrameworkState, token: str) -> Part | None:
    """The part that a token names."""
    return next((part for one in state.remedies.values() for part in one.parts if part.token == token), None)


def unfinished(state: FrameworkState) -> list[Remedy]:
    """Open remedies that wait neither for somebody nor for what may never come."""
    return [
        one
        for one in state.remedies.values()
        if (one.state in _AT_WORK and one.kind is not RemedyKind.NOTIFY)
        or (one.state is RemedyState.HELD and not is_lasting(one.detail))
    ]


def is_given_back(state: FrameworkState, cloud: Cloud) -> bool:
    """Whether no disk is there any more that was given up, unless somebody has claimed it."""
    for disk in cloud.disks.values():
        part = part_of(state, disk.token)
        if part is not None and part.state is PartState.GIVEN_UP and disk.identity not in state.claims:
            return False
    return True


def is_lasting(detail: str) -> bool:
    """Whether a remedy may be held back by this for ever."""
    lasting = (
        "quiet hours",
        "would be larger",
        "no other node",
        "no volume is",
        "is on node",
        "managers need",
        "new node",  # the budget allows no other one
        "no limit of requests",
        "and so it stays",
        "there is no volume",
        "is not one of ours",
        "no manager of ours",
    )
    return any(words in detail for words in lasting)


def _does_not_matter(remedy: Remedy, seen: Observation) -> list[str]:
    """To whom volumes may go does not depend on nodes that the substrate cannot reach, or has emptied."""
    moves = remedy.kind is RemedyKind.MOVE_VOLUMES
    return [one.name for one in seen.nodes if moves and (one.unreachable or one.leaving)]


def _same(remedy: Remedy, state: FrameworkState) -> Iterable[Remedy]:
    return [
        one
        for one in state.remedies.values()
        if one.id != remedy.id
        and (one.kind, one.thing) == (remedy.kind, remedy.thing)
        and one.parameters.get("force") == remedy.parameters.get("force")
    ]


def _bytes(parts: list[Part]) -> int:
    return sum(rounded(part.size_bytes) for part in parts)


def _cost(parts: list[Part]) -> float:
    return sum(part.cost_per_month for part in parts)
