"""What nodes do with a real Ceph: monitors, managers, OSDs on files, volumes over NBD."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from artesian.engines.ceph import names
from artesian.engines.ceph.bluestore_label import read_label
from artesian.engines.ceph.errors import CephNodeError
from artesian.engines.ceph.node import CephNode
from artesian.engines.node_port import NodeEngineError, Part
from artesian.model.assignment import Assignment
from artesian.model.names import device_name, secret_digest
from tests.engines.blocks import Blocks, open_blocks
from tests.engines.ceph.installed import why_no_ceph
from tests.engines.ceph.labels import label_block
from tests.engines.ceph.machines import MONITORED, NODES, PATIENCE_S, Machines, moved
from tests.patience import eventually

pytestmark = [
    pytest.mark.slow,
    pytest.mark.heavy,
    pytest.mark.skipif(bool(why_no_ceph()), reason=why_no_ceph() or "Ceph is installed"),
]

GIB = 1 << 30
BLOCK = b"\x5a" * 4096


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    made = Machines()
    try:
        made.deploy()
        yield made
    finally:
        made.destroy()


@pytest.fixture(autouse=True)
def whole(machines: Machines) -> Iterator[None]:
    """Every test begins, and ends, with everything as it is to be."""
    yield
    machines.ensure()
    machines.settle()


def names_of(machines: Machines, node: str) -> set[str]:
    return {one.name for one in machines.node(node).processes() if one.running}


def identities(machines: Machines, node: str) -> dict[str, int | None]:
    return {one.name: one.process_id for one in machines.node(node).processes() if one.running}


# --- processes


def test_each_node_runs_what_it_is_assigned(machines: Machines) -> None:
    disks = {node: f"osd-{device_name(machines.devices[node][0].identity)}" for node in MONITORED}
    assert names_of(machines, "n1") == {"mon", "mgr", "client", disks["n1"]}
    assert names_of(machines, "n3") == {"mon", "client", disks["n3"]}
    assert names_of(machines, "n4") == {"client"}
    assert set(machines.node("n1").running(Part.MANAGER)) == {"mon"}
    assert set(machines.node("n1").running(Part.SERVERS)) == {disks["n1"]}


def test_who_comes_later_finds_everything_and_changes_nothing(machines: Machines) -> None:
    before = {node: machines.node(node).processes() for node in NODES}
    assert machines.ensure() == {node: [] for node in NODES}
    assert {node: machines.node(node).processes() for node in NODES} == before


def test_everything_is_there_after_everything_died(machines: Machines) -> None:
    machines.monitors.set(names.key("test"), {"kept": True})
    before = {node: names_of(machines, node) for node in NODES}
    for node in NODES:
        machines.kill(node)
    assert {node: set(changed) for node, changed in machines.ensure().items()} == before
    machines.settle()
    assert machines.monitors.get(names.key("test")) == {"kept": True}


def test_a_node_ends_everything_and_begins_again(machines: Machines) -> None:
    before = names_of(machines, "n3")
    node = machines.node("n3")
    assert set(node.stop()) == before
    assert node.stop() == []
    assert set(machines.ensure("n3")["n3"]) == before


def test_what_a_drill_holds_down_stays_down(machines: Machines) -> None:
    node = machines.node("n1")
    held_down = set(node.running(Part.SERVERS))
    machines.kill("n1", Part.SERVERS)
    assert node.ensure(machines.assignment("n1"), held_down) == []
    assert not node.running(Part.SERVERS)


def test_another_secret_is_kept_by_whoever_has_it(machines: Machines) -> None:
    before = identities(machines, "n2")
    stranger = CephNode(machines.folder("n2"), "another secret")
    assignment = replace(machines.assignment("n2"), secret_digest=secret_digest(machines.secret))
    with pytest.raises(NodeEngineError, match="secret"):
        stranger.ensure(assignment)
    assert identities(machines, "n2") == before
    assert (machines.folder("n2") / "secret").read_text().strip() == machines.secret


# --- monitors


def test_a_member_of_the_quorum_goes_on_until_it_was_taken_out(machines: Machines) -> None:
    before = machines.node("n1").running(Part.MANAGER)
    nothing = Assignment("n1", machines.place("n1").address)

    def refused() -> str:
        with pytest.raises(NodeEngineError) as caught:
            machines.node("n1").ensure(nothing)
        return str(caught.value)

    machines.until(lambda: "quorum" in refused())  # monitors that are busy do not say whether it is in it
    assert machines.node("n1").running(Part.MANAGER) == before


def test_what_people_have_set_of_a_manager_daemon_stays(machines: Machines) -> None:
    def options() -> dict[str, str]:
        return {one["name"]: one["value"] for one in machines.monitors.ask("config dump")}

    pause, deviation = "mgr/balancer/sleep_interval", "mgr/balancer/upmap_max_deviation"
    usual = options()
    machines.monitors.command("config set", who="mgr", name=pause, value="33")
    machines.monitors.command("config rm", who="mgr", name=deviation)
    process = machines.node("n1").running(Part.ALL)["mgr"]
    os.kill(process.process_id, signal.SIGKILL)
    eventually(lambda: not process.is_alive)
    machines.ensure()
    machines.until(lambda: deviation in options())
    assert options() == usual | {pause: "33"}
    machines.monitors.command("config set", who="mgr", name=pause, value=usual[pause])


def test_a_monitor_joins_later_and_leaves_what_it_knew(machines: Machines) -> None:
    places = machines.places
    machines.places = (*places, machines.place("n4"))
    machines.monitors.set(names.key("invited", "manager-n4"), {})
    machines.ensure()
    machines.until(lambda: machines.quorum() == machines.monitor_names())
    machines.until(lambda: len(machines.monitors.ask("mgr dump")["standbys"]) == 2)
    machines.places = places
    machines.monitors.remove(names.key("invited", "manager-n4"))
    machines.monitors.command("mon remove", name="manager-n4")
    machines.until(lambda: machines.quorum() == machines.monitor_names())
    machines.ensure()
    folder = machines.folder("n4")
    assert not (folder / "mon").exists() and (folder / "mon.removed").exists()
    assert names_of(machines, "n4") == {"client"}


def test_a_monitor_that_was_taken_out_comes_back_when_it_is_invited_and_knows_nothing(
    machines: Machines,
) -> None:
    machines.kill("n1")
    machines.until(lambda: len(machines.quorum()) == 2)
    machines.monitors.command("mon remove", name="manager-n1")
    machines.until(lambda: len(machines.monitors.ask("mon dump")["mons"]) == 2)
    machines.ensure("n1")  # which does not know of it yet
    log = machines.folder("n1") / "logs" / "mon.log"
    machines.until(lambda: "expects no monitor here" in log.read_text())
    assert (machines.folder("n1") / "mon.removed").exists()
    assert len(machines.quorum()) == 2
    machines.monitors.set(names.key("invited", "manager-n1"), {})
    machines.until(lambda: machines.quorum() == machines.monitor_names())


def test_a_monitor_whose_data_is_lost_asks_the_others(machines: Machines) -> None:
    machines.kill("n2")
    shutil.rmtree(machines.folder("n2") / "mon")
    machines.until(lambda: len(machines.quorum()) == 2)
    machines.ensure("n2")
    machines.until(lambda: machines.quorum() == machines.monitor_names())


# --- disks


def test_a_disk_of_somebody_else_is_refused_and_left_alone(machines: Machines) -> None:
    disk = machines.add_disk("n1")
    subprocess.run(["mkswap", disk.path], check=True, capture_output=True)
    before = os.stat(disk.path).st_mtime_ns
    devices = machines.devices["n1"]
    machines.assign("n1", disk)
    assert "swap" in machines.until(lambda: machines.verdict(disk))["refused"]
    machines.monitors.set(names.key("devices", machines.uuid(disk)), {"osd": 99, "token": "t"})
    machines.kill("n1", Part.SERVERS)
    machines.ensure("n1")
    machines.until(lambda: "is refused again" if machines.verdict(disk).get("refused") else "")
    assert os.stat(disk.path).st_mtime_ns == before
    machines.monitors.remove(names.key("devices", machines.uuid(disk)))
    machines.devices["n1"] = devices


def test_a_disk_that_is_not_there_is_refused(machines: Machines) -> None:
    disk = machines.add_disk("n1")
    Path(disk.path).unlink()
    devices = machines.devices["n1"]
    machines.assign("n1", disk)
    assert machines.until(lambda: machines.verdict(disk)).keys() == {"refused"}
    machines.devices["n1"] = devices


def test_a_disk_that_was_not_made_to_the_end_is_made_again(machines: Machines) -> None:
    disk = machines.add_disk("n4")
    with Path(disk.path).open("r+b") as file:
        file.write(label_block(machines.uuid(disk), {}))
    osd = machines.accept("n4", disk)
    machines.assign("n4", disk)
    machines.until(lambda: machines.is_up(osd))
    machines.remove(disk, osd)
    machines.devices["n4"] = ()


def test_a_disk_that_was_removed_is_empty_and_can_come_back(machines: Machines) -> None:
    disk = machines.add_disk("n4")
    for _ in range(2):
        machines.assign("n4", disk)
        assert machines.until(lambda: machines.verdict(disk)).keys() == {"size_bytes"}
        osd = machines.accept("n4", disk)
        machines.until(lambda osd=osd: machines.is_up(osd))  # type: ignore[misc]
        machines.remove(disk, osd)
        machines.devices["n4"] = ()
        machines.ensure("n4")
    machines.until(lambda: read_label(disk.path) is None)
    machines.until(lambda: not machines.verdict(disk))
    machines.until(lambda: not any(machines.folder("n4").glob("osd-*")))


def test_a_disk_of_which_nothing_is_known_any_more_keeps_what_is_on_it(machines: Machines) -> None:
    disk = machines.add_disk("n4")
    machines.assign("n4", disk)
    machines.until(lambda: machines.verdict(disk))
    osd = machines.accept("n4", disk)
    machines.until(lambda: machines.is_up(osd))
    label = read_label(disk.path)
    machines.kill("n4", Part.SERVERS)
    machines.remove(disk, osd)
    removed = names.key("removed", machines.uuid(disk))
    machines.monitors.remove(removed)
    machines.ensure("n4")
    machines.until(lambda: "does not say that it was removed" in str(machines.verdict(disk).get("refused")))
    assert read_label(disk.path) == label
    machines.monitors.set(removed, {})
    machines.until(lambda: machines.verdict(disk).keys() == {"size_bytes"})
    assert read_label(disk.path) is None
    machines.devices["n4"] = ()


def test_what_a_disk_has_served_since_it_was_accepted_counts_whoever_accepts_it_again(
    machines: Machines,
) -> None:
    (disk,) = machines.devices["n3"]
    label = read_label(disk.path)
    key = names.key("devices", machines.uuid(disk))
    document = machines.monitors.get(key)
    assert document is not None
    machines.kill("n3", Part.SERVERS)
    machines.monitors.set(key, {**document, "token": "of one who did not know"})
    machines.ensure("n3")
    machines.settle()
    assert read_label(disk.path) == label


def test_a_disk_is_known_again_by_a_node_that_was_installed_anew(machines: Machines) -> None:
    machines.kill("n3", Part.SERVERS)
    (folder,) = (path for path in machines.folder("n3").glob("osd-*") if path.is_dir())
    label = read_label(machines.devices["n3"][0].path)
    shutil.rmtree(folder)
    machines.ensure("n3")
    machines.settle()
    assert read_label(machines.devices["n3"][0].path) == label


def test_a_disk_that_is_pulled_out_has_failed_until_it_is_back(machines: Machines) -> None:
    (disk,) = machines.devices["n2"]
    away = moved(disk)

    def is_missed() -> bool:
        machines.ensure("n2")
        return "failed" in machines.verdict(disk)

    machines.until(is_missed)
    os.rename(away.path, disk.path)
    machines.settle()
    assert machines.verdict(disk).keys() == {"size_bytes"}


# --- volumes


@pytest.fixture
def volume(machines: Machines) -> Iterator[str]:
    """An image of 1 GiB that n4 offers."""
    name = os.urandom(4).hex()
    volume_id = machines.make_image(name, GIB)
    machines.map(volume_id, "n4", GIB)
    yield volume_id
    for node in NODES:
        machines.unmap(volume_id, node)
        machines.until(lambda node=node: machines.exporter(volume_id, node) is None)  # type: ignore[misc]


def opened(machines: Machines, volume_id: str, node: str) -> Blocks:
    return open_blocks(machines.node(node).volume_address(volume_id), PATIENCE_S)


def test_a_volume_is_offered_where_it_is_mapped(machines: Machines, volume: str) -> None:
    with opened(machines, volume, "n4") as blocks:
        assert blocks.size_bytes == GIB
        blocks.write_durably(GIB - len(BLOCK), BLOCK)
    machines.unmap(volume, "n4")
    machines.until(lambda: machines.exporter(volume, "n4") is None)
    machines.map(volume, "n1", GIB)
    with opened(machines, volume, "n1") as blocks:
        assert blocks.read(GIB - len(BLOCK), len(BLOCK)) == BLOCK


def test_what_offers_it_outlives_the_client(machines: Machines, volume: str) -> None:
    with opened(machines, volume, "n4") as blocks:
        process = machines.exporter(volume, "n4")
        client = machines.node("n4").running(Part.ALL)["client"]
        os.kill(client.process_id, signal.SIGKILL)
        eventually(lambda: not client.is_alive)
        assert machines.node("n4").ensure(machines.assignment("n4")) == ["client"]
        blocks.write_durably(0, BLOCK)
        machines.map(volume, "n4", 2 * GIB)  # which the new client answers
        machines.until(lambda: machines.exporter(volume, "n4") not in (None, process))


def test_what_offers_it_is_started_again_and_writes_at_once(machines: Machines, volume: str) -> None:
    with opened(machines, volume, "n4") as blocks:
        blocks.write_durably(0, BLOCK)
        process = machines.exporter(volume, "n4")
        assert process is not None
        os.kill(process, signal.SIGKILL)
    machines.until(lambda: machines.exporter(volume, "n4") not in (None, process))
    with opened(machines, volume, "n4") as blocks:
        assert blocks.read(0, len(BLOCK)) == BLOCK
        blocks.write_durably(0, BLOCK[::-1])


def test_who_offers_it_is_written_down_before_he_is_found(machines: Machines, volume: str) -> None:
    opened(machines, volume, "n4").close()
    key = names.key("opened", machines.guid("n4"), volume)
    first = machines.monitors.get(key)
    process = machines.exporter(volume, "n4")
    assert first is not None and first["addresses"] and first["process_id"] == process
    assert process is not None
    os.kill(process, signal.SIGKILL)
    machines.until(lambda: machines.exporter(volume, "n4") not in (None, process))
    opened(machines, volume, "n4").close()
    second = machines.monitors.get(key)
    assert second is not None and second["process_id"] == machines.exporter(volume, "n4")
    assert second["addresses"] != first["addresses"]


def test_one_who_was_cut_off_by_mistake_is_followed_by_another(machines: Machines, volume: str) -> None:
    with opened(machines, volume, "n4") as blocks:
        blocks.write_durably(0, BLOCK)
        process = machines.exporter(volume, "n4")
        written_down = machines.monitors.get(names.key("opened", machines.guid("n4"), volume))
        assert written_down is not None
        for address in written_down["addresses"]:
            machines.monitors.command("osd blocklist", blocklistop="add", addr=address)
    machines.until(lambda: machines.exporter(volume, "n4") not in (None, process))

    def writes() -> bool:
        with suppress(OSError), opened(machines, volume, "n4") as blocks:
            blocks.write_durably(0, BLOCK[::-1])
            return True
        return False

    machines.until(writes)


def test_a_node_without_the_right_harms_nobody(machines: Machines, volume: str) -> None:
    with opened(machines, volume, "n4") as blocks:
        blocks.write_durably(0, BLOCK)
        told = {"token": "of a scheduler that died", "size_bytes": GIB}
        machines.monitors.set(names.key("mapped", machines.guid("n1"), volume), told)
        log = machines.folder("n1") / "logs" / f"volume-{volume}.log"
        machines.until(lambda: log.exists() and "is another node's" in log.read_text())
        blocks.write_durably(0, BLOCK[::-1])


def test_it_is_offered_with_its_new_size(machines: Machines, volume: str) -> None:
    with opened(machines, volume, "n4") as blocks:
        blocks.write_durably(0, BLOCK)
    machines.resize_image(machines.image_name(volume), 2 * GIB)
    machines.map(volume, "n4", 2 * GIB)

    def is_larger() -> bool:
        with suppress(OSError), opened(machines, volume, "n4") as blocks:
            return blocks.size_bytes == 2 * GIB
        return False

    machines.until(is_larger)
    with opened(machines, volume, "n4") as blocks:
        assert blocks.read(0, len(BLOCK)) == BLOCK
        blocks.write_durably(2 * GIB - len(BLOCK), BLOCK)


def test_it_is_found_under_its_new_name(machines: Machines, volume: str) -> None:
    with opened(machines, volume, "n4") as blocks:
        name = machines.image_name(volume)
        machines.rename_image(name, f"{name}-renamed")
        blocks.write_durably(0, BLOCK)
    machines.kill("n4")
    machines.ensure("n4")
    with opened(machines, volume, "n4") as blocks:
        assert blocks.read(0, len(BLOCK)) == BLOCK


def test_who_was_cut_off_begins_anew_with_a_new_right(machines: Machines, volume: str) -> None:
    opened(machines, volume, "n4").close()
    process = machines.exporter(volume, "n4")
    machines.map(volume, "n4", GIB, token="second")
    machines.until(lambda: machines.exporter(volume, "n4") not in (None, process))


def test_volumes_do_not_need_monitors(machines: Machines, volume: str) -> None:
    with opened(machines, volume, "n4") as blocks:
        process = machines.exporter(volume, "n4")
        for node in MONITORED:
            machines.kill(node, Part.MANAGER)
        blocks.write_durably(0, BLOCK)
        with suppress(CephNodeError):  # for as long as a question is waited for
            machines.quorum()
        blocks.write_durably(0, BLOCK[::-1])
        assert machines.exporter(volume, "n4") == process
        machines.ensure()
        machines.settle()
        assert machines.exporter(volume, "n4") == process


def test_a_node_ends_while_storage_is_away(machines: Machines, volume: str) -> None:
    with opened(machines, volume, "n4") as blocks:
        blocks.write_durably(0, BLOCK)
        for node in MONITORED:
            machines.kill(node)
        blocks.begin_write(0, BLOCK)
        ended = machines.node("n4").stop()
        assert set(ended) == {"client", f"volume-{volume}"}
    machines.ensure()
    machines.settle()
