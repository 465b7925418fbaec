"""Volumes leave a node: it lets go of them, or, where nobody can ask it, they are taken by force."""

from __future__ import annotations

from dataclasses import replace

import pytest

from artesian.model.engine import SeenVolume
from artesian.model.names import client_guid
from artesian.model.node import Node, NodeState
from artesian.model.observation import SeenAttachment
from artesian.model.remedy import RemedyState
from artesian.model.rule import Approval, RemedyKind, Rule, Scope
from artesian.model.state import with_item
from artesian.model.wishes import VolumeWish
from artesian.remedy.conditions import compile_condition
from artesian.remedy.defaults import default_rules
from artesian.remedy.facts import RemedyFacts
from artesian.remedy.holding import objection
from artesian.remedy.moving import described
from tests.planner.situations import GIB, IDENTITY, POOL
from tests.remedy.cases import MOVE, REPLACE, RULES, Clinic

FORCE = Rule(
    "force", Scope.NODE, "unreachable and silent", RemedyKind.MOVE_VOLUMES, approval=Approval.AUTOMATIC,
    parameters={"force": True},
)  # fmt: skip
LOST = "node-1"
LOSS = "what node node-1 had not flushed is lost"


@pytest.fixture
def clinic() -> Clinic:
    """A volume is in use on node-1, of which nothing more is heard."""
    made = Clinic(rules=(*RULES, FORCE))
    wish = VolumeWish("data", POOL, 2 * GIB, node=LOST, mount_path="/data")
    made.world.state = replace(made.world.state, volumes=with_item({}, "data", wish))
    made.world.converge()
    assert mapped_to(made) == (guid(LOST),)
    be(made, state=NodeState.SILENT, unreachable=True)
    return made


def be(clinic: Clinic, **values: object) -> None:
    """Let node-1 be seen like this."""
    seen: list[Node] = [
        replace(one, **values) if one.name == LOST else one  # type: ignore[arg-type]
        for one in clinic.world.nodes
    ]
    clinic.world.nodes = tuple(seen)


def volume(clinic: Clinic) -> SeenVolume:
    assert clinic.world.engine is not None
    return clinic.world.engine.volumes[0]


def guid(node: str) -> str:
    return client_guid(IDENTITY.system_id, node)


def mapped_to(clinic: Clinic) -> tuple[str, ...]:
    return volume(clinic).mapped_to


def wish_of(clinic: Clinic) -> VolumeWish:
    return clinic.world.state.volumes["data"]


def test_without_force_a_silent_node_keeps_its_volumes(clinic: Clinic) -> None:
    clinic.fire(MOVE, LOST)
    clinic.passes(6)
    assert mapped_to(clinic) == (guid(LOST),)
    assert clinic.remedy.state is RemedyState.ACTING
    held = clinic.world.decide().guarded.held
    assert any(
        "it is taken over when the node is gone for certain, or by force" in one.because for one in held
    )


def test_by_force_the_engine_refuses_it_before_another_node_gets_its_volumes(clinic: Clinic) -> None:
    clinic.world.done.clear()
    clinic.fire(FORCE, LOST)
    clinic.passes(6)
    assert (wish_of(clinic).node, wish_of(clinic).forced_from) == ("node-2", LOST)
    assert mapped_to(clinic) == (guid("node-2"),)
    assert [type(one.change).__name__ for one in clinic.world.done] == ["UnmapVolume", "MapVolume"]
    clinic.calm()
    clinic.pass_()
    assert clinic.remedy.state is RemedyState.HELPED


def test_whoever_has_to_agree_is_told_what_it_costs(clinic: Clinic) -> None:
    asking = replace(FORCE, approval=Approval.ASK)
    clinic.spec = replace(clinic.spec, rules=(asking,))
    clinic.fire(asking, LOST)
    clinic.passes(3)
    assert clinic.remedy.state is RemedyState.ASKING
    assert clinic.remedy.because.endswith(f"; volumes are taken from it by force, and {LOSS}")
    assert mapped_to(clinic) == (guid(LOST),)
    assert described(clinic.remedy, clinic.facts) == f"volume data goes to node node-2; {LOSS}"


def test_what_moves_data_for_others_does_not_hold_it(clinic: Clinic) -> None:
    """Nothing is taken away while a node is silent; but to move volumes takes no copies away."""
    clinic.fire(REPLACE, "artesian-x")
    clinic.fire(FORCE, LOST)
    clinic.look()
    (remedy,) = [one for one in clinic.remedies if one.kind is RemedyKind.MOVE_VOLUMES]
    assert remedy.state is RemedyState.ACTING


def test_a_node_that_is_away_since_before_the_scheduler_began_is_no_half_picture(clinic: Clinic) -> None:
    clinic.fire(FORCE, LOST)
    clinic.look()
    held = replace(clinic.remedy, state=RemedyState.HELD)
    assert objection(held, unheard(clinic, LOST)) is None
    assert "node node-2 has not reported yet" in str(objection(held, unheard(clinic, LOST, "node-2")))
    other = replace(held, kind=RemedyKind.REMOVE_NODE)
    assert "node node-1 has not reported yet" in str(objection(other, unheard(clinic, LOST)))
    be(clinic, unreachable=False)
    assert "node node-1 has not reported yet" in str(objection(held, unheard(clinic, LOST)))


def unheard(clinic: Clinic, *names: str) -> RemedyFacts:
    return replace(clinic.facts, seen=replace(clinic.facts.seen, unheard=frozenset(names)))


def test_nothing_is_forced_from_a_node_that_reports(clinic: Clinic) -> None:
    be(clinic, state=NodeState.ALIVE, unreachable=False)
    clinic.world.attachments = (SeenAttachment(volume(clinic).id, LOST, "/dev/x"),)
    clinic.fire(FORCE, LOST)
    clinic.passes(3)
    assert (wish_of(clinic).node, wish_of(clinic).forced_from) == ("node-2", None)
    assert mapped_to(clinic) == (guid(LOST),)
    assert clinic.remedy.detail == "volume data is still mapped to node node-1"


def test_a_node_that_goes_silent_while_it_lets_go_is_overtaken_by_force(clinic: Clinic) -> None:
    clinic.fire(MOVE, LOST)
    clinic.passes(3)
    assert (wish_of(clinic).node, mapped_to(clinic)) == ("node-2", (guid(LOST),))
    clinic.fire(FORCE, LOST)
    clinic.look()
    forced = next(one for one in clinic.remedies if one.rule == "force")
    assert forced.state is RemedyState.ACTING
    clinic.passes(3)
    assert (wish_of(clinic).forced_from, mapped_to(clinic)) == (LOST, (guid("node-2"),))


def test_where_nobody_else_can_use_volumes_they_stay(clinic: Clinic) -> None:
    clinic.world.nodes = tuple(replace(one, state=NodeState.SILENT) for one in clinic.world.nodes)
    clinic.fire(FORCE, LOST)
    clinic.look()
    assert clinic.remedy.state is RemedyState.HELD
    assert clinic.remedy.detail == "no other node can use volumes"


def test_agreement_to_ask_a_node_is_none_to_force_it(clinic: Clinic) -> None:
    asking = replace(FORCE, approval=Approval.ASK)
    clinic.spec = replace(clinic.spec, rules=(asking, MOVE))
    clinic.fire(asking, LOST)
    clinic.look()
    clinic.fire(MOVE, LOST)
    clinic.passes(2)
    states = {one.rule: one.state for one in clinic.remedies}
    assert states == {"force": RemedyState.ASKING, "move": RemedyState.ACTING}


@pytest.mark.parametrize(
    ("values", "fires"),
    [
        ({"unreachable": 1, "silent": 1, "away_s": 91, "volumes": 1}, True),
        ({"unreachable": 1, "silent": 1, "away_s": 89, "volumes": 1}, False),
        ({"unreachable": 0, "silent": 1, "away_s": 9999, "volumes": 1}, False),
        ({"unreachable": 1, "silent": 0, "away_s": 0, "volumes": 1}, False),
        ({"unreachable": 1, "silent": 1, "away_s": 9999, "volumes": 0}, False),
    ],
)
def test_the_default_rule_asks_when_both_the_substrate_and_we_have_lost_sight(
    values: dict[str, float], fires: bool
) -> None:
    (rule,) = [one for one in default_rules(with_providers=True) if one.name == "take-over-volumes"]
    assert rule.approval is Approval.ASK
    assert compile_condition(rule.when, rule.scope).judge(values).holds is fires


def for_containers(clinic: Clinic) -> None:
    state = clinic.world.state
    held = replace(state.volumes["data"], hold="h1")
    clinic.world.state = replace(state, volumes=with_item({}, "data", held))


def test_a_volume_that_is_there_for_containers_goes_nowhere_until_one_wants_it(clinic: Clinic) -> None:
    for_containers(clinic)
    clinic.fire(FORCE, LOST)
    clinic.passes(6)
    wish = wish_of(clinic)
    assert (wish.node, wish.mount_path, wish.hold, wish.forced_from) == (None, None, "", LOST)
    assert mapped_to(clinic) == ()


def test_whoever_has_to_agree_to_that_is_told_so(clinic: Clinic) -> None:
    for_containers(clinic)
    asking = replace(FORCE, approval=Approval.ASK)
    clinic.spec = replace(clinic.spec, rules=(asking,))
    clinic.fire(asking, LOST)
    clinic.pass_()
    words = described(clinic.remedy, clinic.facts)
    assert words == f"volume data, which is there for containers, goes where one wants it; {LOSS}"
