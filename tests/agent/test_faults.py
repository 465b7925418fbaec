"""Faults of drills on a node: done once, to those that were meant, and always undone."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from artesian.agent import fault_record
from artesian.agent.disks.files import look_at
from artesian.agent.drill_work import DrillWork
from artesian.agent.fault_record import FaultRecord, Stage
from artesian.agent.faults import NodeFaults
from artesian.engines.node_port import Part
from artesian.host.processes import ProcessIdentity, boot_id
from artesian.model.drill import DrillKind, Fault, SeenFault

HOLD_S = 10.0


class Engine:
    """What runs on the node: real processes that sleep."""

    def __init__(self) -> None:
        self.children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *names: str) -> None:
        for name in names:
            self.children[name] = subprocess.Popen(["sleep", "60"])

    def running(self, part: Part) -> Mapping[str, ProcessIdentity]:
        wanted = {Part.SERVERS: "sds", Part.MANAGER: "mdm", Part.ALL: ""}[part]
        alive = {name: one for name, one in self.children.items() if one.poll() is None}
        return {name: ProcessIdentity.of(one.pid) for name, one in alive.items() if name.startswith(wanted)}

    def alive(self) -> set[str]:
        return {name for name, one in self.children.items() if one.poll() is None}

    def stopped(self) -> set[str]:
        """Those that a signal has stopped."""
        return {name for name in self.alive() if _state(self.children[name].pid) == "T"}


def _state(process_id: int) -> str:
    """As the kernel sees it, a moment after a signal."""
    time.sleep(0.02)
    return Path(f"/proc/{process_id}/stat").read_text().rpartition(") ")[2][0]


class Node:
    """A node whose agent can be restarted, with a clock of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.dev = folder / "dev"
        self.dev.mkdir()
        self.engine = Engine()
        self.now_s = 100.0
        self.looked = 0
        self.faults = self.restart()

    def restart(self) -> NodeFaults:
        """An agent that knows nothing but what is on the disk."""
        self.faults = NodeFaults(
            self.folder / "faults",
            self.engine,  # type: ignore[arg-type]
            DrillWork(self.folder / "drills"),
            self.dev,
            self._look,
            lambda: self.now_s,
            lambda: 1000.0,
        )
        return self.faults

    def _look(self) -> None:
        self.looked += 1

    def stage(self) -> Stage | None:
        records, _ = fault_record.load_all(self.folder / "faults")
        return records["f"].stage if "f" in records else None


@pytest.fixture
def on(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path)
    node.engine.start("sds-1", "sds-2", "mdm")
    yield node
    for one in node.engine.children.values():
        one.kill()
        one.wait()


def fault(kind: DrillKind, target: str = "") -> Fault:
    return Fault("f", kind, target, HOLD_S, begin_by_s=1001.0)


KILLING = fault(DrillKind.KILL_SERVER)


def test_servers_are_killed_and_stay_down_for_a_while(on: Node) -> None:
    on.faults.ensure([KILLING])
    assert on.engine.alive() == {"mdm"}
    assert on.faults.held_down == {"sds-1", "sds-2"}
    assert on.faults.seen() == (SeenFault("f"),)
    on.now_s += HOLD_S
    on.faults.ensure([KILLING])
    assert on.faults.held_down == frozenset()
    assert on.faults.seen() == (SeenFault("f", over=True),)


def test_those_that_come_afterwards_are_left_alone(on: Node) -> None:
    on.faults.ensure([KILLING])
    on.engine.start("sds-1", "sds-2")
    for agent in (on.faults, on.restart()):
        agent.ensure([KILLING])
        on.now_s += HOLD_S
        agent.ensure([KILLING])
    assert on.engine.alive() == {"sds-1", "sds-2", "mdm"}


def test_what_is_not_assigned_any_more_is_undone_and_forgotten(on: Node) -> None:
    on.faults.ensure([KILLING])
    on.faults.ensure([])
    assert (on.faults.held_down, on.faults.seen(), on.stage()) == (frozenset(), (), None)


def test_a_manager_is_killed_alone(on: Node) -> None:
    on.faults.ensure([fault(DrillKind.KILL_MANAGER)])
    assert on.engine.alive() == {"sds-1", "sds-2"}


@pytest.mark.parametrize("kind", [DrillKind.KILL_SERVER, DrillKind.CUT_OFF_NODE])
def test_an_agent_that_dies_before_the_effect_goes_on_with_it(
    on: Node, kind: DrillKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as dying:
        dying.setattr(NodeFaults, "_act", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            on.faults.ensure([fault(kind)])
    assert on.stage() is Stage.INTENDED and on.engine.alive() == {"sds-1", "sds-2", "mdm"}
    on.restart().ensure([fault(kind)])
    assert on.stage() is Stage.ACTING
    assert on.engine.alive() == {"mdm"} or on.engine.stopped() == {"sds-1", "sds-2", "mdm"}


def test_an_agent_that_dies_after_the_effect_undoes_it(on: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_off = fault(DrillKind.CUT_OFF_NODE)
    with monkeypatch.context() as dying:
        dying.setattr(NodeFaults, "_store", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            on.faults.ensure([cut_off])
    assert on.engine.stopped() == {"sds-1", "sds-2", "mdm"}
    assert on.stage() is Stage.INTENDED
    on.restart().ensure([])
    assert on.engine.stopped() == set() and on.stage() is None


def test_a_node_that_is_cut_off_is_mute_until_its_time_is_over(on: Node) -> None:
    cut_off = fault(DrillKind.CUT_OFF_NODE)
    on.faults.ensure([cut_off])
    assert on.faults.is_mute and on.engine.stopped() == {"sds-1", "sds-2", "mdm"}
    assert on.restart().is_mute, "however often its agent is started"
    on.now_s += HOLD_S - 1
    on.faults.ensure([cut_off])
    assert on.faults.is_mute
    on.now_s += 1
    on.faults.ensure([cut_off])
    assert not on.faults.is_mute and on.engine.stopped() == set()
    assert on.faults.seen() == (SeenFault("f", over=True),)


def test_a_machine_that_was_started_anew_has_nothing_to_hold(on: Node) -> None:
    past = FaultRecord(fault(DrillKind.CUT_OFF_NODE), Stage.ACTING, "another boot", on.now_s)
    fault_record.save(on.folder / "faults", past)
    agent = on.restart()
    agent.ensure([past.fault])
    assert not agent.is_mute and on.stage() is Stage.OVER


def test_what_is_asked_for_too_late_is_not_begun(on: Node) -> None:
    on.faults.ensure([replace(KILLING, begin_by_s=999.0)])
    assert on.engine.alive() == {"sds-1", "sds-2", "mdm"}
    (seen,) = on.faults.seen()
    assert seen.over and "earlier" in seen.problem
    on.faults.ensure([])
    assert on.faults.seen() == ()


def test_a_fault_that_can_hit_nothing_is_a_problem(on: Node) -> None:
    on.engine.children["mdm"].kill()
    on.engine.children["mdm"].wait()
    on.faults.ensure([fault(DrillKind.KILL_MANAGER)])
    assert "nothing runs" in on.faults.seen()[0].problem
    on.faults.ensure([fault(DrillKind.FAIL_DISK, "file:0-0")])
    assert on.engine.alive() == {"sds-1", "sds-2"}


# --- disks


@pytest.fixture
def disk(on: Node) -> Path:
    path = on.dev / "sdb"
    path.write_bytes(b"data")
    return path


def pulled(path: Path) -> Fault:
    facts = look_at(str(path))
    assert facts is not None
    return fault(DrillKind.FAIL_DISK, facts.identity)


def visible(on: Node) -> set[str]:
    return {path.name for path in on.dev.iterdir() if not path.name.startswith(".")}


def test_a_disk_is_taken_away_and_put_back_as_it_was(on: Node, disk: Path) -> None:
    taken = pulled(disk)
    on.faults.ensure([taken])
    assert visible(on) == set() and on.engine.alive() == {"mdm"}
    assert on.faults.held_down == frozenset(), "servers begin anew, without it"
    on.engine.start("sds-1")
    on.faults.ensure([taken])
    assert "sds-1" in on.engine.alive() and on.looked == 1
    on.restart().ensure([])
    assert visible(on) == {"sdb"} and pulled(disk) == taken and on.looked == 2
    assert list(on.dev.iterdir()) == [disk]


def test_a_disk_that_has_its_name_by_now_is_left_alone(on: Node, disk: Path) -> None:
    taken = pulled(disk)
    on.faults.ensure([taken])
    disk.write_bytes(b"another")
    on.faults.ensure([])
    assert visible(on) == {"sdb", "sdb-1"}
    assert disk.read_bytes() == b"another" and pulled(on.dev / "sdb-1") == taken


def test_putting_back_goes_on_where_it_was_interrupted(on: Node, disk: Path) -> None:
    taken = pulled(disk)
    on.faults.ensure([taken])
    (hidden,) = on.dev.iterdir()
    os.link(hidden, disk)
    on.faults.ensure([])
    assert list(on.dev.iterdir()) == [disk] and pulled(disk) == taken


# --- records


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    victims = {"sds": ProcessIdentity.of(os.getpid())}
    record = FaultRecord(KILLING, Stage.ACTING, boot_id(), 1.5, victims, "/dev/sdb")
    fault_record.save(tmp_path, record)
    assert fault_record.load_all(tmp_path) == ({"f": record}, {})
    assert fault_record.load_all(tmp_path / "none") == ({}, {})


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "{}", '{"fault": {"id": "x"}, "victims": {}, "stage": "acting"}', "\xff"]
)
def test_one_record_that_cannot_be_read_takes_no_other_with_it(tmp_path: Path, text: str) -> None:
    record = FaultRecord(KILLING, Stage.ACTING, boot_id(), 1.5)
    fault_record.save(tmp_path, record)
    (tmp_path / "a.json").write_text(text, "latin-1")
    (tmp_path / "z.json").mkdir()
    found, unreadable = fault_record.load_all(tmp_path)
    assert found == {"f": record}
    assert sorted(path.name for path in unreadable) == ["a.json", "z.json"]


def test_what_another_record_names_is_undone_all_the_same(on: Node) -> None:
    on.faults.ensure([KILLING])
    (on.folder / "faults" / "a.json").write_text("{")
    assert on.engine.alive() == {"mdm"}
    agent = on.restart()
    assert on.stage() is Stage.ACTING
    agent.ensure([])
    assert on.stage() is None


def test_a_record_that_cannot_be_read_keeps_nobody_from_working(on: Node) -> None:
    (on.folder / "faults").mkdir()
    (on.folder / "faults" / "x.json").write_text("{")
    agent = on.restart()
    agent.ensure([KILLING])
    assert on.engine.alive() == {"mdm"}


def test_signals_reach_those_that_are_stopped(on: Node) -> None:
    on.faults.ensure([fault(DrillKind.CUT_OFF_NODE)])
    on.engine.children["mdm"].send_signal(signal.SIGKILL)
    on.engine.children["mdm"].wait()
    on.faults.ensure([])
    assert on.engine.stopped() == set() and on.engine.alive() == {"sds-1", "sds-2"}
