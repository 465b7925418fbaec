"""What drills assign to nodes, as their agents read it."""

from __future__ import annotations

import json
from dataclasses import asdict

from artesian.model.assignment import assignment_from_json
from artesian.model.state import Stopping
from artesian.planner.assigning import assignment_of
from tests.drill.cases import a_drill, state, with_drills


def test_faults_and_writers_are_read_as_they_were_assigned() -> None:
    made = with_drills(state(), a_drill())
    for name in ("n2", "n3"):
        assigned = assignment_of(made, name, "10.0.0.2")
        assert assigned.faults or assigned.drill_writer
        assert assignment_from_json(json.loads(json.dumps(asdict(assigned)))) == assigned


def test_a_fault_of_a_kind_that_is_not_known_is_left_out() -> None:
    assigned = asdict(assignment_of(with_drills(state(), a_drill()), "n2", "10.0.0.2"))
    assigned["faults"] = [{**assigned["faults"][0], "kind": "earthquake"}, *assigned["faults"]]
    assert [str(one.kind) for one in assignment_from_json(assigned).faults] == ["kill-server"]


def test_nothing_is_provoked_while_everything_is_stopped() -> None:
    for stopping in set(Stopping) - {Stopping.NO}:
        made = with_drills(state(stopping=stopping), a_drill())
        assert assignment_of(made, "n2", "").faults == ()
        assert assignment_of(made, "n3", "").drill_writer is None
