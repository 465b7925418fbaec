"""Whole specs: with conditions that were compiled, found sensible, and with the default rules."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from rule_engine import ast

from artesian.model.rule import RemedyKind, Rule
from artesian.model.spec import Spec
from artesian.remedy.conditions import (
    Both,
    Condition,
    ConditionError,
    Leaf,
    Not,
    Tree,
    compile_condition,
    weigh,
)
from artesian.remedy.defaults import with_default_rules
from artesian.remedy.metrics import Metric, Unit, metrics_of
from artesian.remedy.words import format_value
from artesian.strategy.rules_file import RuleProblem
from artesian.strategy.spec_file import read_spec

_MOST_CASES = 5000
_FAR = 2.0  # times the largest number that a metric is compared with: as good as any larger one


def read_whole_spec(text: str, name: str = "spec") -> Spec:
    """The spec in a text, everything in it checked, and with the default rules unless it refuses them.

    `name` is what messages call it. Raises SpecError, naming the line.
    """
    return with_default_rules(read_spec(text, name, check_rule))


def check_rule(rule: Rule) -> None:
    """Look for what makes no sense in a rule by itself. Raises RuleProblem."""
    try:
        condition = compile_condition(rule.when, rule.scope)
    except ConditionError as error:
        raise RuleProblem("when", str(error)) from error
    metrics = metrics_of(rule.scope)
    for leaf in _leaves(condition.tree):
        problem = _always_the_same(leaf, metrics[leaf.names[0]]) if len(leaf.names) == 1 else None
        if problem is not None:
            raise RuleProblem("when", problem)
    outcomes = _outcomes(condition)
    if outcomes == {False}:
        raise RuleProblem("when", "this can never be true")
    if outcomes == {True}:
        raise RuleProblem("when", "this is always true")
    if rule.remedy is RemedyKind.EXPAND_POOL and "target_share" in rule.parameters:
        _check_target(condition, float(rule.parameters["target_share"]))
    if rule.remedy is RemedyKind.EXPAND_POOL and set(condition.names) == {"iops"}:
        raise RuleProblem("when", "more disks do not lessen iops: compare it with device_count")
    if rule.remedy is RemedyKind.CHANGE_LIMIT and "by_share" in rule.parameters:
        _check_direction(condition, float(rule.parameters["by_share"]))


def _check_target(condition: Condition, target_share: float) -> None:
    """An expansion has to lead to where the condition does not hold, whatever else is measured."""
    if condition.judge({"used_share": target_share}).holds:
        shown = format_value(target_share, Unit.SHARE)
        raise RuleProblem(
            "parameters", f"a pool that is {shown} full is to be expanded: target_share is too much"
        )


def _check_direction(condition: Condition, by_share: float) -> None:
    """Of a higher limit less is used, and of a lower one more: that has to end what it is for."""
    share, word = (0.0, "raise") if by_share > 0 else (1.0, "lower")
    if condition.judge({"limited_share": share}).holds:
        shown = format_value(share, Unit.SHARE)
        problem = f"to {word} the limit does not end this: it is true of a limited_share of {shown}"
        raise RuleProblem("parameters", problem)


def _leaves(tree: Tree) -> Iterator[Leaf]:
    if isinstance(tree, Leaf):
        yield tree
    elif isinstance(tree, Not):
        yield from _leaves(tree.part)
    else:
        yield from _leaves(tree.left)
        yield from _leaves(tree.right)


# --- what is always the same


def _threshold(leaf: Leaf) -> float | None:
    """The number with which a comparison compares its one metric; None if it is not as simple as that."""
    expression = leaf.expression
    if type(expression) is ast.SymbolExpression:
        return 0.5
    if len(leaf.names) != 1:
        return None
    sides = (expression.left, expression.right)
    numbers = [float(side.value) for side in sides if type(side) is ast.FloatExpression]
    return (
        numbers[0] if len(numbers) == 1 and any(type(one) is ast.SymbolExpression for one in sides) else None
    )


def _cases(metric: Metric, thresholds: set[float]) -> list[float]:
    """Values of a metric, one at least for every way in which it can compare with these numbers."""
    far = min(metric.unit.most, _FAR * max(thresholds | {1.0}))
    if metric.unit is Unit.FLAG:
        return [0.0, 1.0]
    edges = sorted({0.0, far} | {one for one in thresholds if 0 <= one <= far})
    return sorted({*edges, *((one + other) / 2 for one, other in itertools.pairwise(edges))})


def _always_the_same(leaf: Leaf, metric: Metric) -> str | None:
    """What to say of a comparison that is true, or false, of every value that a metric can have."""
    threshold = _threshold(leaf)
    if threshold is None:
        return None
    outcomes = {leaf.is_true({leaf.names[0]: value}) for value in _cases(metric, {threshold})}
    if len(outcomes) > 1:
        return None
    hint = ""
    if metric.unit is Unit.SHARE and 1 < threshold <= 100:
        hint = f"; is {threshold:g}% meant?"
    word = "always" if outcomes == {True} else "never"
    bounds = f"is {metric.unit}" if metric.unit.most == 1 else "is 0 or more"
    return f"{leaf.names[0]} {bounds}, so that its comparison with {threshold:g} is {word} true{hint}"


def _outcomes(condition: Condition) -> set[bool | None]:
    """All that can come of a condition, as far as it compares single metrics with numbers."""
    metrics = metrics_of(condition.scope)
    thresholds: dict[str, set[float]] = {}
    for leaf in _leaves(condition.tree):
        threshold = _threshold(leaf)
        if threshold is not None:
            thresholds.setdefault(leaf.names[0], set()).add(threshold)
    names = sorted(thresholds)
    cases = [_cases(metrics[name], thresholds[name]) for name in names]
    count = 1
    for values in cases:
        count *= len(values)
    if count > _MOST_CASES:
        return {None}
    simple = _only_simple(condition.tree)
    return {weigh(simple, dict(zip(names, values, strict=True)))[0] for values in itertools.product(*cases)}


def _only_simple(tree: Tree) -> Tree:
    """The same, with every other comparison undecided: the values of its metrics are none of the cases."""
    if isinstance(tree, Leaf):
        return tree if _threshold(tree) is not None else Leaf(("",), tree.expression)
    if isinstance(tree, Not):
        return Not(_only_simple(tree.part))
    return Both(tree.either, _only_simple(tree.left), _only_simple(tree.right))
