"""Steps of a rolling restart: one node at a time, with its servers in maintenance, and each after the other.

All that is left is planned, and only the first step of it is ever taken: the next one waits until it is seen
that the one before has come to its end. Of what was done nothing is stored but what agents were told to do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from artesian.model.changes import Change, EnterMaintenance, ExitMaintenance, RestartProcesses
from artesian.model.engine import SeenServer
from artesian.model.event import Event
from artesian.model.names import server_name
from artesian.model.observation import Observation
from artesian.model.plan import Consent, Step
from artesian.model.restart import RestartPart, RestartState
from artesian.model.state import FrameworkState
from artesian.planner.facts import Facts, Steps
from artesian.planner.restarted import Turn, passed_over, rests, turns


@dataclass(frozen=True, slots=True)
class Settled:
    """The state as it follows from what is seen, and what is told of it."""

    state: FrameworkState
    events: tuple[Event, ...] = ()


def plan_restart(facts: Facts, steps: Steps) -> None:
    """What is left of a restart that goes on."""
    restart = facts.state.restart
    if restart is None or not restart.is_going:
        return
    earlier: list[Change] = [
        ExitMaintenance(name, domain)
        for name, record in sorted(facts.state.nodes.items())
        if record.rests_for and not record.in_maintenance
        for domain in record.domains
    ]
    for node in restart.nodes:
        if because := passed_over(facts.state, facts.seen, node):
            steps.note(f"{because}, and the restart passes over it")
    for turn in turns(facts.state, facts.seen, restart):
        record = facts.state.node(turn.node)
        if not turn.missing:
            continue
        if record.in_maintenance and not turn.begun:
            steps.note(f"node {turn.node} is in maintenance: it is restarted when that is over")
            continue
        earlier = _plan_turn(
            facts, steps, turn, RestartProcesses(turn.node, turn.part, restart.number), earlier
        )


def _plan_turn(
    facts: Facts, steps: Steps, turn: Turn, restarting: RestartProcesses, earlier: list[Change]
) -> list[Change]:
    """The steps of one part of one node; those after which the next ones come."""
    if turn.part is RestartPart.MANAGERS:
        steps.add(restarting, turn.missing, *earlier, consent=Consent.GIVEN)
        return [restarting]
    record, servers = facts.state.node(turn.node), servers_on(facts.state, facts.seen, turn.node)
    entering: list[Change] = []
    if record.servers_since != restarting.number:
        rested = record.rests_for == restarting.number
        entering = [
            EnterMaintenance(turn.node, one.domain) for one in servers if not (rested and one.in_maintenance)
        ]
    for enter in entering:
        because = f"the servers of node {turn.node} are about to be restarted"
        steps.add(enter, because, *earlier, consent=Consent.GIVEN)
    steps.add(restarting, turn.missing, *(entering or earlier), consent=Consent.GIVEN)
    if record.in_maintenance:
        return [restarting]
    leaving: list[Change] = [ExitMaintenance(turn.node, domain) for domain in record.domains]
    for leave in leaving:
        because = f"the servers of node {turn.node} have been restarted then"
        steps.add(leave, because, restarting, consent=Consent.GIVEN)
    return leaving


def servers_on(state: FrameworkState, seen: Observation, node: str) -> list[SeenServer]:
    """A node's servers that the engine knows."""
    names = {server_name(node, domain) for domain in state.node(node).domains}
    found = seen.engine.servers if seen.engine is not None else ()
    return sorted((one for one in found if one.name in names), key=lambda one: one.name)


def is_of_restart(step: Step, state: FrameworkState) -> bool:
    """Whether a step belongs to a restart: also a maintenance for which nobody else has wished."""
    if isinstance(step.change, RestartProcesses):
        return True
    return isinstance(step.change, EnterMaintenance) and not state.node(step.change.node).in_maintenance


def awaited(state: FrameworkState, seen: Observation) -> Turn | None:
    """What was begun and has not come back."""
    restart = state.restart
    if restart is None or not restart.is_going:
        return None
    return next((one for one in turns(state, seen, restart) if one.begun and one.missing), None)


def settled(state: FrameworkState, seen: Observation, late: Turn | None = None) -> Settled:
    """What a look ends: the rest of servers that are back, and the restart itself when everything is, or
    when somebody is `late`. The same state if there is nothing of that."""
    restart = state.restart
    if restart is None:
        return Settled(state)
    if restart.is_going and late is not None:
        because = f"the {late.part} of node {late.node} have not come back: {late.missing}"
        stopped = replace(restart, state=RestartState.STOPPED, because=because)
        return Settled(
            replace(state, restart=stopped),
            (Event("restart stopped", late.node, f"{because}; no other node is begun with"),),
        )
    for name, record in sorted(state.nodes.items()):
        if record.rests_for and seen.engine is not None and not rests(state, seen, name):
            resting = any(one.in_maintenance for one in servers_on(state, seen, name))
            if not resting or record.in_maintenance:
                state = state.with_node(name, rests_for=0)
    if restart.is_going and seen.engine is not None:
        is_left = any(one.missing for one in turns(state, seen, restart))
        if not is_left and not any(record.rests_for for record in state.nodes.values()):
            done = replace(restart, state=RestartState.DONE)
            because = f"all processes of {_nodes(restart.nodes)} have been restarted"
            return Settled(replace(state, restart=done), (Event("restarted", "engine", because),))
    return Settled(state)


def _nodes(names: tuple[str, ...]) -> str:
    return f"node {names[0]}" if len(names) == 1 else f"{len(names)} nodes"
