"""Drills that come back, in the spec.

drills:
  - name: kill-manager
    every: 7d
    between: ["02:00-04:00"]    # UTC; left out: at any time
    node: node-2                # left out: wherever it disturbs least
    thing: fast                 # a pool, a disk or a provider, likewise
    hold: 20s                   # how long the fault lasts
    disturb: no                 # yes: even a node with volumes in use
"""

from __future__ import annotations

import yaml

from artesian.model.drill import DrillKind, DrillSchedule
from artesian.strategy.rules_file import times_of_day
from artesian.strategy.yaml_reading import Place, Reader, boolean, choice, duration, list_of, located, text

_LEAST_S = 600.0  # drills one after another are no life


def drills(place: Place, node: yaml.Node) -> tuple[DrillSchedule, ...]:
    """Each kind once."""
    found = list_of(place, node, _drill)
    kinds: set[DrillKind] = set()
    for one, where in found:
        if one.name in kinds:
            raise place.wrong(where, f"{one.name} is there twice")
        kinds.add(one.name)
    return tuple(one for one, _ in found)


def _drill(place: Place, node: yaml.Node) -> tuple[DrillSchedule, yaml.Node]:
    known: dict[str, Reader] = {
        "name": choice(DrillKind), "every": duration, "between": times_of_day, "node": text, "thing": text,
        "hold": duration, "disturb": boolean,
    }  # fmt: skip
    found = located(place, node, known, ("name", "every"))
    values = {key: value for key, (value, _) in found.items()}
    if values["every"] < _LEAST_S:
        raise place.within("every").wrong(found["every"][1], "a drill comes back after 10m at the earliest")
    if values["name"] is DrillKind.KILL_SCHEDULER:
        raise place.within("name").wrong(
            found["name"][1], "nobody would start the scheduler again: artesian drill run kill-scheduler does"
        )
    schedule = DrillSchedule(
        values["name"],
        values["every"],
        values.get("between", ()),
        node=values.get("node"),
        thing=values.get("thing"),
        hold_s=values.get("hold"),
        disturb=values.get("disturb", False),
    )
    return schedule, node
