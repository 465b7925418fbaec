"""The page on remedies says what is so: its tables are those of the catalogue and of the default rules."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from artesian.model.rule import OTHER_SCOPES, REMEDY_SCOPES, Approval, Rule, Scope
from artesian.remedy.checking import read_whole_spec
from artesian.remedy.defaults import default_rules
from artesian.remedy.metrics import CATALOGUE, Metric
from artesian.remedy.words import rough_duration

PAGE = (Path(__file__).parents[2] / "docs" / "remedies.md").read_text()


def part(begin: str, end: str) -> str:
    """What is between two comments."""
    found = re.search(f"<!-- {begin}[^>]*-->\n(.*)<!-- {end} -->", PAGE, re.DOTALL)
    assert found is not None
    return found[1].strip()


def row(metric: Metric) -> str:
    """A metric in the table."""
    return f"| {metric.scope} | `{metric.name}` | {metric.unit} | {metric.text} |"


def metrics_table() -> str:
    """All metrics."""
    return "\n".join(["| scope | metric | unit | what it is |", "|---|---|---|---|", *map(row, CATALOGUE)])


def rules_table() -> str:
    """The default rules, with those that depend on providers."""
    every = {
        rule.name: rule for with_some in (True, False) for rule in default_rules(with_providers=with_some)
    }
    both = {one.name for one in default_rules(with_providers=True)} & {
        one.name for one in default_rules(with_providers=False)
    }
    lines = ["| rule | when | for | then |", "|---|---|---|---|"]
    for name, rule in every.items():
        when = "" if name in both else " (with providers)" if _gets_disks(rule) else " (without providers)"
        ask = ", if somebody agrees" if rule.approval is Approval.ASK else ""
        lasting = rough_duration(rule.for_s) if rule.for_s else "at once"
        lines.append(f"| `{name}`{when} | `{rule.when}` | {lasting} | `{rule.remedy}`{ask} |")
    return "\n".join(lines)


def _gets_disks(rule: Rule) -> bool:
    return REMEDY_SCOPES[rule.remedy] is Scope.POOL


def test_the_metrics_are_those_of_the_catalogue() -> None:
    assert part("metrics", "end of metrics") == metrics_table()


def test_the_default_rules_are_those_that_hold() -> None:
    assert part("default rules", "end of default rules") == rules_table()


def test_the_remedies_are_those_that_there_are() -> None:
    table = PAGE.partition("## What can be done")[2].partition("\n## ")[0]
    found = re.findall(r"^\| `([a-z-]+)` \| ([a-z, ]+) \|", table, re.MULTILINE)
    scopes = {
        kind: ", ".join((scope or "any", *OTHER_SCOPES.get(kind, ())))
        for kind, scope in REMEDY_SCOPES.items()
    }
    assert found == [(str(kind), scope) for kind, scope in scopes.items()]


def test_the_examples_can_be_read() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert examples
    for example in examples:
        assert yaml.safe_load(example)
        read_whole_spec(example, "docs/remedies.md")
