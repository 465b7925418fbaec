"""Steps that change who the managers are: one at a time, and the new one before the old one goes."""

from __future__ import annotations

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
    for name in sorted(places.keys() - wanted.keys()):
        leaving = facts.state.node(name).leaving
        because = f"node {name} is to be removed" if leaving else f"a manager on node {name} is one too many"
        removal = RemoveManager(places[name])
        steps.add(removal, because, earlier, consent=Consent.GIVEN if leaving else Consent.NONE)
        earlier = removal
