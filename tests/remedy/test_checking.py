"""What is found wrong with rules when a spec is read, and which rules hold."""

from __future__ import annotations

import pytest

from artesian.model.errors import SpecError
from artesian.model.rule import Approval, RemedyKind, Rule, Scope
from artesian.model.spec import Spec
from artesian.remedy.checking import check_rule, read_whole_spec
from artesian.remedy.defaults import default_rules, expansion_lead_s, with_default_rules
from artesian.strategy.spec_file import read_spec

PROVIDERS = "providers: [{kind: spare, lead_time: 10s}, {kind: file, lead_time: 1m}]\n"


def rule(when: str, more: str = "") -> str:
    """A spec with one rule."""
    return f"{PROVIDERS}rules:\n  - name: a\n    remedy: expand-pool\n    when: {when}\n{more}"


def names(text: str) -> list[str]:
    """The rules that hold."""
    return [one.name for one in read_whole_spec(text).rules]


@pytest.mark.parametrize(
    "when",
    [
        "used_share > 85%",
        "used_share > 85% and 3 * used_share < 2",
        "device_count < 3",
        "100 * used_share > 85",
        "used_share == 1",
        "used_share > 80% and (free_bytes < 20GiB or time_to_full_s < 2 * expansion_lead_s)",
        "cluster_engine_up and degraded_bytes == 0 and used_share > 80%",
        "used_share > forecast_sure",
        " or ".join(f"used_share > {share}% and free_bytes < {share}GiB" for share in range(81, 99)),
    ],
)
def test_what_makes_sense(when: str) -> None:
    assert read_whole_spec(rule(when)).rules[0].when == when


@pytest.mark.parametrize(
    ("when", "complaint"),
    [
        (
            "used_shar > 1",
            "spec, line 5: rules: rule a: when: there is no metric used_shar; is used_share meant?",
        ),
        ("used_share >", "line 5: rules: rule a: when: it cannot be understood at its end"),
        (
            "used_share > 85",
            "used_share is 0 to 1, so that its comparison with 85 is never true; is 85% meant?",
        ),
        ("85 < used_share", "is 85% meant?"),
        ("used_share < 85", "is always true; is 85% meant?"),
        ("free_bytes >= 0", "free_bytes is 0 or more, so that its comparison with 0 is always true"),
        ("free_bytes < 20GiB or used_share > 2", "comparison with 2 is never true"),
        ("cluster_engine_up == 2", "cluster_engine_up is 0 or 1"),
        ("used_share > 90% and used_share < 50%", "this can never be true"),
        ("used_share > 90% and not used_share > 80%", "this can never be true"),
        ("time_to_full_s < 1h and (used_share > 90% and used_share < 50%)", "this can never be true"),
        ("used_share > 90% or used_share <= 95%", "this is always true"),
        ("cluster_engine_up or not cluster_engine_up", "this is always true"),
    ],
)
def test_what_makes_no_sense_is_said_with_its_line(when: str, complaint: str) -> None:
    with pytest.raises(SpecError) as raised:
        read_whole_spec(rule(when))
    assert complaint in str(raised.value)


def test_an_expansion_has_to_end_what_it_is_for() -> None:
    with pytest.raises(
        SpecError, match=r"line 6: rules: rule a: parameters: a pool that is 90% full is to be"
    ):
        read_whole_spec(rule("used_share > 85%", "    parameters: {target_share: 90%}\n"))
    read_whole_spec(rule("used_share > 85%", "    parameters: {target_share: 70%}\n"))
    read_whole_spec(rule("time_to_full_s < 1h", "    parameters: {target_share: 90%}\n"))


def test_conditions_are_not_looked_at_where_nobody_can() -> None:
    assert read_spec(rule("whatever ((")).rules[0].when == "whatever (("


# --- the default rules


@pytest.mark.parametrize("with_providers", [True, False])
def test_default_rules_make_sense_and_ask_before_they_do_anything(with_providers: bool) -> None:
    rules = default_rules(with_providers=with_providers)
    assert len({one.name for one in rules}) == len(rules)
    for one in rules:
        check_rule(one)
        assert one.approval is Approval.ASK or one.remedy is RemedyKind.NOTIFY or _is_asked_for(one)
    assert any(one.remedy is RemedyKind.EXPAND_POOL for one in rules) is with_providers


def _is_asked_for(one: Rule) -> bool:
    """Whoever drains a node wants it empty, and without force nothing can be lost."""
    return one.name == "empty-drained-node" and not one.parameters


def test_default_rules_hold_unless_they_are_refused() -> None:
    assert names("") == [
        "pool-fills-up",
        "data-out-of-reach",
        "replace-device",
        "failing-disk",
        "sick-device",
        "grow-volume",
        "replace-manager",
        "remove-node",
        "clocks-differ",
        "take-over-volumes",
        "empty-drained-node",
    ]
    assert names(PROVIDERS)[0] == "expand-pool"
    assert names("default_rules: no") == []


def test_an_own_rule_takes_the_place_of_the_default_one() -> None:
    assert names(rule("used_share > 70%"))[:2] == ["a", "data-out-of-reach"]
    only_some = rule("used_share > 70%", "    things: [gold]\n")
    assert names(only_some)[:3] == ["a", "expand-pool", "data-out-of-reach"]
    same_name = "rules: [{name: remove-node, remedy: notify, scope: node, when: gone}]"
    whole = read_whole_spec(same_name)
    assert [one.remedy for one in whole.rules if one.name == "remove-node"] == [RemedyKind.NOTIFY]
    assert with_default_rules(whole) == whole


def test_a_rule_that_moves_volumes_for_its_own_reason_takes_no_place() -> None:
    own = "rules: [{name: a, remedy: move-volumes, when: gone and volumes > 0}]"
    assert names(own)[-2:] == ["take-over-volumes", "empty-drained-node"]


def test_a_rule_that_only_tells_takes_no_place() -> None:
    told = "rules: [{name: told, remedy: notify, scope: pool, when: used_share > 70%}]"
    assert "data-out-of-reach" in names(told)
    assert read_whole_spec(told).rules[0].scope is Scope.POOL


def test_new_disks_take_as_long_as_the_slowest_provider() -> None:
    assert expansion_lead_s(read_spec(PROVIDERS)) == 60
    assert expansion_lead_s(Spec()) is None
