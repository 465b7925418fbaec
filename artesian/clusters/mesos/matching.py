"""What to ask of Mesos next: a pure function of what is wanted, remembered, seen and offered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from artesian.clusters.mesos.ids import is_role_task, role_task_id
from artesian.clusters.mesos.infos import EXECUTOR, AgentProgram, executor_info, ordinary_task, role_task
from artesian.clusters.mesos.offers import Offer, Reserver, as_list, by_agent, is_nothing, minus
from artesian.clusters.mesos.records import NodeRecord
from artesian.clusters.mesos.renewing import to_renew
from artesian.clusters.mesos.settings import folder_of
from artesian.clusters.port import TaskWanted
from artesian.mesos import calls
from artesian.mesos.calls import Call
from artesian.model.mesos_agent import AGENT_ROLE
from artesian.model.resources import Resources, total
from artesian.model.standing import NodeStanding

LIVE_STATES = frozenset({"TASK_STAGING", "TASK_STARTING", "TASK_RUNNING", "TASK_KILLING", "TASK_UNREACHABLE"})
LONG_S = 3600.0  # nothing is wanted of this agent; REVIVE takes it back
SHORT_S = 2.0  # something is wanted, and there was no room
KILL_AGAIN_S = 5.0
KINDLY_S = 5.0  # how long an ordinary task may take to end by itself
_NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Status:
    """What Mesos said last of a task. `at_s` on our clock."""

    state: str
    because: str = ""
    at_s: float = 0.0
    agent_id: str = ""

    @property
    def is_live(self) -> bool:
        """Whether it runs, or may."""
        return self.state in LIVE_STATES


@dataclass(frozen=True, slots=True)
class NodeWant:
    """What a node has to run: its roles, each with what it takes, and the config of its agent."""

    roles: Mapping[str, Resources]
    config: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that the decision rests on.

    `stopping`: nodes whose tasks are all to end. `wanted_tasks` and `unwanted_tasks`: ordinary ones.
    `asked_s`: when the end of a task was asked for last. `not_before_s`: nodes that wait after a failure.
    """

    reserver: Reserver
    program: AgentProgram
    now_s: float
    wants: Mapping[str, NodeWant] = field(default_factory=lambda: _NONE)
    stopping: frozenset[str] = frozenset()
    records: Mapping[str, NodeRecord] = field(default_factory=lambda: _NONE)
    statuses: Mapping[str, Status] = field(default_factory=lambda: _NONE)
    offers: tuple[Offer, ...] = ()
    wanted_tasks: Mapping[str, TaskWanted] = field(default_factory=lambda: _NONE)
    unwanted_tasks: frozenset[str] = frozenset()
    asked_s: Mapping[str, float] = field(default_factory=lambda: _NONE)
    not_before_s: Mapping[str, float] = field(default_factory=lambda: _NONE)
    drained: frozenset[str] = frozenset()  # nodes on which Mesos begins nothing
    standings: Mapping[str, NodeStanding] = field(default_factory=lambda: _NONE)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of Mesos. `records` are stored before any of the calls is made.

    `shortages`: for each node of which something was offered why that is not enough, empty if it is.
    `killed`: the tasks whose end is asked for. `launched`: those that are.
    """

    calls: tuple[Call, ...] = ()
    records: tuple[NodeRecord, ...] = ()
    shortages: Mapping[str, str] = field(default_factory=lambda: _NONE)
    killed: tuple[str, ...] = ()
    launched: tuple[str, ...] = ()


def is_live(situation: Situation, record: NodeRecord, role: str) -> bool:
    """Whether a role's task runs, or may: one of which nothing was heard yet was just launched."""
    task_id = record.tasks.get(role)
    if task_id is None:
        return False
    status = situation.statuses.get(task_id)
    return status is None or status.is_live


def missing_roles(situation: Situation, node: str, record: NodeRecord | None) -> tuple[str, ...]:
    """The roles that a node is to have and has no task for, the agent first."""
    want = situation.wants.get(node)
    if want is None or node in situation.stopping or node in situation.drained:
        return ()
    missing = [role for role in want.roles if record is None or not is_live(situation, record, role)]
    if (
        AGENT_ROLE in missing
        and record is not None
        and any(is_live(situation, record, one) for one in want.roles)
    ):
        return ()  # the rest of its executor ends first
    return tuple(sorted(missing, key=lambda role: (role != AGENT_ROLE, role)))


def growth(situation: Situation, record: NodeRecord) -> Resources:
    """What a node's roles have come to need beyond what their tasks have taken: a task stays as it was
    launched, and what it does takes more all the same."""
    want = situation.wants.get(record.node)
    if want is None or record.node in situation.stopping:
        return Resources()
    return total(
        minus(want.roles[role], record.taken.get(role, want.roles[role]))
        for role in record.tasks
        if role in want.roles and is_live(situation, record, role)
    )


def waiting_for_offers(situation: Situation) -> frozenset[str]:
    """Names of all that an offer could bring, or that is to be given back: with another one of them agents
    become interesting whose offers were declined for long."""
    roles = {
        (node, role)
        for node in situation.wants
        for role in missing_roles(situation, node, situation.records.get(node))
    }
    left = {(one.node, role) for one in situation.records.values() for role in _left_behind(situation, one)}
    grown = [(one, growth(situation, one)) for one in situation.records.values()]
    return frozenset(
        {f"{node} {role}" for node, role in roles | left}
        | {f"more {record.node} {needs}" for record, needs in grown if needs != record.spare}
        | {f"task {one}" for one in situation.wanted_tasks if one not in situation.statuses}
        | {f"stop {node}" for node in situation.stopping}
    )


def decide(situation: Situation) -> Asked:
    """What to ask for now; every offer is answered."""
    records, tasks = dict(situation.records), dict(situation.wanted_tasks)
    situation = replace(situation, records=MappingProxyType(records), wanted_tasks=MappingProxyType(tasks))
    answers = []
    for offer in by_agent(situation.offers):
        answers.append(_answer(situation, offer))
        records |= {one.node: one for one in answers[-1].records}  # what is decided next knows of it
        for task_id in answers[-1].launched:
            tasks.pop(task_id, None)
    answers.append(_kills(situation))
    return Asked(
        _declines_together(call for one in answers for call in one.calls),
        tuple(record for one in answers for record in one.records),
        MappingProxyType({node: text for one in answers for node, text in one.shortages.items()}),
        tuple(task_id for one in answers for task_id in one.killed),
        tuple(task_id for one in answers for task_id in one.launched),
    )


def _declines_together(asked: Iterable[Call]) -> tuple[Call, ...]:
    """One call gives back all offers that are not wanted for the same time: there may be thousands."""
    others, given_back = [], dict[float, list[str]]()
    for call in asked:
        kind, body = call
        if kind == "DECLINE" and body is not None:
            ids = given_back.setdefault(body["filters"]["refuse_seconds"], [])
            ids += [str(one["value"]) for one in body["offer_ids"]]
        else:
            others.append(call)
    return (*others, *(calls.decline(ids, refuse_s) for refuse_s, ids in sorted(given_back.items())))


# --- offers


def _answer(situation: Situation, offer: Offer) -> Asked:
    record = situation.records.get(offer.node)
    if (because := _beside_another(situation, record, offer)) is not None:
        return _declined(offer, SHORT_S, because)
    if record is None or record.agent_id != offer.agent_id:
        attempts = record.attempts if record is not None else 0
        record = NodeRecord(offer.node, offer.agent_id, offer.address, offer.attributes, attempts=attempts)
    missing = missing_roles(situation, offer.node, record)
    if missing:
        if situation.not_before_s.get(offer.node, 0.0) > situation.now_s:
            return _declined(offer, SHORT_S, "")
        return _launched(situation, offer, record, missing)
    return _with_tasks(situation, offer, record)


def _beside_another(situation: Situation, record: NodeRecord | None, offer: Offer) -> str | None:
    """Why nothing may run on an agent, as the one that is remembered under its name may run something.

    That is one that can be seen; one of which nothing was heard yet, and which is asked about; or one that
    cannot be reached, unless it is gone for certain, or this is its machine, where only one of ours can run
    in a folder.
    """
    if record is None or record.agent_id == offer.agent_id:
        return None
    because = f"two agents of Mesos call themselves {offer.node}; give one of them another --hostname"
    states = [situation.statuses.get(task_id) for task_id in record.tasks.values()]
    live = [one for one in states if one is None or one.is_live]
    if any(one is None or one.state != "TASK_UNREACHABLE" for one in live):
        return because
    if live and not record.gone and record.address != offer.address:
        return f"{because}, or mark the one that cannot be reached as gone"
    return None


def _left_behind(situation: Situation, record: NodeRecord) -> dict[str, str]:
    """The tasks, by role, that have ended and are not wanted any more: what was kept for them is in vain."""
    want = situation.wants.get(record.node)
    if want is None:
        return {}
    return {
        role: task_id
        for role, task_id in record.tasks.items()
        if role not in want.roles and not is_live(situation, record, role)
    }


def _launched(situation: Situation, offer: Offer, record: NodeRecord, missing: Iterable[str]) -> Asked:
    want, reserver = situation.wants[offer.node], situation.reserver
    missing = tuple(missing)
    fresh = AGENT_ROLE in missing or record.executor is None
    needs = total([want.roles[role] for role in missing] + ([EXECUTOR] if fresh else []))
    has = total([offer.kept, offer.free])
    if not needs.fits_in(has):
        because = f"node {offer.node} has {has} to give now, and its storage takes {needs}"
        return _declined(offer, SHORT_S, because)
    folder = folder_of(offer.attributes, situation.program.folder)
    program = replace(situation.program, folder=folder)
    executor = executor_info(offer.node, program, reserver) if fresh else record.executor
    assert executor is not None
    ids = {role: role_task_id(offer.node, role, record.attempts + 1) for role in missing}
    infos = [
        role_task(
            ids[role], role, offer.agent_id, want.roles[role], executor, reserver,
            want.config if role == AGENT_ROLE else None,
        )
        for role in missing
    ]  # fmt: skip
    taken = {role: want.roles[role] for role in missing}
    grown = Resources() if fresh else growth(situation, record)
    unkept = _not_kept(offer.node, grown, minus(has, needs))
    needs = total([needs, grown if not unkept else _smaller(grown, minus(offer.kept, needs))])
    operations = _reserving(needs, offer, reserver)
    record = replace(
        record,
        taken=MappingProxyType({**({} if fresh else record.taken), **taken}),
        spare=Resources(),
        tasks=MappingProxyType({**({} if fresh else record.tasks), **ids}),
        executor=executor,
        attempts=record.attempts + 1,
        gone=False,
    )
    call = calls.accept(offer.ids, [*operations, calls.launch(infos)], SHORT_S)
    return Asked((call,), (record,), {offer.node: unkept}, launched=tuple(ids.values()))


def _reserving(needs: Resources, offer: Offer, reserver: Reserver) -> list[dict[str, Any]]:
    """Keep what is missing, and give back what is too much, so that exactly what is needed is kept."""
    operations = []
    lacking, surplus = minus(needs, offer.kept), minus(offer.kept, needs)
    if not is_nothing(surplus):
        operations.append(calls.unreserve(as_list(surplus, reserver, kept=True)))
    if not is_nothing(lacking):
        operations.append(calls.reserve(as_list(lacking, reserver, kept=True)))
    return operations


def _with_tasks(situation: Situation, offer: Offer, record: NodeRecord) -> Asked:
    """Nothing is missing for the storage: what it has come to need is kept, what is kept in vain is given
    back, and ordinary tasks begin.

    What is in vain is not known of a node whose tasks are remembered and of which nobody has said yet, after
    a start of ours, what it is to do.
    """
    if record.tasks and offer.node not in situation.wants and offer.node not in situation.stopping:
        offer = replace(offer, kept=Resources())
    left_behind = _left_behind(situation, record)
    kept_tasks = {role: one for role, one in record.tasks.items() if role not in left_behind}
    grown, has = growth(situation, record), total([offer.kept, offer.free])
    is_kept = is_nothing(minus(grown, offer.kept))
    after = replace(record, tasks=MappingProxyType(kept_tasks), spare=grown if is_kept else Resources())
    records = (after,) if after != record else ()
    keep = grown if grown.fits_in(has) else _smaller(grown, offer.kept)
    keep = total([keep, _smaller(_waits(situation, record), minus(offer.kept, keep))])
    operations = _reserving(keep, offer, situation.reserver)
    left, launched, shortage = minus(has, keep), [], not is_kept
    for task in sorted(situation.wanted_tasks.values(), key=lambda one: one.id):
        if task.node != offer.node or task.id in situation.statuses:
            continue
        if not task.resources.fits_in(left):
            shortage = True
            continue
        left = minus(left, task.resources)
        launched.append(ordinary_task(task, offer.agent_id, situation.reserver))
    if launched:
        operations.append(calls.launch(launched))
    refuse_s = SHORT_S if shortage else LONG_S
    shortages = {offer.node: _not_kept(offer.node, grown, has)}
    if not operations:
        return replace(_declined(offer, refuse_s, ""), records=records, shortages=shortages)
    names = tuple(str(one["task_id"]["value"]) for one in launched)
    return Asked((calls.accept(offer.ids, operations, refuse_s),), records, shortages, launched=names)


def _waits(situation: Situation, record: NodeRecord) -> Resources:
    """What the next executor of a node takes, once the rest of the one before has ended: what is kept for
    that is not given back meanwhile."""
    want = situation.wants.get(record.node)
    if want is None or record.node in situation.stopping | situation.drained:
        return Resources()
    ended = [role for role in want.roles if not is_live(situation, record, role)]
    executor = [EXECUTOR] if AGENT_ROLE in ended else []
    return total([*executor, *(want.roles[role] for role in ended)])


def _smaller(one: Resources, other: Resources) -> Resources:
    """As much of one as there is of the other."""
    return Resources(min(one.cpus, other.cpus), min(one.memory_bytes, other.memory_bytes))


def _not_kept(node: str, grown: Resources, has: Resources) -> str:
    """Why what roles have come to need is not kept for them; empty if it can be."""
    if grown.fits_in(has):
        return ""
    return (
        f"node {node} has {has} to give now, and its storage has come to take {grown} more than is kept "
        "for it, which others may take"
    )


def _declined(offer: Offer, refuse_s: float, because: str) -> Asked:
    return Asked((calls.decline(offer.ids, refuse_s),), shortages={offer.node: because} if because else {})


# --- ends


def _kills(situation: Situation) -> Asked:
    """Tasks that are not wanted any more; asked for again until they have ended."""
    found: list[tuple[str, str]] = []
    for node, record in sorted(situation.records.items()):
        want = situation.wants.get(node)
        for role, task_id in sorted(record.tasks.items()):
            stop = node in situation.stopping or (want is not None and role not in want.roles)
            orphaned = role != AGENT_ROLE and want is not None and not is_live(situation, record, AGENT_ROLE)
            if stop or orphaned:
                found.append((task_id, record.agent_id))
    renewed = to_renew(situation)
    if renewed is not None:
        record = situation.records[renewed]
        found.append((record.tasks[AGENT_ROLE], record.agent_id))
    known = {task_id for record in situation.records.values() for task_id in record.tasks.values()}
    for task_id, status in sorted(situation.statuses.items()):
        forgotten = is_role_task(task_id) and task_id not in known  # its agent was away, and is back
        if forgotten or task_id in situation.unwanted_tasks:
            found.append((task_id, status.agent_id))
    due = [(task_id, agent_id) for task_id, agent_id in found if _is_due(situation, task_id)]
    return Asked(
        tuple(calls.kill(task_id, agent_id or None, _grace_s(task_id)) for task_id, agent_id in due),
        killed=tuple(task_id for task_id, _ in due),
    )


def _grace_s(task_id: str) -> float:
    """Our own tasks end at once; a program may have something to finish."""
    return 0.0 if is_role_task(task_id) else KINDLY_S


def _is_due(situation: Situation, task_id: str) -> bool:
    status = situation.statuses.get(task_id)
    if status is None or not status.is_live:
        return False
    return situation.now_s - situation.asked_s.get(task_id, float("-inf")) >= KILL_AGAIN_S
