"""Volumes come and go with the containers that use them, whatever dies in between."""

from __future__ import annotations

from pathlib import Path

import pytest

from artesian.model.errors import Conflict, NotPossible, NotThere
from artesian.volumes.ports import SchedulerAway
from tests.volumes.cases import NODE, Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    made.cluster.put("v")
    return made


def test_a_volume_is_mounted_below_the_nodes_folder_and_let_go_of(machine: Machine) -> None:
    assert machine.service.mount("v", "", {}).path == machine.path("v")
    assert machine.where("v") == NODE
    machine.service.unmount("v", "")
    assert machine.where("v") is None
    assert machine.uses.all() == {}


# --- who uses it


def test_mounts_without_an_id_are_one_use_however_often(machine: Machine) -> None:
    for _ in range(3):
        machine.service.mount("v", "", {})
    machine.service.unmount("v", "")
    assert machine.where("v") is None


def test_mounts_with_ids_are_counted(machine: Machine) -> None:
    for one in ("a", "b", "b"):
        machine.service.mount("v", one, {})
    machine.service.unmount("v", "a")
    machine.service.unmount("v", "a")
    assert machine.where("v") == NODE
    machine.service.unmount("v", "b")
    assert machine.where("v") is None


def test_the_same_id_may_be_of_several_volumes(machine: Machine) -> None:
    machine.cluster.put("w")
    for name in ("v", "w"):
        machine.service.mount(name, "constant", {})
    machine.service.unmount("v", "constant")
    assert (machine.where("v"), machine.where("w")) == (None, NODE)


def test_an_unmount_of_what_nobody_has_mounted_does_nothing(machine: Machine) -> None:
    machine.service.unmount("v", "")
    machine.cluster.put("v", node="n2", mount_path="/m", hold="of n2")
    machine.service.unmount("v", "x")
    assert machine.where("v") == "n2"


def test_ids_that_were_never_given_back_do_not_keep_a_volume_from_being_removed(machine: Machine) -> None:
    machine.service.mount("v", "leaked", {})
    machine.service.remove("v")
    assert "v" not in machine.cluster.volumes
    assert machine.uses.all() == {}


def test_what_is_really_used_is_not_removed(machine: Machine) -> None:
    machine.service.mount("v", "a", {})
    machine.node.used_by[machine.path("v")] = "postgres (17)"
    with pytest.raises(Conflict, match=r"used on node n1: postgres \(17\)"):
        machine.service.remove("v")
    assert machine.where("v") == NODE
    assert machine.service.mount("v", "a", {}).is_new is False


def test_ids_of_a_killed_engine_are_forgotten_after_a_while(machine: Machine) -> None:
    machine.service.mount("v", "leaked", {})
    machine.service.look_closely()
    machine.clock.now += 121
    machine.node.used_by[machine.path("v")] = "runc (3)"
    machine.service.look_closely()
    machine.service.look()
    assert machine.where("v") == NODE  # it is used after all
    machine.node.used_by.clear()
    machine.service.look_closely()
    machine.service.look()
    assert machine.where("v") is None


def test_one_look_that_sees_nobody_ends_no_use(machine: Machine) -> None:
    machine.service.mount("v", "of a container", {})
    machine.clock.now += 121
    machine.clock.then = lambda: machine.node.used_by.update({machine.path("v"): "runc (3)"})
    machine.service.look_closely()
    machine.service.look()
    assert machine.where("v") == NODE


def test_who_gives_no_id_ends_it_himself_however_late(machine: Machine) -> None:
    machine.service.mount("v", "", {})
    machine.clock.now += 1e6
    machine.service.look_closely()
    machine.service.look()
    assert machine.where("v") == NODE


# --- what somebody else has mounted


def test_what_the_operator_has_mounted_is_used_there_and_stays(machine: Machine) -> None:
    machine.cluster.put("v", node=NODE, mount_path="/data")
    assert machine.service.mount("v", "a", {}).path == "/data"
    began = machine.clock.now
    machine.service.unmount("v", "a")
    assert machine.clock.now == began
    assert (machine.where("v"), machine.cluster.volumes["v"].mount_path) == (NODE, "/data")
    assert machine.uses.all() == {}


def test_what_is_mounted_elsewhere_is_refused_with_the_place(machine: Machine) -> None:
    machine.cluster.put("v", node="n2", mount_path="/data")
    began = machine.clock.now
    with pytest.raises(Conflict, match="mounted at /data of node n2"):
        machine.service.mount("v", "a", {})
    assert machine.clock.now == began  # it was put there by somebody: that does not end by itself
    machine.service.look()
    assert (machine.where("v"), machine.uses.all()) == ("n2", {})


def test_a_container_that_is_ending_elsewhere_gets_a_moment(machine: Machine) -> None:
    machine.cluster.put("v", node="n2", mount_path="/m/v", hold="of n2")
    end = machine.clock.now + 5

    def ends() -> None:
        if machine.clock.now > end:
            machine.cluster.put("v", node=None if machine.where("v") == "n2" else NODE)

    machine.clock.then = ends
    assert machine.service.mount("v", "a", {}).path == machine.path("v")
    machine.service.unmount("v", "a")


def test_one_that_does_not_end_elsewhere_is_refused_after_that_moment(machine: Machine) -> None:
    machine.cluster.put("v", node="n2", mount_path="/m/v", hold="of n2")
    began = machine.clock.now
    with pytest.raises(Conflict, match="node n2"):
        machine.service.mount("v", "a", {})
    assert 15 < machine.clock.now - began < 30


def test_preemption_asks_first_and_cuts_off_later(machine: Machine) -> None:
    machine.cluster.put("v", node="n2", mount_path="/m/v", hold="of n2")
    machine.node.hangs = True

    def forced() -> None:
        if "mount v preempt force" in machine.cluster.asked:
            machine.node.hangs = False

    machine.clock.then = forced
    began = machine.clock.now
    machine.service.mount("v", "a", {"preempt": "true"})
    assert machine.cluster.asked == ["mount v preempt", "mount v preempt force"]
    assert 15 <= machine.clock.now - began < 30


# --- what takes long


def test_what_is_not_mounted_in_time_says_what_it_waits_for_and_is_let_go_of(machine: Machine) -> None:
    machine.node.hangs = True
    machine.cluster.put("v", because="node n1 has not attached it yet")
    began = machine.clock.now
    with pytest.raises(NotPossible, match="not mounted on node n1 yet: node n1 has not attached it yet"):
        machine.service.mount("v", "a", {})
    assert 90 < machine.clock.now - began < 115  # clients wait for 120 s
    machine.cluster.put("v", because="")
    machine.service.look()
    assert machine.where("v") is None


def test_what_was_unmounted_meanwhile_is_not_said_to_be_mounted(machine: Machine) -> None:
    machine.node.hangs = True
    machine.clock.then = lambda: machine.service.unmount("v", "a") if machine.where("v") else None
    with pytest.raises(Conflict, match="is to be nowhere by now"):
        machine.service.mount("v", "a", {})


def test_a_client_that_has_gone_does_not_use_what_it_asked_for(machine: Machine) -> None:
    machine.service.not_heard(machine.service.mount("v", "a", {}))
    machine.service.look()
    assert machine.where("v") is None


def test_one_that_has_gone_after_asking_again_uses_it_still(machine: Machine) -> None:
    machine.service.mount("v", "", {})
    machine.service.not_heard(machine.service.mount("v", "", {}))
    machine.service.look()
    assert machine.where("v") == NODE


# --- while the scheduler is away


def test_of_two_who_ask_for_the_same_at_once_one_that_has_gone_takes_nothing_from_the_other(
    machine: Machine,
) -> None:
    machine.node.hangs = True
    heard = []

    def ask_too() -> None:
        machine.clock.then = lambda: None
        machine.node.hangs = False
        heard.append(machine.service.mount("v", "", {}))

    machine.clock.then = ask_too
    heard.append(machine.service.mount("v", "", {}))
    for gone in heard:
        machine.service.not_heard(gone)
        machine.service.look()
        assert machine.where("v") == NODE
    machine.service.unmount("v", "")
    assert machine.where("v") is None


def test_one_mount_that_fails_ends_no_use_of_another(machine: Machine) -> None:
    machine.service.mount("v", "", {})
    machine.node.hangs = True  # what was behind it has ended
    with pytest.raises(NotPossible):
        machine.service.mount("v", "", {})
    entry = machine.uses.find("v")
    assert entry is not None and list(entry.uses) == [""]


def test_a_volume_is_known_while_nobody_can_be_asked(machine: Machine) -> None:
    machine.service.look_closely()
    machine.cluster.away = True
    machine.restart()
    assert machine.service.find("v").exists
    assert machine.service.names() == ["v"]
    with pytest.raises(NotThere, match="as far as this node knows"):
        machine.service.find("w")


def test_a_container_may_restart_while_nobody_can_be_asked(machine: Machine) -> None:
    machine.service.mount("v", "a", {})
    machine.service.mount("v", "b", {})
    machine.cluster.away = True
    machine.service.unmount("v", "a")
    assert machine.service.mount("v", "c", {}).path == machine.path("v")


def test_an_unmount_counts_while_nobody_can_be_asked_and_is_done_later(machine: Machine) -> None:
    machine.service.mount("v", "a", {})
    machine.cluster.away = True
    machine.service.unmount("v", "a")
    machine.restart()
    machine.service.look()
    machine.cluster.away = False
    assert machine.where("v") == NODE
    machine.service.look()
    assert machine.where("v") is None


def test_a_mount_waits_for_the_next_leader(machine: Machine) -> None:
    machine.cluster.away = True
    end = machine.clock.now + 30
    machine.clock.then = lambda: setattr(machine.cluster, "away", machine.clock.now < end)
    assert machine.service.mount("v", "a", {}).path == machine.path("v")


def test_a_mount_ends_when_nobody_leads_for_too_long(machine: Machine) -> None:
    machine.cluster.away = True
    with pytest.raises(SchedulerAway):
        machine.service.mount("v", "a", {})


# --- what dies in between


def test_uses_outlive_the_agent(machine: Machine) -> None:
    machine.service.mount("v", "a", {})
    machine.restart()
    machine.service.look()
    assert machine.where("v") == NODE
    machine.service.unmount("v", "a")
    assert machine.where("v") is None


def test_a_mount_during_which_the_agent_has_died_is_taken_back(machine: Machine) -> None:
    class Killed(Exception):
        pass

    def dies() -> None:
        raise Killed

    machine.node.hangs = True
    machine.clock.then = dies
    with pytest.raises(Killed):
        machine.service.mount("v", "a", {})
    assert machine.where("v") == NODE
    machine.clock.then = lambda: None
    machine.restart()
    machine.service.look()
    assert machine.where("v") is None


def test_no_use_outlives_the_machine(machine: Machine) -> None:
    machine.service.mount("v", "", {})
    machine.reboot()
    machine.service.look()
    assert machine.where("v") is None


def test_what_was_moved_here_for_containers_and_is_used_by_none_is_let_go_of(machine: Machine) -> None:
    machine.cluster.put("v", node=NODE, mount_path="/m/v", hold="of another node")
    machine.node.used_by["/m/v"] = "somebody (4)"
    machine.service.look()
    assert machine.where("v") == NODE
    machine.node.used_by.clear()
    machine.service.look()
    assert machine.where("v") is None


def test_a_mount_that_follows_at_once_is_not_taken_away_by_what_was_before(machine: Machine) -> None:
    machine.service.mount("v", "a", {})
    entry = machine.uses.find("v")
    assert entry is not None
    machine.cluster.away = True
    machine.service.unmount("v", "a")
    machine.cluster.away = False
    machine.service.mount("v", "b", {})
    machine.cluster.release("v", entry.hold)  # the earlier request, which was long under way
    assert machine.where("v") == NODE


# --- making and deleting


def test_a_volume_is_made_once(machine: Machine) -> None:
    for _ in range(2):
        machine.service.create("new", {"size": "2"})
    machine.service.create("new", {})
    assert machine.cluster.volumes["new"].size_bytes == 2 << 30


def test_one_that_is_not_made_in_time_says_why(machine: Machine) -> None:
    machine.cluster.slow = True
    machine.clock.then = lambda: machine.cluster.put("new", because="pool p is full")
    with pytest.raises(NotPossible, match="not there yet: pool p is full"):
        machine.service.create("new", {})


def test_a_removal_waits_until_it_is_done(machine: Machine) -> None:
    machine.cluster.slow = True
    machine.clock.then = lambda: machine.cluster.volumes.pop("v", None) and None
    machine.service.remove("v")
    assert "v" not in machine.cluster.volumes


def test_what_is_on_another_node_is_not_removed(machine: Machine) -> None:
    machine.cluster.put("v", node="n2", mount_path="/m", hold="of n2")
    with pytest.raises(Conflict, match="on node n2"):
        machine.service.remove("v")


def test_what_does_not_exist_is_not_there(machine: Machine) -> None:
    for call in (machine.service.remove, machine.service.find):
        with pytest.raises(NotThere, match="there is no volume nope"):
            call("nope")
    with pytest.raises(NotThere):
        machine.service.mount("nope", "", {})
    machine.service.look()
    assert machine.uses.all() == {}


@pytest.mark.parametrize(
    "name", ["", "..", "a/b", "../../etc", "\ud800", "v" * 32, "v\n", "0" * 16, "-v", "ü"]
)
def test_names_that_no_volume_has_are_refused(machine: Machine, name: str) -> None:
    for call in (
        lambda: machine.service.mount(name, "", {}),
        lambda: machine.service.create(name, {}),
        lambda: machine.service.unmount(name, ""),
        lambda: machine.service.remove(name),
        lambda: machine.service.find(name),
    ):
        with pytest.raises(NotPossible, match="no name for a volume"):
            call()
    assert machine.cluster.asked == []
    assert machine.uses.all() == {}


def test_an_empty_file_system_is_empty(machine: Machine) -> None:
    folder = Path(machine.path("v"))
    (folder / "lost+found").mkdir(parents=True)
    machine.service.mount("v", "a", {})
    assert list(folder.iterdir()) == []
