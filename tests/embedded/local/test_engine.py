"""Real engines on this machine, small ones: started, stopped, killed, extended, taken away."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from artesian.embedded.local import disks, engine, volumes
from artesian.embedded.local.description import FILE_NAME
from artesian.embedded.local.engine import LocalEngine
from artesian.embedded.local.errors import InTheWay, NotRunning, NotThere, RestRefused
from artesian.embedded.local.layout import Role
from artesian.embedded.local.planning import Wish
from artesian.embedded.local.status import status
from artesian.host import processes
from tests.patience import eventually

from .conftest import MIB, quiet

pytestmark = pytest.mark.slow

Up = Callable[..., LocalEngine]
GIB = 1 << 30


def running(local: LocalEngine) -> dict[str, int]:
    found = {place.name: local.running(place) for place in local.places()}
    return {name: identity.process_id for name, identity in found.items() if identity is not None}


def test_an_engine_is_there_with_all_its_nodes_and_disks(up: Up) -> None:
    local = up(nodes=3, disks_per_node=2, managers=3)
    assert list(running(local)) == [
        *("mdm-1", "mdm-2", "mdm-3", "gateway"),
        *("sds-1", "sds-2", "sds-3", "sdc-1", "sdc-2", "sdc-3"),
    ]
    seen = status(local)
    assert seen["problem"] is None
    assert [server["connected"] for server in seen["servers"]] == [True] * 3
    assert [device["condition"] for device in seen["devices"]] == ["normal"] * 6
    assert [manager["leader"] for manager in seen["managers"]].count(True) == 1
    assert [process["process_id"] for process in seen["processes"]] == list(running(local).values())
    assert seen["pools"][0]["healthy"]
    json.dumps(seen)


def test_its_processes_are_on_their_own(up: Up) -> None:
    local = up()
    for process_id in running(local).values():
        assert os.getsid(process_id) == process_id
        parent = int(Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()[1])
        assert parent != os.getpid()


def test_starting_what_runs_changes_nothing(up: Up) -> None:
    before = running(up())
    assert running(up()) == before


def test_after_down_everything_is_found_again(up: Up) -> None:
    local = up(nodes=2)
    volume_id = volumes.create(local, "kept", GIB, thick=False)
    assert set(local.down(quiet)) == {"mdm-1", "gateway", "sds-1", "sds-2", "sdc-1", "sdc-2"}
    assert running(local) == {}
    assert status(local)["problem"] == "no manager is running"
    local = up()
    assert [volume["id"] for volume in status(local)["volumes"]] == [volume_id]
    assert [device["condition"] for device in status(local)["devices"]] == ["normal"] * 2


def test_after_kill_9_of_everything_everything_is_found_again(up: Up) -> None:
    local = up(nodes=2)
    volume_id = volumes.create(local, "kept", GIB, thick=False)
    assert len(local.kill(local.places())) == 6
    local = up()
    assert [volume["id"] for volume in status(local)["volumes"]] == [volume_id]


@pytest.mark.parametrize("moment", ["saved", "started", "bootstrapped", "extended"])
def test_an_up_that_was_interrupted_is_finished_by_the_next(
    moment: str, up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(BaseException):
        pass

    def interrupt(*_: object) -> None:
        raise Interrupted

    from artesian.embedded.local import managers, topology

    where = {
        "saved": (engine, "write_files"),
        "started": (managers, "ask"),
        "bootstrapped": (topology, "ensure"),
        "extended": (topology, "_ensure_devices"),
    }[moment]
    with monkeypatch.context() as patch:
        patch.setattr(*where, interrupt)
        with pytest.raises(Interrupted):
            up(nodes=2)
    local = up()
    seen = status(local)
    assert [device["condition"] for device in seen["devices"]] == ["normal"] * 2
    assert len(seen["servers"]) == 2


def test_one_process_can_be_killed_and_started_again(up: Up) -> None:
    local = up(nodes=2)
    before = running(local)
    places = local.places(2, [Role.SDS])
    assert local.kill(places) == ["sds-2"]
    assert local.kill(places) == []
    seen = status(local)
    assert {process["name"] for process in seen["processes"] if not process["running"]} == {"sds-2"}
    assert local.start(places) == ["sds-2"]
    local.settle(["sds-2"])
    after = running(local)
    assert after.keys() == before.keys()
    assert {name for name in before if before[name] != after[name]} == {"sds-2"}


def test_it_is_up_when_the_disks_of_a_server_that_died_are_there_again(up: Up) -> None:
    local = up(nodes=2)
    local.kill(local.places(2, [Role.SDS]))
    eventually(lambda: [server["connected"] for server in status(local)["servers"]] == [True, False])
    local = up()
    assert [device["condition"] for device in status(local)["devices"]] == ["normal"] * 2


def test_nodes_and_disks_are_added_while_it_runs(up: Up) -> None:
    before = running(up(nodes=2))
    local = up(nodes=3, disks_per_node=2)
    assert before.items() <= running(local).items()
    seen = status(local)
    assert [server["connected"] for server in seen["servers"]] == [True] * 3
    assert [device["condition"] for device in seen["devices"]] == ["normal"] * 6


def test_fault_sets_are_made(up: Up) -> None:
    seen = status(up(nodes=4, fault_sets=3))
    assert [server["fault_set"] for server in seen["servers"]] == [
        *("fault-set-1", "fault-set-2", "fault-set-3", "fault-set-1")
    ]


def test_a_disk_comes_and_goes(up: Up) -> None:
    local = up(nodes=2)
    added = disks.add(local, 1, 300 * MIB, quiet)
    assert added.number == 2
    assert [(device["name"], device["condition"]) for device in status(local)["devices"]] == [
        ("node-1-disk-1", "normal"),
        ("node-1-disk-2", "normal"),
        ("node-2-disk-1", "normal"),
    ]
    disks.remove(local, 1, 2, quiet)
    assert [device["name"] for device in status(local)["devices"]] == ["node-1-disk-1", "node-2-disk-1"]
    assert not (local.layout.node(1) / "disks" / "disk-2.img").exists()
    with pytest.raises(NotThere, match="node-1 has no disk 2"):
        disks.remove(local, 1, 2, quiet)
    local = up()
    assert [device["name"] for device in status(local)["devices"]] == ["node-1-disk-1", "node-2-disk-1"]


def test_volumes_by_their_names(up: Up) -> None:
    local = up(nodes=2)
    volume_id = volumes.create(local, "orders", GIB, thick=False)
    assert volumes.rename(local, "orders", "archive") == volume_id
    assert volumes.grow(local, "archive", 3 * GIB) == volume_id
    assert volumes.map_to_node(local, "archive", 2, read_only=False) == volume_id
    mapping = status(local)["mappings"][0]
    assert (mapping["volume"], mapping["node"], mapping["access_mode"]) == ("archive", 2, "ReadWrite")
    with pytest.raises(RestRefused, match="mapped"):
        volumes.delete(local, "archive")
    assert volumes.unmap_from_node(local, volume_id, 2) == volume_id
    assert volumes.delete(local, "archive") == volume_id
    assert status(local)["volumes"] == []
    with pytest.raises(NotThere, match="no volume named 'archive'"):
        volumes.delete(local, "archive")
    with pytest.raises(NotThere, match="there is no node 9"):
        volumes.map_to_node(local, "archive", 9, read_only=False)


def test_the_status_names_the_nbd_address_of_a_mapping(up: Up) -> None:
    local = up()
    volumes.create(local, "v", GIB, thick=False)
    volumes.map_to_node(local, "v", 1, read_only=False)
    eventually(lambda: all(mapping["open"] for mapping in status(local)["mappings"]))
    (mapping,) = status(local)["mappings"]
    assert mapping["nbd"] == f"nbd+unix:///v?socket={local.layout.nbd_socket(1)}"
    assert mapping["process_id"] == running(local)["sdc-1"]


def test_a_manager_that_cannot_start_is_told_with_its_last_words(up: Up) -> None:
    local = up()
    local.down(quiet)
    manager = local.description.managers[0]
    with socket.create_server((manager.ip, manager.control_port)), pytest.raises(NotRunning) as caught:
        up()
    assert "mdm-1 ended at once" in str(caught.value)
    assert "address already in use" in str(caught.value).lower()


def test_two_engines_live_side_by_side(up: Up) -> None:
    one, other = up("one"), up("other")
    assert one.description.network != other.description.network
    assert status(one)["engine"]["system_id"] != status(other)["engine"]["system_id"]


def test_destroying_removes_what_is_the_engines_and_nothing_else(up: Up, tmp_path: Path) -> None:
    local = up()
    with pytest.raises(InTheWay, match="still running"):
        local.destroy()
    assert (local.folder / FILE_NAME).exists()
    local.down(quiet)
    (local.folder / "notes.txt").write_text("mine")
    assert not local.destroy()
    assert [path.name for path in local.folder.iterdir()] == ["notes.txt"]
    with pytest.raises(NotThere):
        LocalEngine(local.folder)


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InTheWay, match="is not empty, and there is no engine in it"):
        engine.up(tmp_path, Wish(), quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_sigterm_ends_every_process_cleanly(up: Up) -> None:
    local = up()
    identities = [local.running(place) for place in local.places()]
    for identity in identities:
        assert identity is not None
        processes.send(identity, signal.SIGTERM)
    alive = processes.wait_until_ended([identity for identity in identities if identity], 10)
    assert alive == []
