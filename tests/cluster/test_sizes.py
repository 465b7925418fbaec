"""One node, five in three racks, sixteen in two pools: from bare machines to volumes, as users have them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from artesian.attach import fuse
from artesian.cli.cluster.access import Api
from artesian.cli.outcome import ExitCode
from artesian.clusters.local import LocalCluster
from artesian.model.names import server_name
from tests.cluster.cases import ANY_CODE, GIB, Cluster, unable_to_mount, write_durably

pytestmark = pytest.mark.slow

INPUTS = Path(__file__).parent.parent / "inputs" / "attributes"
RACKS = {"node-1": "a", "node-2": "a", "node-3": "b", "node-4": "b", "node-5": "c"}
SSD_BYTES, HDD_BYTES = 2 * GIB, 4 * GIB
FAST, BULK = "main/fast", "main/bulk"
Document = dict[str, Any]


@dataclass
class Asked:
    """A cluster, and what its first `up` has shown and asked, before anybody agreed."""

    cluster: Cluster
    shown: str
    plan: Document

    @classmethod
    def of(cls, cluster: Cluster, *arguments: str | Path) -> Asked:
        done = cluster.run("up", *arguments, code=ExitCode.NEEDS_APPROVAL)
        return cls(cluster, " ".join(done.stdout.split()), cluster.json("plan"))


def add_node(
    cluster: Cluster, name: str, attributes: Mapping[str, str], disks: Sequence[tuple[str, int, str]]
) -> None:
    """A bare machine; disks are names, sizes, and what they are made of."""
    local = LocalCluster(cluster.folder)
    local.create()
    local.add_node(name)
    local.set_attributes(name, dict(attributes))
    for disk, size_bytes, _ in disks:
        local.add_disk(name, size_bytes, disk)
    media = {disk: kind for disk, _, kind in disks}
    (local.dev(name) / ".media.json").write_text(json.dumps(media))


def managers_of(cluster: Cluster) -> dict[str, str]:
    """The roles of healthy managers, by node."""
    return {one["node"]: one["role"] for one in cluster.get("/status")["managers"] if one["healthy"]}


def pools_of(cluster: Cluster) -> dict[str, Document]:
    return {one["name"]: one for one in cluster.get("/pools")}


def disks_in_use(cluster: Cluster) -> dict[tuple[str, str], str]:
    """The pools of disks, by node and name."""
    return {key: one["pool"] for key, one in cluster.disks().items() if one["device"] == "in use"}


def changes(plan: Document, kind: str) -> list[Document]:
    """The steps of a plan that are of this kind."""
    return [step for step in plan["steps"] if step["change"] == kind]


def use_volume(cluster: Cluster, name: str, node: str, *, pool: str | None = None) -> Path | None:
    """Make a volume and mount it, or attach it where nothing can be mounted; None if even that cannot be."""
    where = ["--pool", pool] if pool is not None else []
    path = cluster.mounts / name
    if unable_to_mount() is None:
        cluster.run("volume", "create", name, "1GiB", *where, "--node", node, "--mount", path)
        write_durably(path / "file", f"written on {node}")
        return path / "file"
    if fuse.available() is not None:
        pytest.skip(f"no volume can be attached on this machine: {fuse.available()}")
    answer = cluster.json("volume", "create", name, "1GiB", *where, "--node", node)
    assert answer["ready"] and answer["device"]
    return None


@pytest.fixture(scope="module", autouse=True)
def wide_terminal() -> Iterator[None]:
    """No sentence of a table is broken into lines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "300")
        yield


# --- one node


@pytest.fixture(scope="class")
def one() -> Iterator[Asked]:
    with Cluster() as made:
        asked = Asked.of(made, "--nodes", "1", "--disk-size", "2GiB")
        made.run("up", "--yes")
        yield asked


class TestOneNode:
    def test_the_plan_says_that_there_is_one_copy_of_everything(self, one: Asked) -> None:
        assert any("one copy" in note for note in one.plan["notes"]), one.plan["notes"]
        assert "one copy" in one.shown

    def test_the_plan_says_that_the_only_manager_is_not_enough(self, one: Asked) -> None:
        sentence = "the loss of a node stops all changes"
        assert any(sentence in note for note in one.plan["notes"])
        assert sentence in one.shown
        assert managers_of(one.cluster) == {"node-1": "manager"}

    def test_a_volume_works_and_is_there_after_the_power_was_gone(self, one: Asked) -> None:
        cluster = one.cluster
        file = use_volume(cluster, "data", "node-1")
        cluster.run("local", "off", "node-1")
        cluster.wait("gone", lambda: cluster.node("node-1")["state"] == "gone")
        cluster.run("local", "on", "node-1")
        cluster.wait("ready", lambda: [volume["ready"] for volume in cluster.get("/volumes")] == [True])
        if file is not None:
            assert file.read_text() == "written on node-1"
        (pool,) = cluster.get("/pools")
        assert pool["degraded_bytes"] == pool["used_bytes"]  # it has no second copy anywhere

    def test_the_status_says_that_there_is_one_copy_of_everything(self, one: Asked) -> None:
        assert "one copy" in " ".join(one.cluster.run("status").stdout.split())

    def test_one_disk_gives_its_data_to_the_other(self, one: Asked) -> None:
        """The last test, as a removal that is held back is not taken back."""
        if unable_to_mount() is not None:
            pytest.fail("nothing was written")
        one.cluster.run("disk", "remove", "node-1", "sdb", "--no-wait")
        assert not [step for step in one.cluster.json("plan")["steps"] if step["state"] == "held"]


# --- five nodes in three racks, and pools by what they have to hold


def spec_text(*, fast: str = "3GiB", managers: int = 3, fast_nodes: str = "*") -> str:
    return f"""
managers: {{count: {managers}}}
fault_set_attribute: rack
pools:
  - name: {FAST}
    usable: {fast}
    survives: fault-set
    nodes: {{names: ["{fast_nodes}"]}}
    disks: {{media: ssd}}
  - name: {BULK}
    usable: 3GiB
    survives: node
    disks: {{media: hdd, at_least: 4GiB}}
"""


def write_spec(cluster: Cluster, text: str) -> Path:
    path = cluster.home / "spec.yaml"
    path.write_text(text)
    return path


@pytest.fixture(scope="class")
def five() -> Iterator[Asked]:
    disks = [
        *((name, SSD_BYTES, "ssd") for name in ("sdb", "sdc")),
        *((name, HDD_BYTES, "hdd") for name in ("sdd", "sde")),
        ("sdf", GIB, "hdd"),  # smaller than any pool wants
    ]
    with Cluster() as made:
        for node, rack in RACKS.items():
            add_node(made, node, {"rack": rack}, disks)
        asked = Asked.of(made, "--spec", write_spec(made, spec_text()))
        made.run("apply", "--approve", asked.plan["id"])
        made.wait_healthy()
        yield asked


@pytest.fixture
def whole(five: Asked) -> Iterator[Cluster]:
    """The cluster as its first spec has it, but for disks that it was given since."""
    yield five.cluster
    Api(five.cluster.folder).put("/spec", {"text": spec_text()})
    Api(five.cluster.folder).post("/passes")
    five.cluster.wait_healthy()


class TestFiveNodes:
    def test_the_plan_says_which_disks_and_why(self, five: Asked) -> None:
        steps = changes(five.plan, "AddDevice")
        assert {step["arguments"]["pool"] for step in steps} == {FAST, BULK}
        for step in steps:
            arguments = step["arguments"]
            is_fast = arguments["pool"] == FAST
            assert arguments["size_bytes"] == (SSD_BYTES if is_fast else HDD_BYTES)
            assert Path(arguments["path"]).name in (("sdb", "sdc") if is_fast else ("sdd", "sde"))
            assert f"pool {arguments['pool']} is to hold 3.0 GiB" in step["because"]
            assert step["needs_approval"] and step["destructive"]
        assert "pool main/fast is to hold 3.0 GiB" in five.shown
        in_racks = {RACKS[one["arguments"]["node"]] for one in steps if one["arguments"]["pool"] == FAST}
        assert in_racks == {"a", "b", "c"}

    def test_a_reason_names_the_node_that_has_least(self, five: Asked) -> None:
        there: Counter[tuple[str, str]] = Counter()
        for step in changes(five.plan, "AddDevice"):
            arguments = step["arguments"]
            pool, node = arguments["pool"], arguments["node"]
            if f"least of it is on node {node}" in step["because"]:
                assert there[pool, node] == min(there[pool, other] for other in RACKS), step
            there[pool, node] += arguments["size_bytes"]

    def test_just_these_disks_are_in_the_pools(self, five: Asked) -> None:
        planned = {
            (step["arguments"]["node"], Path(step["arguments"]["path"]).name): step["arguments"]["pool"]
            for step in changes(five.plan, "AddDevice")
        }
        assert planned.items() <= disks_in_use(five.cluster).items()
        for (node, name), one in five.cluster.disks().items():
            if one["verdict"] == "free":
                assert five.cluster.disk(node, name).stat().st_blocks == 0

    def test_three_managers_are_in_three_racks(self, whole: Cluster, five: Asked) -> None:
        (create,) = changes(five.plan, "CreateEngine")
        assert all(f"no other manager is in fault set {rack}" in create["because"] for rack in "abc")
        roles = managers_of(whole)
        assert sorted(RACKS[node] for node in roles) == ["a", "b", "c"]
        assert sorted(roles.values()) == ["manager", "manager", "manager"]
        assert len(whole.engine_state().managers) == 3

    def test_two_copies_are_never_in_one_rack(self, whole: Cluster) -> None:
        state = whole.engine_state()
        domain = next(iter(state.protection_domains.values()))
        names = {server.name: server.fault_set_id for server in state.servers.values()}
        for node, rack in RACKS.items():
            name = server_name(node, domain.name)
            if name in names:
                assert state.fault_sets[names[name] or ""].name == rack
        for pool in state.storage_pools.values():
            for one in pool.slices:
                racks = [state.servers[state.devices[copy.device_id].server_id] for copy in one.copies]
                assert len({server.fault_set_id for server in racks}) == 2

    def test_the_pools_hold_what_was_asked_for(self, whole: Cluster) -> None:
        pools = pools_of(whole)
        for name in (BULK, FAST):
            assert pools[name]["free_bytes"] + pools[name]["used_bytes"] // 2 >= 3 * GIB, pools[name]

    def test_managers_become_five_and_three_again(self, whole: Cluster) -> None:
        whole.run("apply", "--spec", write_spec(whole, spec_text(managers=5)), "--yes")
        whole.wait("five managers", lambda: managers_of(whole).keys() == RACKS.keys())
        whole.wait_healthy()
        roles = Counter(managers_of(whole).values())
        whole.run("apply", "--spec", write_spec(whole, spec_text()), "--yes")
        whole.wait("three managers", lambda: len(managers_of(whole)) == 3)
        whole.wait_healthy()
        assert sorted(RACKS[node] for node in managers_of(whole)) == ["a", "b", "c"]
        assert roles == {"manager": 5}

    def test_a_racks_death_is_survived(self, whole: Cluster) -> None:
        if unable_to_mount() is not None:
            pytest.skip(f"no volume can be mounted on this machine: {unable_to_mount()}")
        file = use_volume(whole, "data", "node-5", pool=FAST)
        assert file is not None
        for node in ("node-1", "node-2"):
            whole.run("local", "off", node)
        assert file.read_text() == "written on node-5"
        write_durably(file, "written with a rack away")
        whole.run("volume", "create", "meanwhile", "1GiB", "--pool", FAST)
        for node in ("node-1", "node-2"):
            whole.run("local", "on", node)
        whole.wait_healthy()
        assert file.read_text() == "written with a rack away"

    def test_more_room_takes_more_disks_and_moves_none(self, whole: Cluster) -> None:
        before = disks_in_use(whole)
        spec = write_spec(whole, spec_text(fast="5GiB"))
        done = whole.run("apply", "--spec", spec, code=ExitCode.NEEDS_APPROVAL)
        assert "pool main/fast is to hold 5.0 GiB" in " ".join(done.stdout.split())
        steps = whole.json("plan")["steps"]
        assert {step["change"] for step in steps if step["change"] != "AddServer"} == {"AddDevice"}
        added = [step["arguments"] for step in steps if step["change"] == "AddDevice"]
        assert {one["pool"] for one in added} == {FAST}
        assert disks_in_use(whole) == before
        whole.run("apply", "--yes")
        whole.wait_healthy()
        expected = {(one["node"], Path(one["path"]).name): FAST for one in added}
        assert disks_in_use(whole) == before | expected

    def test_what_is_impossible_is_said_and_nothing_changed(self, whole: Cluster) -> None:
        before = disks_in_use(whole)
        assert not whole.json("plan")["notes"]
        for text, missing in (
            (spec_text(fast="100GiB"), "is to hold 100 GiB, and all disks that fit its selectors hold"),
            (spec_text(fast_nodes="nobody-*"), "for which it needs free disks in 3 fault sets; there are"),
        ):
            done = whole.run("apply", "--spec", write_spec(whole, text), code=ANY_CODE)
            assert done.returncode in (ExitCode.OK, ExitCode.NEEDS_APPROVAL)
            notes = whole.json("plan")["notes"]
            assert any(f"pool {FAST}" in note and missing in note for note in notes), notes
            assert disks_in_use(whole) == before


# --- sixteen nodes


@pytest.fixture(scope="class")
def sixteen() -> Iterator[Cluster]:
    with Cluster() as made:
        for number in range(1, 17):
            folder = INPUTS / ("agents-1-to-8" if number <= 8 else "agents-9-to-16")
            attributes = {path.name: path.read_text().strip() for path in folder.iterdir()}
            add_node(made, f"node-{number}", attributes, [("xvdf", GIB, "ssd")])
        made.run("up", "--yes")
        yield made


class TestSixteenNodes:
    def test_one_domain_has_two_pools_of_eight_nodes_each(self, sixteen: Cluster) -> None:
        sixteen.wait_healthy()
        used = disks_in_use(sixteen)
        assert used == {
            (f"node-{number}", "xvdf"): f"engineering/{'qe' if number <= 8 else 'development'}"
            for number in range(1, 17)
        }
        assert len(managers_of(sixteen)) == 3

    def test_copies_stay_on_the_nodes_of_their_pool(self, sixteen: Cluster) -> None:
        state = sixteen.engine_state()
        servers = {server_name(f"node-{number}", "engineering"): number for number in range(1, 17)}
        for pool in state.storage_pools.values():
            for one in pool.slices:
                holders = {state.devices[copy.device_id].server_id for copy in one.copies}
                numbers = {servers[state.servers[server_id].name] for server_id in holders}
                assert len(numbers) == 2
                assert all((number <= 8) == (pool.name == "qe") for number in numbers)

    @pytest.mark.parametrize(("pool", "node"), [("qe", "node-1"), ("development", "node-16")])
    def test_each_pool_has_volumes(self, sixteen: Cluster, pool: str, node: str) -> None:
        file = use_volume(sixteen, pool, node, pool=f"engineering/{pool}")
        if file is not None:
            assert file.read_text() == f"written on {node}"
