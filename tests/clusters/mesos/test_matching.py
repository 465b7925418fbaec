"""What is asked of Mesos next, as single cases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from artesian.clusters.mesos.infos import EXECUTOR
from artesian.clusters.mesos.matching import KINDLY_S, LONG_S, SHORT_S, Status, decide, waiting_for_offers
from artesian.clusters.port import TaskWanted
from artesian.model.resources import Resources, total
from tests.clusters.mesos.situations import (
    AGENT,
    CONFIG,
    MIB,
    NEEDED,
    NOTHING,
    PLENTY,
    RUNNING,
    SERVER,
    amounts,
    answered,
    data_of,
    killed,
    launched,
    offer,
    operations,
    record,
    reserved,
    situation,
    statuses,
    unreserved,
    want,
)  # fmt: skip

TASK = TaskWanted("backup", "alpha", ("/bin/backup", "now"), Resources(1.0, 64 * MIB))


def refusal_s(call: tuple[str, dict[str, object] | None]) -> object:
    assert call[1] is not None
    filters = call[1]["filters"]
    assert isinstance(filters, dict)
    return filters["refuse_seconds"]


# --- launching


def test_what_is_missing_is_reserved_and_launched_in_one_go() -> None:
    asked = decide(situation(offers=(offer(),)))
    assert [task["task_id"]["value"] for task in launched(asked)] == [
        "artesian.alpha.agent.1",
        "artesian.alpha.server.1",
    ]
    assert reserved(asked) == NEEDED
    assert unreserved(asked) == NOTHING
    (kept,) = asked.records
    assert kept.tasks == {"agent": "artesian.alpha.agent.1", "server": "artesian.alpha.server.1"}
    assert kept.agent_id == "agent-alpha"
    assert asked.launched == tuple(kept.tasks.values())


def test_tasks_and_their_executor_take_together_exactly_what_is_reserved() -> None:
    asked = decide(situation(offers=(offer(),)))
    tasks = launched(asked)
    executors = {task["executor"]["executor_id"]["value"]: task["executor"] for task in tasks}
    assert len(executors) == 1
    taken = [amounts(task["resources"]) for task in tasks]
    taken += [amounts(one["resources"]) for one in executors.values()]
    assert total(taken) == reserved(asked)
    for task in tasks:
        assert all("reservations" in one for one in task["resources"])


def test_only_the_agents_task_carries_its_config() -> None:
    asked = decide(situation(offers=(offer(),)))
    agent, server = (data_of(task) for task in launched(asked))
    assert agent == {"role": "agent", "config": dict(CONFIG)}
    assert server == {"role": "server"}


def test_what_is_kept_already_is_used_and_not_reserved_twice() -> None:
    asked = decide(situation(offers=(offer(kept=NEEDED, free=NOTHING),)))
    assert len(launched(asked)) == 2
    assert reserved(asked) == unreserved(asked) == NOTHING


def test_what_is_kept_too_much_is_given_back_and_what_is_lacking_reserved() -> None:
    kept = Resources(NEEDED.cpus + 1.0, NEEDED.memory_bytes - 64 * MIB)
    asked = decide(situation(offers=(offer(kept=kept),)))
    assert unreserved(asked) == Resources(1.0, 0)
    assert reserved(asked) == Resources(0.0, 64 * MIB)


def test_a_role_that_comes_later_joins_the_executor_that_runs() -> None:
    there = record(roles=["agent"])
    asked = decide(situation(records={"alpha": there}, statuses=statuses(there), offers=(offer(),)))
    (task,) = launched(asked)
    assert task["name"] == "artesian-server"
    assert task["executor"] == there.executor
    assert reserved(asked) == SERVER  # its executor has what it takes
    assert asked.records[0].tasks == {**there.tasks, "server": "artesian.alpha.server.2"}


def test_an_agent_that_has_ended_waits_for_the_rest_of_its_executor() -> None:
    there = record()
    heard = statuses(there) | {there.tasks["agent"]: Status("TASK_FAILED")}
    asked = decide(situation(records={"alpha": there}, statuses=heard, offers=(offer(),)))
    assert not launched(asked)
    assert killed(asked) == [there.tasks["server"]]


def test_an_executor_that_has_ended_is_launched_again_with_all_its_roles() -> None:
    there = record()
    asked = decide(
        situation(records={"alpha": there}, statuses=statuses(there, "TASK_FAILED"), offers=(offer(),))
    )
    assert [task["task_id"]["value"] for task in launched(asked)] == [
        "artesian.alpha.agent.2",
        "artesian.alpha.server.2",
    ]


@pytest.mark.parametrize("state", ["TASK_STAGING", "TASK_RUNNING", "TASK_KILLING", "TASK_UNREACHABLE"])
def test_nothing_is_launched_beside_what_runs_or_may_run(state: str) -> None:
    there = record()
    asked = decide(situation(records={"alpha": there}, statuses=statuses(there, state), offers=(offer(),)))
    assert not launched(asked)


def test_nothing_is_launched_beside_that_of_which_nothing_was_heard_yet() -> None:
    assert not launched(decide(situation(records={"alpha": record()}, offers=(offer(),))))


@pytest.mark.parametrize(
    "state", ["TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_LOST", "TASK_ERROR", "TASK_DROPPED",
              "TASK_GONE", "TASK_GONE_BY_OPERATOR", "TASK_UNKNOWN"],
)  # fmt: skip
def test_whatever_has_ended_is_launched_again(state: str) -> None:
    there = record()
    asked = decide(situation(records={"alpha": there}, statuses=statuses(there, state), offers=(offer(),)))
    assert len(launched(asked)) == 2


def test_too_little_is_said_with_what_is_lacking_and_looked_at_again_soon() -> None:
    asked = decide(situation(offers=(offer(free=Resources(0.1, 64 * MIB)),)))
    assert not launched(asked)
    assert asked.shortages == {
        "alpha": "node alpha has 0.1 processors and 64 MiB of memory to give now, and its storage takes "
        "0.35 processors and 256 MiB of memory"
    }
    assert [refusal_s(call) for call in asked.calls] == [SHORT_S]


def test_what_was_lacking_is_forgotten_once_it_is_there() -> None:
    assert decide(situation(offers=(offer(),))).shortages == {"alpha": ""}


def test_several_offers_of_an_agent_are_taken_together() -> None:
    half = Resources(NEEDED.cpus / 2, NEEDED.memory_bytes // 2)
    two = (offer(free=half, id="one"), offer(free=half, id="two"))
    asked = decide(situation(offers=two))
    assert len(launched(asked)) == 2
    assert sorted(answered(asked)) == ["one", "two"]


def test_two_offers_of_an_agent_do_not_make_two_of_its_roles() -> None:
    asked = decide(situation(offers=(offer(id="one"), offer(id="two"))))
    assert len(launched(asked)) == 2
    assert sorted(answered(asked)) == ["one", "two"]


def test_a_node_that_has_failed_waits() -> None:
    asked = decide(situation(offers=(offer(),), not_before_s={"alpha": 1001.0}))
    assert not launched(asked)
    assert [refusal_s(call) for call in asked.calls] == [SHORT_S]
    assert launched(decide(situation(offers=(offer(),), not_before_s={"alpha": 1000.0})))


# --- other agents under the same name


def test_a_node_that_comes_back_as_another_agent_is_begun_anew() -> None:
    there = record(agent_id="agent-before")
    heard = statuses(there, "TASK_UNREACHABLE")
    asked = decide(situation(records={"alpha": there}, statuses=heard, offers=(offer(),)))
    assert len(launched(asked)) == 2
    (kept,) = asked.records
    assert kept.agent_id == "agent-alpha"
    assert not set(kept.tasks.values()) & set(there.tasks.values())


@pytest.mark.parametrize("gone", [False, True])
def test_another_machine_takes_the_name_of_one_that_cannot_be_reached_only_if_that_is_gone(
    gone: bool,
) -> None:
    there = replace(record(agent_id="agent-before"), address="127.0.0.99", gone=gone)
    heard = statuses(there, "TASK_UNREACHABLE")
    asked = decide(situation(records={"alpha": there}, statuses=heard, offers=(offer(),)))
    assert bool(launched(asked)) is gone
    if not gone:
        assert "or mark the one that cannot be reached as gone" in asked.shortages["alpha"]


@pytest.mark.parametrize("state", ["TASK_STAGING", "TASK_STARTING", "TASK_RUNNING", "TASK_KILLING"])
def test_an_agent_of_the_same_name_gets_nothing_while_the_one_that_is_remembered_works(state: str) -> None:
    there = record(agent_id="agent-before")
    asked = decide(situation(records={"alpha": there}, statuses=statuses(there, state), offers=(offer(),)))
    assert not launched(asked)
    assert "two agents of Mesos call themselves alpha" in asked.shortages["alpha"]


def test_an_agent_of_the_same_name_gets_nothing_before_it_is_known_what_became_of_the_other() -> None:
    there = record(agent_id="agent-before")
    asked = decide(situation(records={"alpha": there}, offers=(offer(),)))
    assert not launched(asked)
    assert not asked.records
    assert [refusal_s(call) for call in asked.calls] == [SHORT_S]


def test_of_two_agents_of_a_name_that_come_at_once_one_is_used() -> None:
    two = (offer(id="one"), offer(id="two", agent_id="agent-other"))
    asked = decide(situation(offers=two))
    assert len(launched(asked)) == 2
    assert len({task["agent_id"]["value"] for task in launched(asked)}) == 1
    assert sorted(answered(asked)) == ["one", "two"]


# --- giving back


def test_an_agent_that_is_not_wanted_is_declined_for_long() -> None:
    asked = decide(situation(offers=(offer("omega"),)))
    assert [(kind, refusal_s((kind, body))) for kind, body in asked.calls] == [("DECLINE", LONG_S)]


def test_what_is_kept_in_vain_is_given_back() -> None:
    asked = decide(situation(wants={}, stopping=frozenset({"alpha"}), offers=(offer(kept=AGENT),)))
    assert unreserved(asked) == AGENT
    assert not launched(asked)


def test_what_a_role_has_left_behind_is_given_back_and_its_task_forgotten() -> None:
    there = record()
    heard = {there.tasks["agent"]: RUNNING, there.tasks["server"]: Status("TASK_KILLED")}
    given = situation(wants={"alpha": want(agent=AGENT)}, records={"alpha": there}, statuses=heard)
    assert waiting_for_offers(given)
    asked = decide(replace(given, offers=(offer(kept=SERVER),)))
    assert unreserved(asked) == SERVER
    (kept,) = asked.records
    assert kept.tasks == {"agent": there.tasks["agent"]}
    assert not waiting_for_offers(replace(given, records={"alpha": kept}))


def test_nothing_is_given_back_before_it_is_known_what_a_node_is_to_do() -> None:
    """Right after a start the planner has not spoken yet."""
    there = record()
    given = situation(
        wants={},
        records={"alpha": there},
        statuses=statuses(there, "TASK_FAILED"),
        offers=(offer(kept=NEEDED),),
    )
    assert unreserved(decide(given)) == NOTHING
    assert answered(decide(given)) == ["offer-1"]


# --- ends


def test_all_tasks_of_a_node_that_is_to_stop_end() -> None:
    there = record()
    given = situation(
        wants={}, stopping=frozenset({"alpha"}), records={"alpha": there}, statuses=statuses(there)
    )
    assert sorted(killed(decide(given))) == sorted(there.tasks.values())


def test_a_role_that_is_not_wanted_any_more_ends() -> None:
    there = record()
    given = situation(wants={"alpha": want(agent=AGENT)}, records={"alpha": there}, statuses=statuses(there))
    assert killed(decide(given)) == [there.tasks["server"]]


def test_a_task_that_everybody_had_forgotten_ends_when_its_agent_comes_back() -> None:
    given = situation(statuses={"artesian.alpha.agent.7": RUNNING})
    assert killed(decide(given)) == ["artesian.alpha.agent.7"]


def test_a_task_that_is_not_ours_is_left_alone() -> None:
    assert not killed(decide(situation(statuses={"somebody.elses": RUNNING})))


def test_an_end_is_asked_for_again_and_not_all_the_time() -> None:
    there = record(roles=["agent"])
    given = situation(
        wants={}, stopping=frozenset({"alpha"}), records={"alpha": there}, statuses=statuses(there)
    )
    task_id = there.tasks["agent"]
    assert not killed(decide(replace(given, asked_s={task_id: 996.0})))
    assert killed(decide(replace(given, asked_s={task_id: 995.0}))) == [task_id]


# --- ordinary tasks


def test_an_ordinary_task_gets_what_is_free() -> None:
    given = situation(wants={}, wanted_tasks={TASK.id: TASK}, offers=(offer(),))
    asked = decide(given)
    (task,) = launched(asked)
    assert task["task_id"]["value"] == "backup"
    assert amounts(task["resources"]) == TASK.resources
    assert not any("reservations" in one for one in task["resources"])
    assert waiting_for_offers(given)


def test_storage_goes_before_ordinary_tasks() -> None:
    asked = decide(situation(wanted_tasks={TASK.id: TASK}, offers=(offer(),)))
    assert {task["name"] for task in launched(asked)} == {"artesian-agent", "artesian-server"}


def test_an_ordinary_task_is_launched_once_and_on_its_node_only() -> None:
    given = situation(wants={}, wanted_tasks={TASK.id: TASK}, offers=(offer("beta"),))
    assert not launched(decide(given))
    again = replace(given, statuses={TASK.id: Status("TASK_STAGING")}, offers=(offer(),))
    assert not launched(decide(again))
    assert not waiting_for_offers(again)


def test_an_ordinary_task_that_does_not_fit_waits_for_another_offer() -> None:
    given = situation(wants={}, wanted_tasks={TASK.id: TASK}, offers=(offer(free=Resources(0.5, 64 * MIB)),))
    assert [refusal_s(call) for call in decide(given).calls] == [SHORT_S]


def test_an_ordinary_task_may_use_what_was_kept_in_vain() -> None:
    given = situation(
        wants={}, wanted_tasks={TASK.id: TASK}, offers=(offer(kept=TASK.resources, free=NOTHING),)
    )
    asked = decide(given)
    assert unreserved(asked) == TASK.resources
    assert len(launched(asked)) == 1
    assert [kind for kind in ("UNRESERVE", "LAUNCH") if operations(asked, kind)] == ["UNRESERVE", "LAUNCH"]


def test_an_ordinary_task_that_is_not_wanted_ends_kindly() -> None:
    asked = decide(situation(wants={}, unwanted_tasks=frozenset({"backup"}), statuses={"backup": RUNNING}))
    assert killed(asked) == ["backup"]
    ((_, body),) = asked.calls
    assert body is not None
    assert body["kill_policy"]["grace_period"]["nanoseconds"] == KINDLY_S * 1e9


# --- whether offers are wanted


def test_offers_are_wanted_while_something_is_missing() -> None:
    there = record()
    assert waiting_for_offers(situation())
    assert not waiting_for_offers(situation(records={"alpha": there}, statuses=statuses(there)))
    assert waiting_for_offers(situation(records={"alpha": there}, statuses=statuses(there, "TASK_LOST")))
    more = situation(
        wants={"alpha": want(), "beta": want()}, records={"alpha": there}, statuses=statuses(there)
    )
    assert waiting_for_offers(more) == {"beta agent", "beta server"}
    assert not waiting_for_offers(situation(wants={}))


def test_the_executor_is_part_of_what_a_node_has_to_have() -> None:
    exactly = total([AGENT, SERVER, EXECUTOR])
    assert launched(decide(situation(offers=(offer(free=exactly),))))
    less = Resources(exactly.cpus, exactly.memory_bytes - MIB)
    assert not launched(decide(situation(offers=(offer(free=less),))))
    assert PLENTY.cpus > exactly.cpus


@pytest.mark.parametrize(
    ("attributes", "cache"),
    [({}, "/var/lib/artesian/cache"), ({"artesian-folder": "/mnt/a"}, "/mnt/a/cache")],
)
def test_an_executor_unpacks_itself_where_its_node_keeps_its_things(
    attributes: dict[str, str], cache: str
) -> None:
    asked = decide(situation(offers=(replace(offer(), attributes=attributes),)))
    for task in launched(asked):
        variables = task["executor"]["command"]["environment"]["variables"]
        assert {one["name"]: one["value"] for one in variables}["ARTESIAN_CACHE"] == cache
