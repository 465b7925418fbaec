"""Rules and budgets in specs, and saying what is wrong with them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artesian.model.errors import SpecError
from artesian.model.rule import (
    Approval,
    Budget,
    QuietHours,
    RemedyKind,
    Rule,
    Scope,
    Severity,
)
from artesian.remedy.moving import is_forced
from artesian.strategy.rules_file import RuleProblem
from artesian.strategy.spec_file import read_spec
from tests.strategy.clusters import GIB, TIB

WHOLE = """
providers: [{kind: spare}, {kind: file, name: fast}]
default_rules: no
budget:
  bytes_per_day: 2TiB
  disks_per_day: 4
  cost_per_day: 10.5
  bytes_total: 9TiB
  disks_total: 9
  cost_total: 90
rules:
  - name: gold-is-full
    when: used_share > 80% or time_to_full_s < 1h
    remedy: expand-pool
    scope: pool
    things: engineering/*
    for: 5m
    severity: critical
    parameters: {disks: 2, disk_size: 100GiB, target_share: 60%, provider: fast}
    cooldown: 1h
    approval: automatic
    quiet_hours: ["22:00-06:00", 12:30-13:00]
    budget: {disks_per_day: 4}
  - {name: grow, when: used_share > 90%, remedy: grow-volume, parameters: {by: 25%, at_most: 1TiB}}
  - {name: tell, when: gone, remedy: notify, scope: node, things: ["db-*", web-1]}
"""


def test_everything_that_can_be_said() -> None:
    spec = read_spec(WHOLE)
    assert spec.default_rules is False
    assert spec.budget == Budget(2 * TIB, 4, 10.5, 9 * TIB, 9, 90.0)
    assert spec.rules == (
        Rule(
            "gold-is-full",
            Scope.POOL,
            "used_share > 80% or time_to_full_s < 1h",
            RemedyKind.EXPAND_POOL,
            300.0,
            Severity.CRITICAL,
            {"disks": 2, "disk_size_bytes": 100 * GIB, "target_share": 0.6, "provider": "fast"},
            3600.0,
            Approval.AUTOMATIC,
            (QuietHours(1320, 360), QuietHours(750, 780)),
            ("engineering/*",),
            Budget(disks_per_day=4),
        ),
        Rule(
            "grow",
            Scope.VOLUME,
            "used_share > 90%",
            RemedyKind.GROW_VOLUME,
            parameters={"by_share": 0.25, "at_most_bytes": TIB},
        ),
        Rule(
            "tell", Scope.NODE, "gone", RemedyKind.NOTIFY, approval=Approval.AUTOMATIC,
            things=("db-*", "web-1"),
        ),
    )  # fmt: skip


def rule(**keys: str) -> str:
    """A spec with one rule, which is all right but for these keys; one key on each line from line 3 on."""
    written = {"name": "a", "when": "failed", "remedy": "replace-device", **keys}
    lines = [f"  {key}: {value}" for key, value in written.items() if value]
    return "rules:\n-\n" + "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (rule(name=""), "spec, line 3: rules: name is missing"),
        (rule(when=""), "when is missing"),
        (rule(remedy=""), "remedy is missing"),
        (rule(name="a b"), "line 3: rules.name: 'a b' is no name"),
        (rule(wehn="failed"), "line 6: rules: wehn is not known; is when meant?"),
        (rule(remedy="reboot"), "'reboot' is none of expand-pool, replace-device"),
        (
            rule(remedy="notify"),
            "line 3: rules: scope is missing: notify is for things of any, cluster, pool",
        ),
        (rule(scope="node"), "line 6: rules.scope: replace-device is for a device, not for a node"),
        (rule(**{"for": "ten"}), "line 6: rules.for: 'ten' is not a time like 45s, 10m or 1h30m"),
        (rule(cooldown="-5m"), "rules.cooldown: '-5m' is not a time"),
        (rule(cooldown="5"), "rules.cooldown: '5' is not a time"),
        (rule(cooldown="30m1h"), "'30m1h' is not a time"),
        (rule(severity="bad"), "'bad' is none of info, warning, critical"),
        (rule(approval="never"), "'never' is none of ask, automatic"),
        (rule(parameters="{disk: 1GiB}"), "line 6: rules.parameters: disk is not known; is disk_size meant?"),
        (rule(remedy="remove-node", parameters="{disks: 1}"), "remove-node has no parameters"),
        (rule(parameters="{provider: fast}"), "there is no provider fast; there are no providers"),
        (rule(parameters="{disk_size: much}"), "rules.parameters.disk_size: 'much' is not a size"),
        (rule(quiet_hours="night"), "'night' is not a time of the day like 22:00-06:00"),
        (rule(quiet_hours="22:00-22:00"), "it has to end before it begins again"),
        (rule(quiet_hours="25:00-26:00"), "is not a time of the day"),
        (rule(quiet_hours="00:00-24:00"), "line 6: rules.quiet_hours: these cover the whole day"),
        (rule(quiet_hours='["20:00-08:30", "08:00-20:00"]'), "these cover the whole day"),
        (rule(budget="{disks_per_day: 0}"), "a whole number of at least 1 is expected here"),
        (rule(budget="{disks_per_day: 1.5}"), "a whole number of at least 1"),
        (rule(budget="{disks_a_day: 1}"), "is disks_per_day meant?"),
        (rule(budget="{cost_total: cheap}"), "a number like 0.08 is expected here"),
        (rule(budget="{disks_per_day: 3, disks_total: 2}"), "disks_per_day is more than disks_total"),
        (rule(things="[[a]]"), "a word or a text is expected here"),
        ("rules: {name: a}", "a list is expected here"),
        ("default_rules: maybe", "line 1: default_rules: yes or no is expected here"),
        (
            "rules:\n- {name: a, when: failed, remedy: replace-device}\n"
            "- {name: a, when: leaving, remedy: replace-device}",
            "spec, line 3: rules: rule a: name: there is another rule of this name",
        ),
        (
            "rules:\n- {name: a, when: failed, remedy: replace-device}\n"
            "- {name: b, when: failed, remedy: replace-device}",
            "spec, line 3: rules: rule b: rule a says the same already",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, complaint: str) -> None:
    with pytest.raises(SpecError) as raised:
        read_spec(text)
    assert complaint in str(raised.value)


# --- what does not fit together


def expansion(providers: str = "[{kind: spare}]", budget: str = "", more: str = "") -> str:
    """A spec with an expansion."""
    written = f"providers: {providers}\n" + (f"budget: {budget}\n" if budget else "")
    return f"{written}rules:\n- name: a\n  when: used_share > 80%\n  remedy: expand-pool\n{more}"


EBS = "[{kind: ebs, disk_size: 100GiB, price_per_gib_month: 0.1}]"
UNPRICED = "[{kind: ebs, disk_size: 100GiB}]"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "rules:\n- name: a\n  when: used_share > 1\n  remedy: expand-pool",
            "spec, line 4: rules: rule a: remedy: expand-pool needs new disks, and there are no providers",
        ),
        (
            expansion(more="  parameters: {provider: spear}"),
            "line 6: rules: rule a: parameters: there is no provider spear; is spare meant?",
        ),
        (
            expansion(more="  budget: {disks_per_day: 1}"),
            "disks_per_day is 1, and 2 disks are needed at once",
        ),
        (
            expansion(EBS, more="  budget: {bytes_per_day: 150GiB}"),
            "line 6: rules: rule a: budget: bytes_per_day is 150 GiB, and 2 disks of 100 GiB is more",
        ),
        (
            expansion(EBS, "{bytes_total: 50GiB}"),
            "spec, line 2: budget: bytes_total is 50.0 GiB, and a disk of 100 GiB is more",
        ),
        (
            expansion(EBS, "{cost_per_day: 9}"),
            "cost_per_day is 9, and what is needed at once costs 10 a month",
        ),
        (expansion(UNPRICED, "{cost_total: 90}"), "what provider ebs costs is not known"),
        (
            expansion(EBS, more="  parameters: {disk_size: 1TiB}\n  budget: {cost_total: 200}"),
            "cost_total is 200, and what is needed at once costs 204.8 a month",
        ),
    ],
)
def test_what_does_not_fit_together_is_said_with_its_line(text: str, complaint: str) -> None:
    with pytest.raises(SpecError) as raised:
        read_spec(text)
    assert complaint in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        expansion(more="  parameters: {disks: 2}\n  budget: {disks_per_day: 2}"),
        expansion(EBS, "{disks_per_day: 1, cost_per_day: 10}"),
        expansion(EBS, "{bytes_total: 100GiB}", "  budget: {bytes_total: 200GiB}"),
        expansion("[{kind: ebs, disk_size: 1TiB}, {kind: spare}]", "{bytes_total: 1GiB}"),
        "budget: {bytes_total: 1KiB}",
        rule(budget="{bytes_total: 1KiB}"),
    ],
)
def test_what_fits_together(text: str) -> None:
    read_spec(text)


def test_a_check_of_rules_names_the_key_that_is_wrong() -> None:
    def refuse(one: Rule) -> None:
        raise RuleProblem("when", f"nobody understands {one.when}")

    with pytest.raises(SpecError) as raised:
        read_spec(rule(), check_rule=refuse)
    assert str(raised.value) == "spec, line 4: rules: rule a: when: nobody understands failed"


def test_a_check_of_rules_may_speak_of_the_whole_rule() -> None:
    def refuse(_one: Rule) -> None:
        raise RuleProblem("things", "there are none")

    with pytest.raises(SpecError) as raised:
        read_spec(rule(), check_rule=refuse)
    assert str(raised.value) == "spec, line 3: rules: rule a: there are none"


_WORDS = [
    "name",
    "when",
    "remedy",
    "for",
    "budget",
    "quiet_hours",
    "10m",
    "notify",
    "pool",
    "a",
    "1",
    "[]",
    "{}",
]


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(_WORDS), st.sampled_from(_WORDS)), max_size=6))
def test_whatever_is_written_is_read_or_refused(pairs: list[tuple[str, str]]) -> None:
    text = (
        "rules:\n- x: 1\n"
        if not pairs
        else "rules:\n-\n" + "\n".join(f"  {key}: {one}" for key, one in pairs)
    )
    try:
        read_spec(text)
    except SpecError as error:
        assert str(error).startswith("spec, line ")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "providers: [{kind: file, disk_size: 512MiB}]",
            "disk_size of file is 512 MiB, and disks below minimum_disk, 1.0 GiB, are not taken",
        ),
        (
            "minimum_disk: 10GiB\n" + expansion(EBS, more="  parameters: {disk_size: 2GiB}"),
            "parameters: disk_size is 2.0 GiB, and disks below minimum_disk, 10.0 GiB, are not taken",
        ),
    ],
)
def test_disks_that_would_not_be_taken_are_not_to_be_had(text: str, problem: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_spec(text)
    assert problem in str(caught.value)


# --- rules that add nodes

ADDING = """
budget: {nodes_per_day: 2, nodes_total: 4}
rules:
  - {name: more, when: used_share > 80%, remedy: add-node, parameters: {disks: 2, disk_size: 4GiB}}
  - {name: wider, scope: cluster, when: nodes < 4, remedy: add-node}
"""


def test_nodes_are_added_for_a_pool_or_for_the_cluster() -> None:
    spec = read_spec(ADDING)
    assert [rule.scope for rule in spec.rules] == [Scope.POOL, Scope.CLUSTER]
    assert spec.rules[0].parameters == {"disks": 2, "disk_size_bytes": 4 * GIB}
    assert (spec.budget.nodes_per_day, spec.budget.nodes_total) == (2, 4)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            ADDING.replace("scope: cluster", "scope: node"),
            "add-node is for a pool or a cluster, not for a node",
        ),
        ("new_nodes: never\n" + ADDING, "new_nodes is never"),
        ("new_disks: never\n" + ADDING, "new_disks is never"),
        (ADDING.replace("nodes_total: 4", "nodes_total: 1"), "nodes_per_day is more than nodes_total"),
        (ADDING.replace("disks: 2", "disks: 0"), "disks"),
        (ADDING.replace("4GiB", "1MiB"), "are not taken"),
        (ADDING.replace("disks: 2", "provider: x"), "provider"),
    ],
)
def test_a_rule_that_cannot_add_nodes_is_refused(text: str, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        read_spec(text)


def test_volumes_are_taken_by_force_only_where_that_is_said() -> None:
    text = "rules: [{name: a, when: silent, remedy: move-volumes, parameters: {force: FORCE}}]"
    spec = read_spec(text.replace("FORCE", "yes"))
    assert is_forced(spec.rules[0].remedy, spec.rules[0].parameters)
    spec = read_spec(text.replace("FORCE", "no"))
    assert not is_forced(spec.rules[0].remedy, spec.rules[0].parameters)
    with pytest.raises(SpecError, match=r"rules.parameters.force: yes or no is expected here"):
        read_spec(text.replace("FORCE", "soon"))
