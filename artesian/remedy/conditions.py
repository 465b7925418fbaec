"""Conditions of rules: expressions over metrics, compiled and checked when the spec is read.

    time_to_full_s < 3 * expansion_lead_s + 30m or used_share > 85%
    failed and ours
    away_s > 10m and not in_maintenance and cluster_degraded_bytes == 0

Syntax, precedence and types are those of the library `rule-engine`. It can do far more than is needed here
(strings, regular expressions, powers, functions, attributes), so only the words of this language reach it:
names of metrics, numbers, `and or not`, comparisons, `+ - * /` and brackets. A number may have a unit:
`20GiB` or `20GB`, `10m` or `1h30m`, `90%`; without one it is bytes, seconds, or a share of 1.

What is not known is neither true nor false: `failed or error_count > 9` is true of a failed device whose
errors nobody counts, and not decided of one that has not failed. A condition holds if it is true for certain.
"""

from __future__ import annotations

import decimal
import difflib
import functools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import rule_engine
from rule_engine import ast

from artesian.model.errors import ArtesianError
from artesian.model.rule import Scope
from artesian.model.sizes import parse_duration, parse_size
from artesian.remedy.metrics import CLUSTER_PREFIX, Metric, Unit, metrics_of

LONGEST = 1000  # characters
MOST_WORDS = 200
_LOGIC = ("and", "or", "not")
_WORD = re.compile(
    r"\s*(?:([0-9][0-9A-Za-z_.%]*)|([A-Za-z_][A-Za-z0-9_]*)|(<=|>=|==|!=|[-<>+*/()]))", re.ASCII
)
_NUMBER = re.compile(r"[0-9]{1,18}(\.[0-9]{1,9})?", re.ASCII)
_SIZE_UNIT = re.compile(r"[0-9.]+([KMGTP]i?)?B", re.ASCII)
_INSTEAD = {"=": "==", "&": "and", "|": "or", "!": "not", "^": "or"}
_COMPARISONS = (ast.ComparisonExpression, ast.ArithmeticComparisonExpression)
_ARITHMETIC = (ast.AddExpression, ast.SubtractExpression, ast.ArithmeticExpression)
_DECIMALS = decimal.Context(prec=28)


class ConditionError(ArtesianError):
    """A condition makes no sense; says why in one clause."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether a condition holds: None if that cannot be told, as values are `missing`.

    `because_of` are the metrics that make it true, or false, in the condition's order.
    """

    holds: bool | None
    because_of: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


# --- the compiled form


@dataclass(frozen=True, eq=False)
class Leaf:
    """A comparison, or a metric that is 0 or 1. `names` are the metrics in it."""

    names: tuple[str, ...]
    expression: ast.ExpressionBase

    def is_true(self, values: Mapping[str, float]) -> bool | None:
        """None if a value is missing, or nothing can be computed of them, such as a division by 0."""
        if any(name not in values for name in self.names):
            return None
        try:
            with decimal.localcontext(_DECIMALS):
                return bool(self.expression.evaluate(values))
        except (rule_engine.EngineError, ArithmeticError):
            return None


@dataclass(frozen=True, eq=False)
class Not:
    """True if the part is false."""

    part: Tree


@dataclass(frozen=True, eq=False)
class Both:
    """`and`, or with `either` `or`, of two parts."""

    either: bool
    left: Tree
    right: Tree


Tree = Leaf | Not | Both


@dataclass(frozen=True, eq=False)
class Condition:
    """A condition that was checked. `names` are its metrics, in its own order."""

    text: str
    scope: Scope
    tree: Tree
    names: tuple[str, ...]

    def judge(self, values: Mapping[str, float]) -> Judgement:
        """Whether it holds for these values. Never raises; NaN counts as not known."""
        return _judged(self, tuple(map(values.get, self.names)))


@functools.lru_cache(maxsize=4096)
def _judged(condition: Condition, ordered: tuple[float | None, ...]) -> Judgement:
    """Most things are well, and have the same values as others."""
    values = {
        name: value
        for name, value in zip(condition.names, ordered, strict=True)
        if value is not None and not math.isnan(value)
    }
    holds, deciding = weigh(condition.tree, values)
    missing = tuple(name for name in condition.names if name not in values) if holds is None else ()
    return Judgement(holds, tuple(dict.fromkeys(deciding)), missing)


def weigh(tree: Tree, values: Mapping[str, float]) -> tuple[bool | None, tuple[str, ...]]:
    """True, false, or None if that depends on what is not known; and the metrics that decide it."""
    if isinstance(tree, Leaf):
        is_true = tree.is_true(values)
        return is_true, tree.names if is_true is not None else ()
    if isinstance(tree, Not):
        is_true, names = weigh(tree.part, values)
        return None if is_true is None else not is_true, names
    left, left_names = weigh(tree.left, values)
    right, right_names = weigh(tree.right, values)
    if tree.either in (left, right):
        return tree.either, (left_names if left is tree.either else ()) + (
            right_names if right is tree.either else ()
        )
    if left is None or right is None:
        return None, ()
    return left, left_names + right_names


# --- compiling


@functools.lru_cache(maxsize=1024)
def compile_condition(text: str, scope: Scope) -> Condition:
    """The condition over the metrics of a scope. Raises ConditionError."""
    metrics = metrics_of(scope)
    plain = _in_plain_words(text, metrics)
    types = dict.fromkeys(metrics, rule_engine.DataType.FLOAT)
    context = rule_engine.Context(type_resolver=types, default_timezone="utc", decimal_context=_DECIMALS)
    try:
        expression = rule_engine.Rule(plain, context=context).statement.expression
    except rule_engine.RuleSyntaxError as error:
        at = f"at {error.token.value!r}" if error.token is not None else "at its end"
        raise ConditionError(f"it cannot be understood {at}") from error
    except (rule_engine.errors.ArithmeticError, ArithmeticError, RecursionError) as error:
        raise ConditionError("it cannot be computed") from error
    except rule_engine.EngineError as error:
        raise ConditionError("it compares or computes what are not both numbers") from error
    tree = _tree(expression, metrics)
    return Condition(text, scope, tree, tuple(dict.fromkeys(_names_in(tree))))


def _in_plain_words(text: str, metrics: Mapping[str, Metric]) -> str:
    """The text with plain numbers: nothing but words of this language gets through."""
    if len(text) > LONGEST:
        raise ConditionError(f"it is longer than {LONGEST} characters")
    words: list[str] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        found = _WORD.match(text, at)
        if found is None:
            raise ConditionError(_not_a_word(text[at:].lstrip()))
        number, name, sign = found.groups()
        if number is not None:
            words.append(plain_number(number))
        elif name is not None:
            _check_name(name, metrics)
            words.append(name)
        else:
            words.append(sign)
        at = found.end()
    if not words:
        raise ConditionError("it is empty")
    if len(words) > MOST_WORDS:
        raise ConditionError(f"it has more than {MOST_WORDS} words")
    return " ".join(words)


def _not_a_word(rest: str) -> str:
    instead = _INSTEAD.get(rest[0])
    return f"{rest[0]!r} has no meaning here" + (f"; is {instead} meant?" if instead else "")


def _check_name(name: str, metrics: Mapping[str, Metric]) -> None:
    if name in _LOGIC or name in metrics:
        return
    lower = name.lower()
    close = [lower] if lower in _LOGIC else difflib.get_close_matches(lower, metrics, 1)
    if close:
        raise ConditionError(f"there is no metric {name}; is {close[0]} meant?")
    own = [one for one in metrics if not one.startswith(CLUSTER_PREFIX)] or [*metrics]
    raise ConditionError(f"there is no metric {name}; known here are {', '.join(own)}")


def plain_number(text: str) -> str:
    """`"20GiB"`, `"1h30m"`, `"90%"`, `"7"` → a decimal number without a unit. Raises ConditionError."""
    if _NUMBER.fullmatch(text):
        return text
    try:
        if text.endswith("%") and _NUMBER.fullmatch(text[:-1]):
            return f"{decimal.Decimal(text[:-1]) / 100:f}"
        if _SIZE_UNIT.fullmatch(text):
            return str(parse_size(text))
        return f"{decimal.Decimal(repr(parse_duration(text))):f}"
    except ValueError as error:
        raise ConditionError(f"{text!r} is not a number like 3, 0.5, 90%, 20GiB or 1h30m") from error


def _tree(expression: ast.ExpressionBase, metrics: Mapping[str, Metric]) -> Tree:
    if type(expression) is ast.LogicExpression:
        left, right = _tree(expression.left, metrics), _tree(expression.right, metrics)
        return Both(expression.type == "or", left, right)
    if type(expression) is ast.UnaryExpression and expression.type == "not":
        return Not(_tree(expression.right, metrics))
    if type(expression) in _COMPARISONS:
        names = (*_numbers_in(expression.left), *_numbers_in(expression.right))
        return Leaf(tuple(dict.fromkeys(names)), expression)
    if type(expression) is ast.SymbolExpression:
        if metrics[expression.name].unit is not Unit.FLAG:
            raise ConditionError(f"{expression.name} is a number: compare it with another one")
        return Leaf((expression.name,), expression)
    if isinstance(expression, ast.LiteralExpressionBase):
        raise ConditionError("a part of it names no metric, and is always the same")
    raise ConditionError("it is a number, and neither true nor false")


def _numbers_in(expression: ast.ExpressionBase) -> Iterator[str]:
    """The metrics of a side of a comparison, which has to be a number."""
    if type(expression) is ast.SymbolExpression:
        yield expression.name
    elif type(expression) in _ARITHMETIC:
        yield from _numbers_in(expression.left)
        yield from _numbers_in(expression.right)
    elif type(expression) is ast.UnaryExpression and expression.type == "uminus":
        yield from _numbers_in(expression.right)
    elif type(expression) is not ast.FloatExpression:
        raise ConditionError("it compares what is true or false with a number; leave that comparison out")


def _names_in(tree: Tree) -> Iterator[str]:
    if isinstance(tree, Leaf):
        yield from tree.names
    elif isinstance(tree, Not):
        yield from _names_in(tree.part)
    else:
        yield from _names_in(tree.left)
        yield from _names_in(tree.right)
