"""A role that comes to need more than its task has taken: the difference is kept beside the task."""

from __future__ import annotations

import json
from dataclasses import replace
from types import MappingProxyType

from hypothesis import given
from hypothesis import strategies as st

from artesian.clusters.mesos.infos import EXECUTOR
from artesian.clusters.mesos.matching import NodeWant, Situation, decide, growth, waiting_for_offers
from artesian.clusters.mesos.offers import minus
from artesian.clusters.mesos.records import NodeRecord, document_of, records_of
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
    launched,
    offer,
    record,
    reserved,
    situation,
    statuses,
    unreserved,
)  # fmt: skip

TWICE = total([SERVER, SERVER])
ENDED = replace(RUNNING, state="TASK_KILLED")
TAKEN = MappingProxyType({"agent": AGENT, "server": SERVER})
amount = st.builds(
    Resources,
    st.sampled_from([0.0, 0.1, 0.2, 0.4, 4.0]),
    st.sampled_from([0, 96, 128, 4096]).map(MIB.__mul__),
)


def grown(
    *, kept: Resources = NOTHING, free: Resources = PLENTY, there: NodeRecord | None = None
) -> Situation:
    """The server is to do twice of what it was launched for."""
    there = there or record(taken=TAKEN)
    return situation(
        wants={"alpha": NodeWant({"agent": AGENT, "server": TWICE}, CONFIG)},
        records={"alpha": there},
        statuses=statuses(there),
        offers=(offer(kept=kept, free=free),),
    )


def test_the_difference_is_kept_and_offers_are_wanted_until_that_is_seen() -> None:
    one = grown()
    assert waiting_for_offers(one)
    asked = decide(one)
    assert (reserved(asked), unreserved(asked), launched(asked)) == (SERVER, NOTHING, [])
    assert not asked.records  # it is only asked for
    seen = decide(grown(kept=SERVER))
    assert (reserved(seen), unreserved(seen)) == (NOTHING, NOTHING)
    assert [each.spare for each in seen.records] == [SERVER]
    assert not waiting_for_offers(grown(there=seen.records[0]))


def test_what_does_not_fit_is_waited_for_and_stops_nothing() -> None:
    one = grown(free=Resources(0.1, 4096 * MIB))
    asked = decide(one)
    assert (reserved(asked), waiting_for_offers(one) != frozenset()) == (NOTHING, True)
    assert "node alpha has 0.1 processors" in asked.shortages["alpha"]
    assert f"has come to take {SERVER} more than is kept for it" in asked.shortages["alpha"]
    assert decide(grown()).shortages == {"alpha": ""}


def test_it_is_given_back_when_it_is_not_needed_any_more() -> None:
    there = record(taken=TAKEN, spare=SERVER)
    one = replace(grown(there=there, kept=SERVER), wants={"alpha": NodeWant(TAKEN, CONFIG)})
    assert waiting_for_offers(one)
    asked = decide(one)
    assert unreserved(asked) == SERVER
    assert not waiting_for_offers(replace(one, records={"alpha": asked.records[0]}))


def test_a_task_that_is_launched_anew_takes_all_that_its_role_needs() -> None:
    there = record(taken=TAKEN, spare=SERVER)
    one = replace(grown(there=there, kept=NEEDED), statuses={})
    ended = {task_id: replace(RUNNING, state="TASK_FAILED") for task_id in there.tasks.values()}
    asked = decide(replace(one, statuses=ended))
    assert len(launched(asked)) == 2
    (after,) = asked.records
    assert (after.taken, after.spare) == ({"agent": AGENT, "server": TWICE}, NOTHING)
    assert reserved(asked) == SERVER


def test_of_a_node_that_was_remembered_before_nothing_is_known_and_nothing_is_kept() -> None:
    there = record()
    key, text = document_of(there)
    document = {name: one for name, one in json.loads(text).items() if name not in ("taken", "spare")}
    before = records_of({key: json.dumps(document)})["alpha"]
    assert before == there
    assert growth(grown(there=before), before) == NOTHING


def test_what_was_taken_is_remembered() -> None:
    there = record(taken=TAKEN, spare=SERVER)
    assert records_of(dict([document_of(there)])) == {"alpha": there}


@given(taken=st.fixed_dictionaries({"agent": amount, "server": amount}), kept=amount, free=amount)
def test_exactly_what_roles_need_beyond_their_tasks_is_kept_if_there_is_room(
    taken: dict[str, Resources], kept: Resources, free: Resources
) -> None:
    there = record(taken=taken)
    one = grown(there=there, kept=kept, free=free)
    needs, asked = growth(one, there), decide(one)
    left = total([minus(kept, unreserved(asked)), reserved(asked)])
    there_already = Resources(min(needs.cpus, kept.cpus), min(needs.memory_bytes, kept.memory_bytes))
    assert left == (needs if needs.fits_in(total([kept, free])) else there_already)


def test_what_is_kept_for_a_role_stays_so_when_it_needs_more_than_there_is() -> None:
    one = grown(kept=AGENT, free=NOTHING)
    assert (reserved(decide(one)), unreserved(decide(one))) == (NOTHING, NOTHING)
    there = record(taken=TAKEN)
    server_ended = statuses(there) | {there.tasks["agent"]: RUNNING, there.tasks["server"]: ENDED}
    wants = {"alpha": NodeWant({"agent": TWICE, "server": SERVER}, CONFIG)}
    one = replace(one, wants=wants, statuses=server_ended, offers=(offer(kept=TWICE, free=NOTHING),))
    asked = decide(replace(one, offers=(offer(kept=total([SERVER, AGENT]), free=NOTHING),)))
    assert len(launched(asked)) == 1
    assert (reserved(asked), unreserved(asked)) == (NOTHING, NOTHING)


def test_what_is_kept_for_the_next_executor_stays_so_while_the_rest_of_the_last_one_ends() -> None:
    there = record(taken=TAKEN)
    agent_ended = statuses(there) | {there.tasks["agent"]: ENDED}
    one = situation(
        records={"alpha": there},
        statuses=agent_ended,
        offers=(offer(kept=total([AGENT, EXECUTOR, SERVER])),),
    )
    assert (launched(decide(one)), unreserved(decide(one))) == ([], SERVER)
