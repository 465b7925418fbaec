"""Which rules fire for which things now, and why.

A firing begins when its condition has held for as long as the rule says, and ends when the condition is found
false, or its thing is no more: neither a value that is missing nor an engine that does not answer ends it. So
a rule fires once for what is wrong, and again only after it was well in between.
"""

from __future__ import annotations

import fnmatch
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from artesian.model.rule import Rule, Scope
from artesian.remedy.conditions import Judgement, compile_condition
from artesian.remedy.measuring import Measured
from artesian.remedy.metrics import CLUSTER_PREFIX, ENGINE_SCOPES, metrics_of
from artesian.remedy.stopwatch import Stopwatch
from artesian.remedy.words import sentence

Key = tuple[str, str]  # rule and thing, by name


@dataclass(frozen=True, slots=True)
class Firing:
    """A rule says that something is wrong with a thing. `because` is one sentence with the numbers.

    `saw` are the metrics of the rule's condition at that moment, those that are known and finite. It began at
    `since_s`, Unix time. `title` is what people call a thing whose name is an engine's; else empty.
    """

    rule: str
    thing: str
    scope: Scope
    because: str
    saw: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    since_s: float = 0.0
    title: str = ""


@dataclass(frozen=True, slots=True)
class Watched:
    """A rule and a thing of which it is not known that all is well; `firing` once it fires.

    `of` is the rule's condition: another one begins anew. `missing` are metrics that it lacks now.
    """

    of: str
    holding: Stopwatch = field(default_factory=Stopwatch)
    firing: Firing | None = None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FiringMemory:
    """What is remembered from pass to pass. It need not survive a restart: conditions are seen again.

    `blind` are rules whose things cannot be seen now.
    """

    watched: Mapping[Key, Watched] = field(default_factory=lambda: MappingProxyType({}))
    blind: frozenset[str] = frozenset()

    def may_be_wrong(self, rule: str, thing: str) -> bool:
        """Whether a rule fires for a thing, or might: only if it does not, the thing is well for certain."""
        return (rule, thing) in self.watched or rule in self.blind


def evaluate(
    rules: Iterable[Rule], measured: Iterable[Measured], memory: FiringMemory, now_s: float
) -> tuple[tuple[Firing, ...], FiringMemory]:
    """All firings, those that go on included, by rule and thing; and what to remember. `now_s`: Unix time.

    The order of rules and things makes no difference. Raises ConditionError for conditions that were not
    checked.
    """
    things: defaultdict[Scope, list[Measured]] = defaultdict(list)
    for one in measured:
        things[one.scope].append(one)
    whole: dict[str, float] = {}
    for one in things[Scope.CLUSTER]:
        whole |= {f"{CLUSTER_PREFIX}{name}": value for name, value in one.values.items()}
    engine_up = bool(whole.get(f"{CLUSTER_PREFIX}engine_up"))
    watched: dict[Key, Watched] = {}
    blind = set()
    for rule in rules:
        watched.update(_looked_at(rule, things[rule.scope], whole, memory, now_s))
        if rule.scope in ENGINE_SCOPES and not engine_up:
            blind.add(rule.name)
            watched |= dict(_out_of_sight(rule, watched, memory))
    firings = {key: one.firing for key, one in watched.items() if one.firing is not None}
    after = FiringMemory(MappingProxyType(watched), frozenset(blind))
    return tuple(firings[key] for key in sorted(firings)), after


def _looked_at(
    rule: Rule, things: list[Measured], whole: Mapping[str, float], memory: FiringMemory, now_s: float
) -> Iterator[tuple[Key, Watched]]:
    condition = compile_condition(rule.when, rule.scope)
    shared = {name: whole[name] for name in condition.names if name in whole}
    judgements: dict[int, Judgement] = {}  # by what the values are: many things share them
    nothing_known = Watched(rule.when)
    for one in things:
        if rule.things and not is_meant(rule, one):
            continue
        judgement = judgements.get(id(one.values))
        if judgement is None:
            judgement = condition.judge({**one.values, **shared} if shared else one.values)
            judgements[id(one.values)] = judgement
        if judgement.holds is False:
            continue
        key = (rule.name, one.thing)
        before = memory.watched.get(key, nothing_known)
        if before.of != rule.when:
            before = nothing_known
        if judgement.holds is None:
            if before.holding.at_s is not None or before.missing != judgement.missing:
                before = Watched(rule.when, before.holding.unknown(), before.firing, judgement.missing)
            yield key, before
        else:
            values = {**one.values, **shared}
            holding = before.holding.still(now_s)
            saw = {name: values[name] for name in condition.names if name in values}
            firing = _firing(rule, one, judgement, before, holding, saw, now_s)
            yield key, Watched(rule.when, holding, firing)


def _out_of_sight(
    rule: Rule, watched: Mapping[Key, Watched], memory: FiringMemory
) -> Iterator[tuple[Key, Watched]]:
    """Things that nobody can see now are as they were."""
    for key, before in memory.watched.items():
        if key[0] == rule.name and key not in watched and before.of == rule.when:
            yield key, Watched(before.of, before.holding.unknown(), before.firing)


def is_meant(rule: Rule, one: Measured) -> bool:
    """Whether the patterns of a rule mean a thing, by any of its names."""
    return any(
        fnmatch.fnmatchcase(name, pattern)
        for pattern in rule.things
        for name in (one.thing, *one.other_names)
    )


def _firing(
    rule: Rule,
    one: Measured,
    judgement: Judgement,
    before: Watched,
    holding: Stopwatch,
    saw: Mapping[str, float],
    now_s: float,
) -> Firing | None:
    if before.firing is None and holding.total_s < rule.for_s:
        return None
    title = one.title or (one.thing if one.scope is Scope.CLUSTER else f"{one.scope} {one.thing}")
    because = sentence(title, judgement.because_of, {**one.values, **saw}, metrics_of(rule.scope))
    finite = {name: float(value) for name, value in saw.items() if math.isfinite(value)}
    # One that has begun in a time still to come was seen by a clock that was wrong.
    since_s = min(before.firing.since_s, now_s) if before.firing is not None else now_s
    called = title.removeprefix("device ") if one.scope is Scope.DEVICE else ""
    return Firing(rule.name, one.thing, rule.scope, because, MappingProxyType(finite), since_s, called)
