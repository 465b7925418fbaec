"""Rules and budgets in the spec.

rules:
  - name: gold-is-full
    when: used_share > 80% or time_to_full_s < 1h      # see docs/remedies.md
    remedy: expand-pool
    scope: pool                 # left out: the remedy's own; notify needs it
    things: [engineering/*]     # left out: all
    for: 5m
    severity: critical          # info, warning or critical
    parameters: {disks: 2, disk_size: 100GiB, target_share: 60%, provider: fast}
    cooldown: 1h
    approval: automatic         # ask or automatic
    quiet_hours: ["22:00-06:00"]
    budget: {disks_per_day: 4}
default_rules: no               # left out: those of docs/remedies.md hold, too
budget: {bytes_per_day: 2TiB, cost_total: 500}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import yaml

from artesian.model.errors import ArtesianError, SpecError
from artesian.model.rule import (
    OTHER_SCOPES,
    REMEDY_SCOPES,
    Approval,
    Budget,
    QuietHours,
    RemedyKind,
    Rule,
    Scope,
    Severity,
)
from artesian.model.sizes import format_size
from artesian.model.spec import Spec, Taking
from artesian.model.wishes import FEWEST_IOPS, MOST_IOPS
from artesian.strategy.yaml_reading import (
    Place,
    Reader,
    amount,
    boolean,
    choice,
    count,
    duration,
    list_of,
    located,
    mapping,
    nearest,
    share,
    signed_share,
    size,
    text,
    texts,
)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
_HOURS = re.compile(r"([0-9]{1,2}):([0-9]{2}) ?- ?([0-9]{1,2}):([0-9]{2})", re.ASCII)
_DAY_MINUTES = 24 * 60
_GIB = 1 << 30
_GETTING_DISKS = (RemedyKind.EXPAND_POOL, RemedyKind.REPLACE_DEVICE)
_LEAST_DISKS = 2  # that an expansion gets when nothing else is said: two copies need two places


class RuleProblem(ArtesianError):
    """What is wrong with a rule, and which of its keys says it."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(problem)
        self.key = key


RuleCheck = Callable[[Rule], None]  # raises RuleProblem


@dataclass(frozen=True)
class WrittenRule:
    """A rule, and the nodes of its keys for what is to be said of it later; `whole` is that of all of it."""

    rule: Rule
    nodes: Mapping[str, yaml.Node]
    whole: yaml.Node

    def wrong(self, place: Place, key: str, problem: str) -> SpecError:
        """What to raise about a key of the rule, or about the rule if the key is not there."""
        node = self.nodes.get(key)
        if node is None:
            return place.wrong(self.whole, f"rule {self.rule.name}: {problem}")
        return place.wrong(node, f"rule {self.rule.name}: {key}: {problem}")


# --- reading


def rules(place: Place, node: yaml.Node) -> tuple[WrittenRule, ...]:
    """All rules; their names differ, and no two say the same."""
    found = list_of(place, node, _rule)
    names: set[str] = set()
    said: dict[tuple[object, ...], str] = {}
    for one in found:
        rule = one.rule
        if rule.name in names:
            raise one.wrong(place, "name", "there is another rule of this name")
        names.add(rule.name)
        same = said.setdefault((rule.scope, rule.when, rule.things, rule.remedy), rule.name)
        if same != rule.name:
            raise one.wrong(place, "", f"rule {same} says the same already")
    return found


def _rule(place: Place, node: yaml.Node) -> WrittenRule:
    known: dict[str, Reader] = {
        "name": _name, "scope": choice(Scope), "when": text, "remedy": choice(RemedyKind), "for": duration,
        "severity": choice(Severity), "parameters": _raw, "cooldown": duration, "approval": choice(Approval),
        "quiet_hours": _quiet_hours, "things": texts, "budget": budget,
    }  # fmt: skip
    found = located(place, node, known, ("name", "when", "remedy"))
    values = {key: value for key, (value, _) in found.items()}
    kind = values["remedy"]
    scope = _scope(place, kind, found.get("scope"), node)
    default_approval = Approval.AUTOMATIC if kind is RemedyKind.NOTIFY else Approval.ASK
    rule = Rule(
        values["name"],
        scope,
        values["when"],
        kind,
        for_s=values.get("for", 0.0),
        severity=values.get("severity", Severity.WARNING),
        parameters=_parameters(place.within("parameters"), values.get("parameters"), kind, node),
        cooldown_s=values.get("cooldown", 600.0),
        approval=values.get("approval", default_approval),
        quiet_hours=values.get("quiet_hours", ()),
        things=values.get("things", ()),
        budget=values.get("budget", Budget()),
    )
    return WrittenRule(rule, {key: one for key, (_, one) in found.items()}, node)


def _name(place: Place, node: yaml.Node) -> str:
    written = text(place, node)
    if _NAME.fullmatch(written) is None:
        raise place.wrong(
            node, f"{written!r} is no name: up to 63 letters, digits, dots, dashes and underscores"
        )
    return written


def _raw(_place: Place, node: yaml.Node) -> yaml.Node:
    return node


def _scope(place: Place, kind: RemedyKind, given: tuple[Scope, yaml.Node] | None, rule: yaml.Node) -> Scope:
    own = REMEDY_SCOPES[kind]
    if given is None:
        if own is None:
            raise place.wrong(rule, f"scope is missing: {kind} is for things of any, {', '.join(Scope)}")
        return own
    others = OTHER_SCOPES.get(kind, ())
    if own is not None and given[0] is not own and given[0] not in others:
        what = " or a ".join((own, *others))
        raise place.within("scope").wrong(given[1], f"{kind} is for a {what}, not for a {given[0]}")
    return given[0]


_LIMIT = count(FEWEST_IOPS, MOST_IOPS)
_PARAMETERS: Mapping[RemedyKind, Mapping[str, tuple[str, Reader]]] = {  # key → its name in the model, reader
    RemedyKind.EXPAND_POOL: {
        "disks": ("disks", count(2, 1000)),  # one alone has no room for a second copy
        "disk_size": ("disk_size_bytes", size),
        "target_share": ("target_share", share(0.05, 0.95)),
        "provider": ("provider", text),
    },
    RemedyKind.REPLACE_DEVICE: {"disk_size": ("disk_size_bytes", size), "provider": ("provider", text)},
    RemedyKind.ADD_NODE: {"disks": ("disks", count(1, 24)), "disk_size": ("disk_size_bytes", size)},
    RemedyKind.GROW_VOLUME: {"by": ("by_share", share(0.01, 10)), "at_most": ("at_most_bytes", size)},
    RemedyKind.MOVE_VOLUMES: {"force": ("force", boolean)},
    RemedyKind.CHANGE_LIMIT: {
        "by": ("by_share", signed_share(0.01, 0.9, 10)),
        "to": ("to_iops", _LIMIT),
        "at_least": ("at_least_iops", _LIMIT),
        "at_most": ("at_most_iops", _LIMIT),
    },
}


def _parameters(
    place: Place, node: yaml.Node | None, kind: RemedyKind, rule: yaml.Node
) -> Mapping[str, str | float]:
    if node is None:
        if kind is RemedyKind.CHANGE_LIMIT:
            raise place.wrong(rule, f"{kind} needs one of them: by or to")
        return MappingProxyType({})
    known = _PARAMETERS.get(kind)
    if known is None:
        raise place.wrong(node, f"{kind} has no parameters")
    found = mapping(place, node, {key: read for key, (_, read) in known.items()})
    if kind is RemedyKind.CHANGE_LIMIT and (problem := _limit_problem(found)) is not None:
        raise place.wrong(node, problem)
    return MappingProxyType({known[key][0]: value for key, value in found.items()})


def _limit_problem(found: Mapping[str, float]) -> str | None:
    """What makes no sense in the parameters of a limit's change."""
    if ("by" in found) == ("to" in found):
        return "one of by and to is needed" if "by" not in found else "either by or to, not both"
    bounds = [key for key in ("at_least", "at_most") if key in found]
    if "to" in found:
        return f"{bounds[0]} bounds what by makes, and to says it already" if bounds else None
    wrong = "at_least" if found["by"] > 0 else "at_most"
    if wrong in found:
        return f"{wrong} bounds nothing where by {'raises' if found['by'] > 0 else 'lowers'} the limit"
    return None


def _quiet_hours(place: Place, node: yaml.Node) -> tuple[QuietHours, ...]:
    """Times of the day, UTC; something of the day has to be left."""
    found = times_of_day(place, node)
    if all(any(hours.contain(minute) for hours in found) for minute in range(_DAY_MINUTES)):
        raise place.wrong(node, "these cover the whole day, and nothing would ever be done")
    return found


def times_of_day(place: Place, node: yaml.Node) -> tuple[QuietHours, ...]:
    """Such as 22:00-06:00, in UTC."""
    found = []
    for written in texts(place, node):
        match = _HOURS.fullmatch(written)
        numbers = [int(one) for one in match.groups()] if match is not None else []
        if match is None or numbers[1] > 59 or numbers[3] > 59 or numbers[0] > 23 or numbers[2] > 24:
            raise place.wrong(node, f"{written!r} is not a time of the day like 22:00-06:00")
        begin, end = 60 * numbers[0] + numbers[1], 60 * numbers[2] + numbers[3]
        if begin == end or end > _DAY_MINUTES:
            raise place.wrong(node, f"{written} is no time of the day: it has to end before it begins again")
        found.append(QuietHours(begin, end))
    return tuple(found)


_BUDGET: Mapping[str, Reader] = {
    "bytes_per_day": size,
    "disks_per_day": count(1),
    "cost_per_day": amount,
    "bytes_total": size,
    "disks_total": count(1),
    "cost_total": amount,
    "nodes_per_day": count(1),
    "nodes_total": count(1),
}


def budget(place: Place, node: yaml.Node) -> Budget:
    """What may be spent; what a day may cost is not more than what all may."""
    found = Budget(**mapping(place, node, _BUDGET))
    for name, of_day, total in (
        ("bytes", found.bytes_per_day, found.bytes_total),
        ("disks", found.disks_per_day, found.disks_total),
        ("cost", found.cost_per_day, found.cost_total),
        ("nodes", found.nodes_per_day, found.nodes_total),
    ):
        if of_day is not None and total is not None and of_day > total:
            raise place.wrong(node, f"{name}_per_day is more than {name}_total")
    return found


# --- what fits together


def check_together(
    place: Place,
    spec: Spec,
    written: Iterable[WrittenRule],
    budget_node: yaml.Node | None,
    check_rule: RuleCheck | None,
) -> None:
    """What one section says of another: providers that rules need, disks that budgets allow, conditions.

    `place` is that of the whole spec. Raises SpecError.
    """
    for one in written:
        _check_provider(place.within("rules"), spec, one)
        if one.rule.remedy is RemedyKind.ADD_NODE:
            _check_new_nodes(place.within("rules"), spec, one)
        if one.rule.remedy in _GETTING_DISKS:
            problem = _budget_problem(spec, one.rule.budget, one.rule)
            if problem is not None:
                raise one.wrong(place.within("rules"), "budget", problem)
        if check_rule is not None:
            try:
                check_rule(one.rule)
            except RuleProblem as error:
                raise one.wrong(place.within("rules"), error.key, str(error)) from error
    if budget_node is not None and spec.providers:
        problem = _budget_problem(spec, spec.budget, None)
        if problem is not None:
            raise place.within("budget").wrong(budget_node, problem)


def check_disk_sizes(place: Place, spec: Spec, providers: yaml.Node) -> None:
    """Disks that would be made, paid, and then not taken. Raises SpecError."""
    for provider, node in zip(spec.providers, providers.value, strict=True):
        problem = _too_small(provider.disk_size_bytes, spec)
        if problem is not None:
            raise place.within("providers").wrong(node, f"disk_size of {provider.name} {problem}")


def _too_small(size_bytes: float | None, spec: Spec) -> str | None:
    if size_bytes is None or size_bytes >= spec.minimum_disk_bytes:
        return None
    least = format_size(spec.minimum_disk_bytes)
    return f"is {format_size(size_bytes)}, and disks below minimum_disk, {least}, are not taken"


def _check_provider(place: Place, spec: Spec, one: WrittenRule) -> None:
    rule = one.rule
    names = {provider.name: provider for provider in spec.providers}
    provider = rule.parameters.get("provider")
    if provider is not None and provider not in names:
        hint = nearest(str(provider), names) if names else "; there are no providers"
        raise one.wrong(place, "parameters", f"there is no provider {provider}{hint}")
    asked = rule.parameters.get("disk_size_bytes")
    problem = _too_small(float(asked) if asked is not None else None, spec)
    if problem is not None:
        raise one.wrong(place, "parameters", f"disk_size {problem}")
    if rule.remedy is RemedyKind.EXPAND_POOL and not names:
        raise one.wrong(place, "remedy", f"{rule.remedy} needs new disks, and there are no providers")


def _check_new_nodes(place: Place, spec: Spec, one: WrittenRule) -> None:
    """A node that would never be used, or whose disks would not, helps nobody."""
    for key, policy in (("new_nodes", spec.new_nodes), ("new_disks", spec.new_disks)):
        if policy is Taking.NEVER:
            raise one.wrong(place, "remedy", f"{key} is never, so that nothing new would be used")


def _budget_problem(spec: Spec, limits: Budget, rule: Rule | None) -> str | None:
    """Why a budget allows no disk at all, of whatever provider; or not those that a rule gets at once."""
    least = _least_disks(rule)
    for name, disks in (("disks_per_day", limits.disks_per_day), ("disks_total", limits.disks_total)):
        if disks is not None and disks < least:
            return f"{name} is {disks}, and {least} disks are needed at once"
    sizes = _disk_sizes(spec, rule)
    need = least * min(sizes.values(), default=0)
    for name, most in (("bytes_per_day", limits.bytes_per_day), ("bytes_total", limits.bytes_total)):
        if most is not None and most < need:
            disks_of = "a disk of" if least == 1 else f"{least} disks of"
            return f"{name} is {format_size(most)}, and {disks_of} {format_size(need / least)} is more"
    return _cost_problem(spec, limits, sizes, least)


def _cost_problem(spec: Spec, limits: Budget, sizes: Mapping[str, int], least: int) -> str | None:
    costs = []
    for provider in spec.providers:
        price = provider.price_per_gib_month
        if limits.cost_per_day is None and limits.cost_total is None:
            return None
        if price is None:
            return f"what provider {provider.name} costs is not known: give it price_per_gib_month"
        if provider.name in sizes:
            costs.append(least * price * sizes[provider.name] / _GIB)
    for name, most in (("cost_per_day", limits.cost_per_day), ("cost_total", limits.cost_total)):
        if most is not None and costs and most < min(costs):
            return f"{name} is {most:g}, and what is needed at once costs {min(costs):g} a month"
    return None


def _least_disks(rule: Rule | None) -> int:
    if rule is None or rule.remedy is not RemedyKind.EXPAND_POOL:
        return 1
    return min(_LEAST_DISKS, int(rule.parameters.get("disks", _LEAST_DISKS)))


def _disk_sizes(spec: Spec, rule: Rule | None) -> dict[str, int]:
    """The least size of a disk of each provider that may be asked."""
    asked = rule.parameters if rule is not None else {}
    said = asked.get("disk_size_bytes")
    return {
        provider.name: int(said) if said is not None else provider.disk_size_bytes or spec.minimum_disk_bytes
        for provider in spec.providers
        if asked.get("provider") in (None, provider.name)
    }
