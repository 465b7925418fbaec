"""What the framework knows of its Mesos, as it hears it."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from artesian.clusters.mesos.desk import Desk
from artesian.clusters.mesos.matching import Status, decide
from artesian.clusters.mesos.records import NodeRecord
from artesian.clusters.mesos.tasks import TaskRecord, task_records_of
from artesian.clusters.port import TaskWanted
from artesian.model.mesos_agent import config_digest
from artesian.model.resources import Resources
from tests.clusters.mesos.situations import (
    AGENT,
    CONFIG,
    MIB,
    PROGRAM,
    RESERVER,
    killed,
    launched,
    offer,
    record,
    want,
)  # fmt: skip

TASK = TaskWanted("backup", "alpha", ("/bin/backup",), Resources(1.0, MIB))
AGENTS_TASK = "artesian.alpha.agent.1"


def desk(*records: NodeRecord, tasks: tuple[TaskRecord, ...] = ()) -> Desk:
    return Desk(RESERVER, PROGRAM, {one.node: one for one in records}, {one.task.id: one for one in tasks})


def step(one: Desk, now_s: float = 0.0) -> list[dict[str, Any]]:
    """What the framework does whenever something has changed; the tasks that are launched."""
    situation = one.situation(now_s)
    asked = decide(situation)
    one.asked(situation, asked)
    return launched(asked)


def hear(one: Desk, state: str, at_s: float = 0.0, task_id: str = AGENTS_TASK) -> bool:
    return one.heard(task_id, Status(state, at_s=at_s, agent_id="agent-alpha"))


# --- what is wanted


def test_a_wish_is_new_once() -> None:
    one = desk()
    assert one.want("alpha", want())
    assert not one.want("alpha", want())
    assert one.want("alpha", want(agent=AGENT))


def test_a_node_that_was_stopped_may_be_wanted_again() -> None:
    one = desk(record())
    one.want("alpha", want())
    assert one.stop("alpha")
    assert one.situation(0.0).stopping == {"alpha"}
    assert one.want("alpha", want())
    assert not one.situation(0.0).stopping


def test_a_node_of_which_nothing_runs_is_stopped_in_vain() -> None:
    assert not desk().stop("alpha")
    one = desk(record())
    for task_id in record().tasks.values():
        hear(one, "TASK_KILLED", task_id=task_id)
    assert not one.stop("alpha")


# --- offers


def test_an_offer_is_used_once() -> None:
    one = desk()
    one.want("alpha", want())
    one.offered([offer()])
    assert len(step(one)) == 2
    assert not step(one)
    assert not one.situation(0.0).offers


def test_an_offer_that_was_rescinded_is_none() -> None:
    one = desk()
    one.want("alpha", want())
    one.offered([offer()])
    one.rescinded("offer-1")
    one.rescinded("never heard of")
    assert not step(one)


def test_offers_are_worth_nothing_once_their_master_is_away() -> None:
    one = desk()
    one.want("alpha", want())
    one.offered([offer()])
    one.disconnected()
    assert not step(one)


def test_an_offer_that_comes_while_is_decided_is_kept() -> None:
    one = desk()
    one.want("alpha", want())
    one.offered([offer()])
    situation = one.situation(0.0)
    one.offered([offer("beta", id="offer-2")])
    one.asked(situation, decide(situation))
    assert [each.id for each in one.situation(0.0).offers] == ["offer-2"]


# --- failures


def fail(one: Desk, at_s: float, ran_s: float = 0.0) -> float:
    """The executor is begun, runs, and fails; until when its node waits."""
    one.offered([offer()])
    step(one, at_s)
    tasks = one.records["alpha"].tasks
    for task_id in tasks.values():
        hear(one, "TASK_RUNNING", at_s, task_id)
    for task_id in tasks.values():
        hear(one, "TASK_FAILED", at_s + ran_s, task_id)
    return one.situation(0.0).not_before_s["alpha"]


def test_each_failure_makes_the_next_attempt_later_up_to_a_minute() -> None:
    one = desk()
    one.want("alpha", want(agent=AGENT))
    now_s, waits = 0.0, []
    for _ in range(8):
        until_s = fail(one, now_s)
        waits.append(until_s - now_s)
        now_s = until_s
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]


def test_a_task_that_has_run_for_long_is_begun_again_at_once() -> None:
    one = desk()
    one.want("alpha", want(agent=AGENT))
    fail(one, 0.0)
    assert fail(one, 100.0, ran_s=31.0) == 131.0
    assert fail(one, 200.0) == 201.0  # and the first failure after that waits as the first


def test_an_executor_that_fails_with_all_its_tasks_has_failed_once() -> None:
    one = desk()
    one.want("alpha", want())
    assert fail(one, 0.0) == 1.0


@pytest.mark.parametrize("state", ["TASK_KILLED", "TASK_FINISHED"])
def test_what_was_asked_to_end_has_not_failed(state: str) -> None:
    one = desk(record())
    hear(one, "TASK_RUNNING")
    hear(one, state)
    assert not one.situation(0.0).not_before_s


def test_a_failure_that_is_told_twice_counts_once() -> None:
    one = desk(record(roles=["agent"]))
    hear(one, "TASK_FAILED", 5.0)
    hear(one, "TASK_FAILED", 50.0)
    assert one.situation(0.0).not_before_s == {"alpha": 6.0}


def test_what_somebody_elses_task_does_is_no_failure_of_ours() -> None:
    one = desk(record())
    assert not hear(one, "TASK_FAILED", task_id="somebody.elses")
    assert not one.situation(0.0).not_before_s


# --- gone for good


def test_that_an_agent_is_gone_for_good_is_to_be_stored_whenever_it_is_told() -> None:
    one = desk(record())
    assert hear(one, "TASK_GONE_BY_OPERATOR")
    assert one.records["alpha"].gone
    stored = one.record_of(AGENTS_TASK)
    assert stored is not None and stored.gone
    assert hear(one, "TASK_GONE_BY_OPERATOR")  # it is told again because it could not be stored


def test_nothing_is_remembered_of_a_node_under_the_id_of_another_attempt() -> None:
    one = desk(record())
    assert one.record_of("artesian.alpha.agent.2") is None
    assert not hear(one, "TASK_GONE_BY_OPERATOR", task_id="artesian.alpha.agent.2")
    assert not one.records["alpha"].gone


def test_a_node_may_have_dots_in_its_name() -> None:
    one = desk(record("alpha.rack-1.example"))
    assert hear(one, "TASK_GONE_BY_OPERATOR", task_id="artesian.alpha.rack-1.example.server.1")
    assert one.records["alpha.rack-1.example"].gone


def test_an_agent_that_only_went_out_of_sight_is_not_gone() -> None:
    one = desk(record())
    assert not hear(one, "TASK_UNREACHABLE")
    assert not one.records["alpha"].gone


def test_a_machine_that_comes_back_as_another_agent_is_not_gone() -> None:
    one = desk(record())
    for task_id in record().tasks.values():
        hear(one, "TASK_GONE_BY_OPERATOR", task_id=task_id)
    one.want("alpha", want())
    one.offered([offer(agent_id="agent-again")])
    assert len(step(one, 100.0)) == 2
    assert not one.records["alpha"].gone


# --- what runs


def test_what_runs_and_what_can_be_seen_to_run() -> None:
    one = desk(record(roles=["agent"]))
    assert one.runs("alpha") and one.runs_here("alpha")  # nothing was heard yet
    hear(one, "TASK_UNREACHABLE")
    assert one.runs("alpha") and not one.runs_here("alpha")
    hear(one, "TASK_KILLED")
    assert not one.runs("alpha") and not one.runs_here("alpha")
    assert not one.runs("omega")


# --- shortages


def test_a_shortage_is_remembered_until_there_is_enough() -> None:
    one = desk()
    one.want("alpha", want())
    one.offered([offer(free=Resources(0.1, MIB))])
    step(one)
    assert "its storage takes" in one.shortage("alpha")
    one.offered([offer(id="offer-2")])
    step(one)
    assert one.shortage("alpha") == ""


def test_a_shortage_is_none_any_more_once_less_is_wanted() -> None:
    there = record(roles=["agent"])
    one = desk(there)
    hear(one, "TASK_RUNNING")
    one.want("alpha", want())
    one.offered([offer(free=Resources(0.1, MIB))])
    step(one)
    assert one.shortage("alpha")
    one.want("alpha", want(agent=AGENT))
    assert one.shortage("alpha") == ""


# --- configs


def test_an_agent_is_told_its_config_until_it_says_that_it_has_it() -> None:
    there = record(roles=["agent"])
    one = desk(there)
    other = replace(want(), config=MappingProxyType({**CONFIG, "scheduler_url": "http://elsewhere"}))
    one.want("alpha", other)
    assert not one.uninformed(0.0)  # it does not run yet, as far as is known
    hear(one, "TASK_RUNNING")
    assert one.uninformed(0.0) == [(there, other.config)]
    assert not one.uninformed(1.0)
    assert one.uninformed(2.0)
    one.agent_has(there.executor_id, config_digest(CONFIG))
    assert one.uninformed(4.0)
    one.agent_has("somebody else's", config_digest(other.config))
    assert one.uninformed(6.0)
    one.agent_has(there.executor_id, config_digest(other.config))
    assert not one.uninformed(60.0)


def test_an_agent_that_was_begun_anew_says_again_what_it_has() -> None:
    there = record(roles=["agent"])
    one = desk(there)
    one.want("alpha", want())
    hear(one, "TASK_RUNNING")
    one.agent_has(there.executor_id, config_digest(CONFIG))
    assert not one.uninformed(0.0)
    hear(one, "TASK_FAILED")
    hear(one, "TASK_RUNNING")
    assert one.uninformed(10.0)


def test_nobody_is_told_who_cannot_be_seen() -> None:
    one = desk(record(roles=["agent"]))
    one.want("alpha", want())
    hear(one, "TASK_UNREACHABLE")
    assert not one.uninformed(0.0)


# --- ordinary tasks


def test_an_ordinary_task_is_launched_forgotten_and_may_come_again() -> None:
    one = desk()
    assert one.want_task(TASK)
    assert not one.want_task(TASK)
    one.offered([offer()])
    assert [task["task_id"]["value"] for task in step(one)] == ["backup"]
    hear(one, "TASK_RUNNING", task_id="backup")
    assert one.unwant_task("backup")
    assert one.situation(0.0).unwanted_tasks == {"backup"}
    assert not one.situation(0.0).wanted_tasks
    assert hear(one, "TASK_KILLED", task_id="backup")
    assert one.unstored() == {"task/backup": None}
    assert not one.tasks()
    assert not one.unwant_task("backup")
    assert one.want_task(TASK)


def test_an_ordinary_task_that_has_ended_is_not_launched_again() -> None:
    one = desk(tasks=(TaskRecord(TASK),))
    assert hear(one, "TASK_FINISHED", task_id="backup")
    one.offered([offer()])
    assert not step(one)


def test_the_end_of_an_ordinary_task_outlives_a_restart() -> None:
    """Mesos itself forgets a task once it was told that its end is known."""
    one = desk(tasks=(TaskRecord(TASK),))
    hear(one, "TASK_FINISHED", task_id="backup")
    changes = one.unstored()
    again = desk(tasks=tuple(task_records_of({key: text or "" for key, text in changes.items()}).values()))
    hear(again, "TASK_UNKNOWN", task_id="backup")
    again.offered([offer()])
    assert not step(again)
    ((_, status),) = again.tasks()
    assert status is not None
    assert status.state == "TASK_FINISHED"


def test_an_end_that_could_not_be_stored_is_to_be_stored_when_it_is_told_again() -> None:
    one = desk(tasks=(TaskRecord(TASK),))
    assert hear(one, "TASK_FINISHED", task_id="backup")
    assert hear(one, "TASK_FINISHED", task_id="backup")
    one.stored(one.unstored())
    assert not hear(one, "TASK_FINISHED", task_id="backup")


def test_an_ordinary_task_from_before_a_restart_is_not_launched_before_it_was_asked_about() -> None:
    """It may well run: only Mesos' answer tells."""
    one = desk(tasks=(TaskRecord(TASK),))
    one.offered([offer()])
    assert not step(one)
    hear(one, "TASK_UNKNOWN", task_id="backup")
    one.offered([offer(id="offer-2")])
    assert [task["task_id"]["value"] for task in step(one)] == ["backup"]


def test_a_task_that_never_reached_its_agent_is_launched_again() -> None:
    """The offer was taken back, or the agent went away, before it had begun."""
    one = desk()
    one.want_task(TASK)
    one.offered([offer()])
    step(one)
    hear(one, "TASK_DROPPED", task_id="backup")
    one.offered([offer(id="offer-2")])
    assert len(step(one)) == 1


def test_a_task_that_was_never_launched_is_forgotten_at_once() -> None:
    one = desk()
    one.want_task(TASK)
    assert not one.unwant_task("backup")
    assert not one.tasks()
    assert not one.unwant_task("never heard of")


# --- what happens while a decision is stored


def test_that_a_node_is_gone_is_not_forgotten_by_what_was_decided_before() -> None:
    one = desk(record())
    one.want("alpha", want(agent=AGENT))
    hear(one, "TASK_RUNNING")
    hear(one, "TASK_FINISHED", task_id="artesian.alpha.server.1")
    one.offered([offer()])
    situation = one.situation(0.0)
    asked = decide(situation)
    assert asked.records
    hear(one, "TASK_GONE_BY_OPERATOR")
    one.asked(situation, asked)
    assert one.records["alpha"].gone
    assert list(one.records["alpha"].tasks) == ["agent"]


def test_an_ordinary_task_that_is_not_wanted_any_more_when_it_is_launched_is_ended() -> None:
    one = desk()
    one.want_task(TASK)
    one.offered([offer()])
    situation = one.situation(0.0)
    asked = decide(situation)
    assert not one.unwant_task("backup")
    one.asked(situation, asked)
    assert one.tasks() == []
    hear(one, "TASK_RUNNING", task_id="backup")
    assert killed(decide(one.situation(10.0))) == ["backup"]
    hear(one, "TASK_KILLED", task_id="backup")
    after = one.situation(20.0)
    assert (after.unwanted_tasks, after.statuses) == (frozenset(), {})


def test_nothing_is_remembered_of_tasks_that_were_ended_long_ago() -> None:
    one = desk()
    for number in range(10):
        task = replace(TASK, id=f"backup-{number}")
        one.want_task(task)
        one.offered([offer()])
        step(one, 10.0 * number)
        hear(one, "TASK_RUNNING", task_id=task.id)
        one.unwant_task(task.id)
        step(one, 10.0 * number + 5.0)
        hear(one, "TASK_KILLED", task_id=task.id)
    assert set(one.situation(200.0).asked_s) <= {"backup-9"}
