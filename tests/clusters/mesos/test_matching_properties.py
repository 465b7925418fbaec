"""What holds for whatever is asked of Mesos, in any situation."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from artesian.clusters.mesos.infos import EXECUTOR
from artesian.clusters.mesos.matching import (
    KILL_AGAIN_S,
    LIVE_STATES,
    NodeWant,
    Situation,
    Status,
    decide,
    is_live,
    waiting_for_offers,
)
from artesian.clusters.mesos.offers import is_nothing
from artesian.clusters.port import TaskWanted
from artesian.model.resources import Resources, total
from tests.clusters.mesos.situations import (
    AGENT,
    CONFIG,
    MIB,
    SERVER,
    amounts,
    answered,
    killed,
    launched,
    offer,
    record,
    reserved,
    situation,
    unreserved,
)  # fmt: skip

often = settings(max_examples=60, deadline=None)
NODES = ("alpha", "beta")
STATES = (
    *sorted(LIVE_STATES),
    "TASK_FINISHED",
    "TASK_FAILED",
    "TASK_KILLED",
    "TASK_LOST",
    "TASK_GONE_BY_OPERATOR",
)
amount = st.builds(
    Resources,
    st.sampled_from([0.0, 0.05, 0.1, 0.35, 0.4, 1.0, 4.0]),
    st.sampled_from([0, 96, 256, 4096]).map(MIB.__mul__),
)
role = st.sampled_from(["agent", "client", "manager", "server"])
sizes = {"agent": AGENT, "client": AGENT, "manager": Resources(0.1, 160 * MIB), "server": SERVER}


@st.composite
def wants(draw: st.DrawFn) -> NodeWant:
    roles = draw(st.sets(role)) | {"agent"}
    return NodeWant({one: sizes[one] for one in sorted(roles)}, CONFIG)


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    records = {
        node: record(
            node, draw(st.sets(role)), agent_id=draw(st.sampled_from([f"agent-{node}", "agent-before"])),
            taken=draw(st.dictionaries(role, amount)), spare=draw(amount),
        )
        for node in draw(st.sets(st.sampled_from(NODES)))
    }  # fmt: skip
    task_ids = [task_id for one in records.values() for task_id in one.tasks.values()]
    task_ids += ["artesian.alpha.agent.0", "backup", "somebody.elses"]
    heard = draw(st.dictionaries(st.sampled_from(task_ids), st.sampled_from(STATES)))
    tasks = [
        TaskWanted(name, draw(st.sampled_from(NODES)), ("/bin/true",), draw(amount))
        for name in draw(st.sets(st.sampled_from(["backup", "index"])))
    ]
    offers = [
        offer(
            node, draw(amount), draw(amount), f"offer-{number}",
            draw(st.sampled_from([f"agent-{node}", "agent-other"])) if node == "alpha" else f"agent-{node}",
        )
        for number, node in enumerate(draw(st.lists(st.sampled_from([*NODES, "omega"]), max_size=4)))
    ]  # fmt: skip
    unwanted = draw(st.sets(st.sampled_from(["backup", "index"]))) - {task.id for task in tasks}
    stopping = draw(st.sets(st.sampled_from(NODES)))
    wanted = draw(st.dictionaries(st.sampled_from(NODES), wants()))
    return situation(
        wants={node: one for node, one in wanted.items() if node not in stopping},
        stopping=frozenset(stopping),
        records=records,
        statuses={task_id: Status(state, agent_id="agent-alpha") for task_id, state in heard.items()},
        offers=tuple(offers),
        wanted_tasks={task.id: task for task in tasks},
        unwanted_tasks=frozenset(unwanted),
        asked_s=draw(st.dictionaries(st.sampled_from(task_ids), st.sampled_from([990.0, 999.0]))),
        not_before_s=draw(st.dictionaries(st.sampled_from(NODES), st.sampled_from([999.0, 1001.0]))),
    )


def agents_calls(one: Situation) -> list[tuple[dict[str, Any], list[Any]]]:
    """Each ACCEPT, with the offers that it takes."""
    by_id = {each.id: each for each in one.offers}
    return [
        (body, [by_id[each["value"]] for each in body["offer_ids"]])
        for kind, body in decide(one).calls
        if kind == "ACCEPT" and body is not None
    ]


def running(one: Situation, node: str, what: str) -> bool:
    there = one.records.get(node)
    return there is not None and is_live(one, there, what)


def role_tasks(one: Situation) -> list[dict[str, Any]]:
    return [task for task in launched(decide(one)) if task["task_id"]["value"].startswith("artesian.")]


def node_and_role(task: dict[str, Any]) -> tuple[str, str]:
    _, node, what, _ = task["task_id"]["value"].split(".")
    return node, what


@often
@given(situations())
def test_the_same_situation_gives_the_same_decision(one: Situation) -> None:
    assert decide(one) == decide(one)


@often
@given(situations())
def test_every_offer_is_answered_exactly_once(one: Situation) -> None:
    assert Counter(answered(decide(one))) == Counter(each.id for each in one.offers)


@often
@given(situations())
def test_never_is_more_asked_for_than_there_is(one: Situation) -> None:
    for body, offers in agents_calls(one):
        kept, free = total([each.kept for each in offers]), total([each.free for each in offers])
        executors: dict[str, Any] = {}
        for operation in body["operations"]:
            if operation["type"] == "UNRESERVE":
                back = amounts(operation["unreserve"]["resources"])
                assert back.fits_in(kept)
                kept, free = less(kept, back), total([free, back])
            elif operation["type"] == "RESERVE":
                taken = amounts(operation["reserve"]["resources"])
                assert taken.fits_in(free)
                kept, free = total([kept, taken]), less(free, taken)
            else:
                tasks = operation["launch"]["task_infos"]
                ours = [each for each in tasks if "executor" in each]
                executors = {each["executor"]["executor_id"]["value"]: 1 for each in ours}
                there = one.records.get(offers[0].node)
                new = [
                    key
                    for key in executors
                    if there is None or "agent" in {node_and_role(t)[1] for t in ours}
                ]
                needs = total([*(amounts(each["resources"]) for each in ours), *[EXECUTOR for _ in new]])
                assert needs.fits_in(kept)
                assert total(amounts(each["resources"]) for each in tasks if each not in ours).fits_in(free)
        assert len(executors) <= 1


def less(one: Resources, other: Resources) -> Resources:
    return Resources(round(one.cpus - other.cpus, 6), one.memory_bytes - other.memory_bytes)


@often
@given(situations())
def test_a_role_is_never_launched_twice_while_its_task_may_live(one: Situation) -> None:
    found = [node_and_role(task) for task in role_tasks(one)]
    assert len(set(found)) == len(found)
    for node, what in found:
        there = one.records.get(node)
        offered = {each.agent_id for each in one.offers if each.node == node}
        if there is not None and there.agent_id in offered:
            assert not running(one, node, what)


@often
@given(situations())
def test_no_name_is_used_by_two_agents_at_once(one: Situation) -> None:
    """Only when what is remembered cannot be seen any more does another agent take its node's place."""
    for task in role_tasks(one):
        node, _ = node_and_role(task)
        there = one.records.get(node)
        if there is None or there.agent_id == task["agent_id"]["value"]:
            continue
        for task_id in there.tasks.values():
            heard = one.statuses.get(task_id)
            assert heard is not None
            assert not heard.is_live or heard.state == "TASK_UNREACHABLE"


@often
@given(situations())
def test_nothing_is_launched_that_is_not_wanted_there(one: Situation) -> None:
    agents = {each.agent_id: each.node for each in one.offers}
    for task in launched(decide(one)):
        node, name = agents[task["agent_id"]["value"]], task["task_id"]["value"]
        if name.startswith("artesian."):
            assert node_and_role(task)[0] == node
            assert node_and_role(task)[1] in one.wants[node].roles
            assert node not in one.stopping
            assert one.not_before_s.get(node, 0.0) <= one.now_s
        else:
            assert one.wanted_tasks[name].node == node
            assert name not in one.statuses


@often
@given(situations())
def test_every_launch_is_remembered_before_it_is_asked_for(one: Situation) -> None:
    asked = decide(one)
    remembered = {task_id for each in asked.records for task_id in each.tasks.values()}
    assert {task["task_id"]["value"] for task in role_tasks(one)} <= remembered
    assert sorted(asked.launched) == sorted(task["task_id"]["value"] for task in launched(asked))
    before = {task_id for each in one.records.values() for task_id in each.tasks.values()}
    assert not before & {task["task_id"]["value"] for task in role_tasks(one)}


@often
@given(situations())
def test_all_that_is_kept_in_vain_is_given_back(one: Situation) -> None:
    """What agents that do nothing for us keep; of the others that which their roles do not take."""
    free_before = total(each.kept for each in one.offers if each.node in one.stopping | {"omega"})
    wanted = [each for each in one.offers if each.node not in one.stopping | {"omega"}]
    if not wanted and all(each.agent_id == f"agent-{each.node}" for each in one.offers):
        moved = [node for node, each in one.records.items() if each.agent_id != f"agent-{node}"]
        if not moved:
            assert unreserved(decide(one)) == free_before


@often
@given(situations())
def test_no_task_is_launched_on_two_agents_of_one_name(one: Situation) -> None:
    ids = [task["task_id"]["value"] for task in launched(decide(one))]
    assert len(set(ids)) == len(ids)


def test_an_ordinary_task_is_launched_once_on_two_agents_of_one_name() -> None:
    task = TaskWanted("backup", "alpha", ("/bin/true",), AGENT)
    both = offer(), offer(id="offer-2", agent_id="agent-other")
    asked = decide(situation(wants={}, offers=both, wanted_tasks={"backup": task}))
    assert asked.launched == ("backup",)


@often
@given(situations())
def test_what_is_wanted_and_fits_is_launched_at_once(one: Situation) -> None:
    for each in one.offers:
        there = one.records.get(each.node)
        alone = [other for other in one.offers if other.node == each.node] == [each]
        fresh = there is None
        needs = total([*one.wants[each.node].roles.values(), EXECUTOR]) if each.node in one.wants else None
        if not (alone and fresh and needs is not None and needs.fits_in(total([each.kept, each.free]))):
            continue
        waits = one.not_before_s.get(each.node, 0.0) > one.now_s
        found = {node_and_role(task)[1] for task in role_tasks(one) if node_and_role(task)[0] == each.node}
        assert found == (set() if waits else set(one.wants[each.node].roles))


@often
@given(situations())
def test_nothing_of_somebody_else_is_ended_and_nothing_that_has_ended(one: Situation) -> None:
    for task_id in killed(decide(one)):
        assert task_id.startswith("artesian.") or task_id in one.unwanted_tasks
        assert one.statuses[task_id].is_live
        assert one.now_s - one.asked_s.get(task_id, 0.0) >= KILL_AGAIN_S


@often
@given(situations())
def test_nobody_is_kept_waiting_for_offers_that_nothing_would_be_done_with(one: Situation) -> None:
    """While no offer is wanted, none would have been used."""
    if not waiting_for_offers(one):
        assert not launched(decide(one))


@often
@given(situations())
def test_what_was_decided_is_not_decided_again(one: Situation) -> None:
    """Once it is remembered, the same offers bring nothing new."""
    asked = decide(one)
    heard = {task_id: each for task_id, each in one.statuses.items() if task_id not in asked.launched}
    heard |= {task_id: Status("TASK_STAGING") for task_id in asked.launched}
    after = Situation(
        one.reserver, one.program, one.now_s, one.wants, one.stopping,
        {**one.records, **{each.node: each for each in asked.records}},
        heard, one.offers, one.wanted_tasks, one.unwanted_tasks, one.asked_s, one.not_before_s,
    )  # fmt: skip
    again = {task["task_id"]["value"] for task in launched(decide(after))}
    assert not again & set(asked.launched)
    nodes = {node for node, _ in map(node_and_role, role_tasks(one))}
    assert not nodes & {node for node, _ in map(node_and_role, role_tasks(after))}


@often
@given(situations())
def test_nothing_is_both_kept_and_given_back(one: Situation) -> None:
    asked = decide(one)
    if len({each.agent_id for each in one.offers}) == 1:
        both = Resources(min(reserved(asked).cpus, unreserved(asked).cpus),
                         min(reserved(asked).memory_bytes, unreserved(asked).memory_bytes))  # fmt: skip
        assert is_nothing(both)
