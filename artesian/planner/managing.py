"""Steps that change who the managers are: one at a time, and the new one before the old one goes."""

from __future__ import annotations

from collections.abc import Mapping

from artesian.model.changes import AddManager, Change, RemoveManager
from artesian.model.engine import ManagerPlace
from artesian.model.plan import Consent
from artesian.planner.facts import Facts, Steps


def plan_managers(facts: Facts, steps: Steps) -> None:
    """Managers that are wanted elsewhere, or are more or fewer than they should be."""
    engine = facts.state.engine
    if engine is None or engine.adopted is not None or facts.seen.engine is None:
        return
    members = {manager.host for manager in facts.engine.managers}
    wanted = {manager.node: manager for manager in facts.topology.managers}
    places = {place.node: place for place in engine.managers}
    earlier: Change | None = None
    lost = _lost(facts, places)
    for gone in lost:
        because = f"the manager on node {gone.node} is lost, and is replaced by one elsewhere"
        removal = RemoveManager(gone)
        steps.add(removal, because, earlier, consent=Consent.GIVEN)
        earlier = removal
    for name in sorted(wanted.keys() | places.keys()):
        place = places.get(name)
        if place is not None and (place.address in members or name not in wanted):
            continue
        if place is None:
            node = facts.alive(name)
            if node is None:
                continue
            place = ManagerPlace(name, node.address, wanted[name].role)
        change = AddManager(place)
        steps.add(change, wanted[name].because, earlier)
        earlier = change
    for name in sorted(places.keys() - wanted.keys() - {place.node for place in lost}):
        record = facts.state.node(name)
        because = f"a manager on node {name} is one too many"
        if record.leaving:
            because = f"node {name} is to be removed"
        elif record.without_manager:
            because = f"the manager on node {name} is replaced by one elsewhere"
        removal = RemoveManager(places[name])
        consent = Consent.GIVEN if record.gives_up_manager else Consent.NONE
        steps.add(removal, because, earlier, consent=consent)
        earlier = removal


def _lost(facts: Facts, places: Mapping[str, ManagerPlace]) -> list[ManagerPlace]:
    """Members that do not answer and are to be replaced. They go before another one comes: a member more that
    might not get going either could cost the majority."""
    healthy = {manager.host for manager in facts.engine.managers if manager.healthy}
    return [
        place
        for name, place in sorted(places.items())
        if facts.state.node(name).gives_up_manager and place.address not in healthy
    ]
