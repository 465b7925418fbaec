"""When rules fire, when they stop, and that they do not flap."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from types import MappingProxyType

from hypothesis import given, settings
from hypothesis import strategies as st

from artesian.model.rule import RemedyKind, Rule, Scope
from artesian.remedy.firing import Firing, FiringMemory, evaluate
from artesian.remedy.measuring import CLUSTER, Measured

UP = Measured(Scope.CLUSTER, CLUSTER, {"engine_up": 1.0, "degraded_bytes": 0.0}, "the cluster")
DOWN = Measured(Scope.CLUSTER, CLUSTER, {"engine_up": 0.0}, "the cluster")
FULL = Rule("full", Scope.POOL, "used_share > 85%", RemedyKind.NOTIFY)


def pool(name: str = "default/default", **values: float) -> Measured:
    """A pool with these values alone."""
    return Measured(Scope.POOL, name, MappingProxyType(values), f"pool {name}", (name.partition("/")[2],))


class Watch:
    """Evaluates again and again."""

    def __init__(self, *rules: Rule) -> None:
        self.rules = rules
        self.memory = FiringMemory()
        self.firings: tuple[Firing, ...] = ()

    def at(self, now_s: float, *measured: Measured) -> list[tuple[str, str]]:
        """What fires at a moment."""
        self.firings, self.memory = evaluate(self.rules, measured, self.memory, now_s)
        return [(one.rule, one.thing) for one in self.firings]


def test_a_firing_says_why_with_the_numbers() -> None:
    rule = replace(FULL, when="time_to_full_s < 3 * expansion_lead_s + 30m or used_share > 85%")
    watch = Watch(rule)
    filling = pool(
        time_to_full_s=2460.0, fill_rate=12.0 * 2**20, expansion_lead_s=240.0, used_share=0.5, size_bytes=7.0
    )
    assert watch.at(1000, UP, filling) == [("full", "default/default")]
    assert watch.firings[0] == Firing(
        "full",
        "default/default",
        Scope.POOL,
        "pool default/default is full in 41 min at 12.0 MiB/s, and new disks take 4 min",
        {"time_to_full_s": 2460.0, "expansion_lead_s": 240.0, "used_share": 0.5},
        1000,
    )


def test_what_is_endless_is_not_among_the_numbers_that_are_kept() -> None:
    watch = Watch(replace(FULL, when="used_share > 85% or time_to_full_s < 1h"))
    watch.at(0, UP, pool(used_share=0.9, time_to_full_s=math.inf))
    assert watch.firings[0].saw == {"used_share": 0.9}


def test_a_rule_waits_as_long_as_it_says() -> None:
    watch = Watch(replace(FULL, for_s=60.0))
    assert watch.at(0, UP, pool(used_share=0.9)) == []
    assert watch.memory.may_be_wrong("full", "default/default")
    assert watch.at(59, UP, pool(used_share=0.9)) == []
    assert watch.at(60, UP, pool(used_share=0.9)) == [("full", "default/default")]


def test_what_was_well_in_between_begins_anew() -> None:
    watch = Watch(replace(FULL, for_s=60.0))
    watch.at(0, UP, pool(used_share=0.9))
    watch.at(50, UP, pool(used_share=0.8))
    assert not watch.memory.may_be_wrong("full", "default/default")
    assert watch.at(70, UP, pool(used_share=0.9)) == []
    assert watch.at(130, UP, pool(used_share=0.9)) == [("full", "default/default")]


def test_a_firing_goes_on_until_its_condition_is_false() -> None:
    watch = Watch(FULL)
    watch.at(0, UP, pool(used_share=0.9))
    assert watch.at(10, UP, pool(used_share=0.95)) == [("full", "default/default")]
    assert watch.firings[0].since_s == 0
    assert "95% full" in watch.firings[0].because
    assert watch.at(20, UP, pool(used_share=0.8)) == []
    assert watch.at(30, UP, pool(used_share=0.9)) == [("full", "default/default")]
    assert watch.firings[0].since_s == 30


def test_a_missing_value_neither_begins_a_firing_nor_ends_it() -> None:
    watch = Watch(FULL)
    assert watch.at(0, UP, pool()) == []
    assert watch.memory.may_be_wrong("full", "default/default")
    assert watch.memory.watched["full", "default/default"].missing == ("used_share",)
    watch.at(10, UP, pool(used_share=0.9))
    assert watch.at(20, UP, pool()) == [("full", "default/default")]
    assert watch.at(30, UP, pool(used_share=0.1)) == []


def test_time_in_which_nobody_can_tell_does_not_count() -> None:
    watch = Watch(replace(FULL, for_s=60.0))
    watch.at(0, UP, pool(used_share=0.9))
    watch.at(30, UP, pool(used_share=0.9))
    watch.at(60, UP, pool())
    watch.at(90, UP, pool(used_share=0.9))
    assert watch.at(119, UP, pool(used_share=0.9)) == []
    assert watch.at(120, UP, pool(used_share=0.9)) == [("full", "default/default")]


def test_an_engine_that_does_not_answer_ends_nothing() -> None:
    watch = Watch(FULL)
    watch.at(0, UP, pool(used_share=0.9))
    assert watch.at(10, DOWN) == [("full", "default/default")]
    assert watch.memory.may_be_wrong("full", "any/other")
    assert watch.at(20, UP, pool(used_share=0.9)) == [("full", "default/default")]
    assert watch.firings[0].since_s == 0
    assert watch.at(30, UP) == []  # the engine answers, and the pool is no more
    assert not watch.memory.may_be_wrong("full", "default/default")


def test_things_that_are_not_the_engines_are_seen_without_it() -> None:
    rule = Rule("gone", Scope.NODE, "gone and cluster_degraded_bytes == 0", RemedyKind.NOTIFY)
    gone = Measured(Scope.NODE, "n", {"gone": 1.0}, "node n")
    watch = Watch(rule)
    assert watch.at(0, DOWN, gone) == []
    assert watch.at(10, UP, gone) == [("gone", "n")]
    assert (
        watch.firings[0].because
        == "node n is gone for certain, and everything in the cluster has two good copies"
    )
    assert watch.at(20, DOWN) == []


def test_rules_are_for_things_by_patterns() -> None:
    watch = Watch(replace(FULL, things=("gold*", "*/silver")))
    pools = [pool(name, used_share=0.9) for name in ("default/golden", "other/silver", "other/bronze")]
    assert watch.at(0, UP, *pools) == [("full", "default/golden"), ("full", "other/silver")]


def test_a_rule_with_another_condition_is_another_rule() -> None:
    watch = Watch(replace(FULL, for_s=60.0))
    watch.at(0, UP, pool(used_share=0.9))
    watch.at(60, UP, pool(used_share=0.9))
    watch.rules = (replace(FULL, for_s=60.0, when="used_share > 80%"),)
    assert watch.at(70, UP, pool(used_share=0.9)) == []
    assert watch.at(130, UP, pool(used_share=0.9)) == [("full", "default/default")]
    watch.rules = ()
    assert watch.at(140, UP, pool(used_share=0.9)) == []
    assert watch.memory == FiringMemory()


def test_the_cluster_is_a_thing_too() -> None:
    rule = Rule("degraded", Scope.CLUSTER, "engine_up and degraded_bytes == 0", RemedyKind.NOTIFY)
    watch = Watch(rule)
    assert watch.at(0, UP) == [("degraded", CLUSTER)]
    assert watch.firings[0].because == "everything in the cluster has two good copies"
    assert watch.at(0, DOWN) == []


def test_without_a_title_a_thing_is_called_by_its_scope_and_name() -> None:
    watch = Watch(FULL)
    watch.at(0, UP, Measured(Scope.POOL, "a/b", {"used_share": 0.9}))
    assert watch.firings[0].because == "pool a/b is 90% full"


# --- whatever is measured

_rules = [
    FULL,
    Rule("slow", Scope.POOL, "time_to_full_s < 1h", RemedyKind.NOTIFY, for_s=30.0),
    Rule("both", Scope.POOL, "used_share > 50% and time_to_full_s < 2h", RemedyKind.NOTIFY, for_s=10.0),
    Rule("gone", Scope.NODE, "gone or away_s > 1m", RemedyKind.NOTIFY, for_s=20.0),
]
_pools = st.dictionaries(
    st.sampled_from(["a/b", "c/d", "e/f"]),
    st.fixed_dictionaries(
        {}, optional={"used_share": st.floats(0, 1), "time_to_full_s": st.floats(0) | st.just(math.inf)}
    ),
)
_nodes = st.dictionaries(
    st.sampled_from(["m", "n"]),
    st.fixed_dictionaries({}, optional={"gone": st.sampled_from([0.0, 1.0]), "away_s": st.floats(0, 100)}),
)
_looks = st.lists(st.tuples(st.floats(-50, 200), st.booleans(), _pools, _nodes), max_size=8)


@settings(deadline=None)
@given(_looks, st.randoms(use_true_random=False))
def test_the_order_of_rules_and_things_makes_no_difference(
    looks: list[tuple[float, bool, dict[str, dict[str, float]], dict[str, dict[str, float]]]],
    chance: random.Random,
) -> None:
    straight, mixed, now_s = FiringMemory(), FiringMemory(), 1000.0
    for step_s, is_up, pools, nodes in looks:
        now_s += step_s
        measured = [UP if is_up else DOWN]
        measured += [Measured(Scope.POOL, name, values) for name, values in pools.items() if is_up]
        measured += [Measured(Scope.NODE, name, values) for name, values in nodes.items()]
        firings, straight = evaluate(_rules, measured, straight, now_s)
        shuffled = chance.sample(measured, len(measured))
        others, mixed = evaluate(chance.sample(_rules, len(_rules)), shuffled, mixed, now_s)
        assert firings == others
        assert straight == mixed
        assert evaluate(_rules, measured, straight, now_s) == evaluate(_rules, measured, straight, now_s)
        assert all(one.because and all(map(math.isfinite, one.saw.values())) for one in firings)


def test_a_device_is_called_what_people_call_it() -> None:
    failed = Rule("failed", Scope.DEVICE, "failed", RemedyKind.REPLACE_DEVICE)
    device = Measured(
        Scope.DEVICE, "disk-0f0f", MappingProxyType({"failed": 1.0}), "device /dev/sdb of node n2"
    )
    watch = Watch(failed, FULL)
    watch.at(0, UP, device, pool(used_share=0.9))
    assert {one.thing: one.title for one in watch.firings} == {
        "disk-0f0f": "/dev/sdb of node n2",
        "default/default": "",
    }
