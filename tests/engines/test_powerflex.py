"""The adapter for PowerFlex gateways, against the embedded engine's real one."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from artesian.engines.port import ChangeRefused, Engine, EngineUnreachable, NotYet
from artesian.engines.powerflex import PowerFlexEngine
from artesian.model.changes import (
    AddClient,
    AddDevice,
    AddDomain,
    AddFaultSet,
    AddPool,
    AddServer,
    CreateEngine,
    CreateSnapshot,
    CreateVolume,
    DeleteSnapshot,
    DeleteVolume,
    EngineChange,
    EnterMaintenance,
    ExitMaintenance,
    GrowVolume,
    MapVolume,
    RemoveClient,
    RemoveDevice,
    RemoveServer,
    RenameVolume,
    ReturnDevice,
    SetLimits,
    SetSpare,
    UnmapVolume,
)
from artesian.model.disk import PoolName
from artesian.model.engine import EngineSeen, SeenLimits, SnapshotId
from artesian.model.names import client_guid, device_name, server_name
from artesian.model.topology import ManagerRole
from tests import commands
from tests.embedded.sdc.nbd_rate import nbd_rate

pytestmark = pytest.mark.slow

GIB = 1 << 30
MIB = 1 << 20
MAIN_POOL = PoolName("default", "default")


@dataclass
class Running:
    """An engine of three nodes, the adapter for it, and processes of further nodes."""

    folder: Path
    url: str
    password: str
    engine: PowerFlexEngine
    port: int

    @property
    def certificate(self) -> Path:
        return self.folder / "gateway" / "gateway.crt"

    @contextmanager
    def process(self, role: str, **changed: Any) -> Iterator[None]:
        """A process like node 1's, but for these settings."""
        settings = yaml.safe_load((self.folder / "node-1" / f"{role}-1.yaml").read_text()) | changed
        config = self.folder / f"further-{role}.yaml"
        config.write_text(yaml.safe_dump(settings))
        command = [sys.executable, "-m", f"artesian.embedded.{role}", str(config)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)

    def until(self, condition: Callable[[EngineSeen], bool]) -> EngineSeen:
        deadline = time.monotonic() + 20
        while not condition(seen := self.engine.observe()):
            assert time.monotonic() < deadline, seen
            time.sleep(0.05)
        return seen

    def until_done(self, change: EngineChange) -> None:
        deadline = time.monotonic() + 20
        while True:
            try:
                self.engine.carry_out(change)
                return
            except NotYet:
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def twice(self, change: EngineChange) -> EngineSeen:
        """What was done once is done."""
        self.engine.carry_out(change)
        self.engine.carry_out(change)
        return self.engine.observe()


def command(*arguments: str) -> str:
    done = commands.run(["engine", *arguments], 120.0)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("powerflex") / "engine"
    with ExitStack() as stack:
        stack.callback(command, "down", "--dir", str(folder), "--destroy", "--force", "--yes")
        sizes = ("--nodes", "3", "--disks-per-node", "1", "--disk-size", "2GiB")
        answer = json.loads(command("up", "--dir", str(folder), *sizes, "--json"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
        url, certificate = answer["gateway"], folder / "gateway" / "gateway.crt"
        password = (folder / "admin-password").read_text().strip()
        engine = PowerFlexEngine(url, "admin", password, certificate, port_of=lambda *_: port)
        stack.callback(engine.close)
        yield Running(folder, url, password, engine, port)


def test_it_sees_the_whole_engine(running: Running) -> None:
    engine: Engine = running.engine
    seen = engine.observe()
    assert len(seen.system_id) == 16
    assert sorted(one.role for one in seen.managers) == [
        ManagerRole.MANAGER,
        ManagerRole.MANAGER,
        ManagerRole.TIEBREAKER,
    ]
    assert [one.healthy for one in seen.managers] == [True] * 3
    assert [one.leads for one in seen.managers] == [True, False, False]
    assert all(one.address.startswith("127.") for one in seen.managers)
    assert "default" in seen.domains
    pool = seen.pool(MAIN_POOL)
    assert pool is not None
    assert 5 * GIB < pool.size_bytes <= 6 * GIB
    assert (pool.is_settled, pool.spare_percentage) == (True, 34)
    assert pool.free_bytes == GIB  # a third is spare, half of the rest counts, in whole GiB
    servers = [one for one in seen.servers if one.domain == "default"]
    assert {one.name for one in servers} == {"node-1", "node-2", "node-3"}
    assert all(one.connected and not one.in_maintenance and not one.leaving for one in servers)
    assert {one.server for one in seen.devices if one.pool == MAIN_POOL} == {"node-1", "node-2", "node-3"}
    device = seen.devices[0]
    assert Path(device.path).is_file()
    assert 1.9 * GIB < device.size_bytes <= 2 * GIB
    assert not device.failed and not device.leaving
    assert {"node-1", "node-2", "node-3"} <= {one.name for one in seen.clients}
    assert all(one.guid == one.guid.upper() for one in seen.clients)


def test_domains_fault_sets_and_pools(running: Running) -> None:
    assert "other" in running.twice(AddDomain("other")).domains
    assert running.twice(AddFaultSet("other", "rack")).fault_sets == (("other", "rack"),)
    name = PoolName("other", "default")  # the same name as in another domain
    pool = running.twice(AddPool(name, 20)).pool(name)
    assert pool is not None and pool.spare_percentage == 20 and pool.size_bytes == 0
    pool = running.twice(SetSpare(name, 25)).pool(name)
    assert pool is not None and pool.spare_percentage == 25
    with pytest.raises(NotYet, match="no protection domain nowhere"):
        running.engine.carry_out(AddPool(PoolName("nowhere", "pool"), 10))
    with pytest.raises(ChangeRefused, match="too long"):
        running.engine.carry_out(AddDomain("a" * 32))
    with pytest.raises(TypeError):
        running.engine.carry_out(CreateEngine(()))


def test_a_volume_from_creation_to_deletion(running: Running) -> None:
    volume = running.twice(CreateVolume("first", MAIN_POOL, GIB // 2, thick=False)).volume("first")
    assert volume is not None and (volume.pool, volume.size_bytes, volume.thick) == (MAIN_POOL, GIB, False)
    volume = running.twice(GrowVolume("first", GIB + 1)).volume("first")
    assert volume is not None and volume.size_bytes == 2 * GIB
    seen = running.twice(RenameVolume("first", "second"))
    assert [one.name for one in seen.volumes] == ["second"]
    assert running.twice(DeleteVolume("second")).volumes == ()
    for change in (GrowVolume("third", GIB), RenameVolume("third", "fourth"), MapVolume("third", "node-1")):
        with pytest.raises(ChangeRefused, match="no volume named third"):
            running.engine.carry_out(change)
    running.engine.carry_out(UnmapVolume("third", "node-1"))


def test_it_has_no_snapshots(running: Running) -> None:
    assert not running.engine.observe().offers_snapshots
    copy = CreateVolume("copy", MAIN_POOL, GIB, False, SnapshotId("v", "s"))
    for change in (CreateSnapshot("data", "kept"), DeleteSnapshot("data", "kept"), copy):
        with pytest.raises(ChangeRefused, match="has no snapshots"):
            running.engine.carry_out(change)


def test_a_client_comes_maps_and_goes(running: Running, tmp_path: Path) -> None:
    engine = running.engine
    guid = client_guid(engine.observe().system_id, "worker")
    engine.carry_out(CreateVolume("data", MAIN_POOL, GIB, thick=True))
    for change in (AddClient("worker"), MapVolume("data", "worker")):
        with pytest.raises(NotYet, match="worker has not registered"):
            engine.carry_out(change)
    nbd_socket = str(running.folder / "further.sock")
    with running.process("sdc", name="other", guid=guid, nbd_socket=nbd_socket, state_dir=str(tmp_path)):
        running.until_done(AddClient("worker"))
        running.engine.carry_out(AddClient("worker"))
        client = next(one for one in engine.observe().clients if one.guid == guid)
        assert (client.name, client.connected) == ("worker", True)
        volume = running.twice(MapVolume("data", "worker")).volume("data")
        assert volume is not None and volume.thick and volume.mapped_to == (guid,)
        with pytest.raises(ChangeRefused, match="mapped"):
            engine.carry_out(DeleteVolume("data"))
        with pytest.raises(ChangeRefused, match="still mapped"):
            engine.carry_out(RemoveClient("worker"))
        volume = running.twice(UnmapVolume("data", "worker")).volume("data")
        assert volume is not None and volume.mapped_to == ()
        with pytest.raises(NotYet, match="still connected"):
            engine.carry_out(RemoveClient("worker"))
    running.until_done(RemoveClient("worker"))
    running.engine.carry_out(RemoveClient("worker"))
    assert all(one.guid != guid for one in engine.observe().clients)
    engine.carry_out(DeleteVolume("data"))


def _shows_work(seen: EngineSeen) -> bool:
    """Rates are means of some seconds; work is first seen of volumes and devices, at different moments."""
    pool, volume = seen.pool(MAIN_POOL), seen.volume("limited")
    devices = any(device.iops for device in seen.devices)
    return bool(pool is not None and pool.iops and volume is not None and volume.iops and devices)


def test_limits_are_those_of_a_mapping(running: Running) -> None:
    engine = running.engine
    guid = client_guid(engine.observe().system_id, "limited")
    engine.carry_out(CreateVolume("limited", MAIN_POOL, GIB, thick=False))
    nbd_socket, state_dir = str(running.folder / "limited.sock"), str(running.folder / "limited")
    with running.process("sdc", name="limited", guid=guid, nbd_socket=nbd_socket, state_dir=state_dir):
        running.until_done(AddClient("limited"))
        with pytest.raises(NotYet, match="not mapped to limited yet"):
            engine.carry_out(SetLimits("limited", "limited", 100, 0))
        engine.carry_out(MapVolume("limited", "limited"))
        for iops, bandwidth in ((100, 0), (0, 3 * MIB), (200, MIB), (0, 0)):
            seen = running.twice(SetLimits("limited", "limited", iops, bandwidth)).volume("limited")
            assert seen is not None and seen.limits_of(guid) == SeenLimits(iops, bandwidth)
        assert seen is not None and seen.limits == ()
        with pytest.raises(ChangeRefused, match="iopsLimit"):
            engine.carry_out(SetLimits("limited", "limited", 5, 0))
        engine.carry_out(SetLimits("limited", "limited", 100, 0))
        assert nbd_rate(Path(nbd_socket), "limited", 2.0) == pytest.approx(100, rel=0.25)
        seen_at_work = running.until(_shows_work)
        volume = seen_at_work.volume("limited")
        assert volume is not None and volume.iops is not None
        assert volume.iops <= 125
        assert volume.bandwidth_bytes_per_s == pytest.approx(4096 * volume.iops, rel=0.1)
        engine.carry_out(UnmapVolume("limited", "limited"))
        engine.carry_out(MapVolume("limited", "limited"))
        seen = engine.observe().volume("limited")
        assert seen is not None and seen.limits == ()
        engine.carry_out(UnmapVolume("limited", "limited"))
    engine.carry_out(DeleteVolume("limited"))


def test_a_server_and_its_disk_come_and_go(running: Running, tmp_path: Path) -> None:
    engine, pool, name = running.engine, PoolName("third", "pool"), server_name("worker", "third")
    address = yaml.safe_load((running.folder / "node-1" / "sds-1.yaml").read_text())["ip"]
    disk = tmp_path / "disk.img"
    with disk.open("wb") as file:
        file.truncate(GIB // 4)
    add_server = AddServer("worker", address, "third", "rack")
    add_device = AddDevice("worker", "serial:1", str(disk), pool, GIB // 4)
    engine.carry_out(AddDomain("third"))
    engine.carry_out(AddPool(pool, 10))
    with pytest.raises(NotYet, match="no fault set rack"):
        engine.carry_out(add_server)
    engine.carry_out(AddFaultSet("third", "rack"))
    with pytest.raises(NotYet, match="no server of third yet"):
        engine.carry_out(add_device)
    seen = running.twice(add_server)
    server = next(one for one in seen.servers if one.name == name)
    assert (server.domain, server.fault_set, server.connected) == ("third", "rack", False)
    with pytest.raises(ChangeRefused, match="another fault set"):
        engine.carry_out(AddServer("worker", address, "third", None))
    with pytest.raises(NotYet, match="not connected"):
        engine.carry_out(add_device)
    with running.process("sds", name=name, port=running.port):
        running.until(lambda seen: all(one.connected for one in seen.servers))
        running.until_done(add_device)
        device = next(one for one in running.twice(add_device).devices if one.pool == pool)
        assert (device.name, device.server, device.path) == (device_name("serial:1"), name, str(disk))
        with pytest.raises(ChangeRefused, match="in use already"):
            engine.carry_out(AddDevice("worker", "serial:1", str(disk), other_pool(running), GIB // 4))
        seen = running.twice(EnterMaintenance("worker", "third"))
        assert [one.name for one in seen.servers if one.in_maintenance] == [name]
        seen = running.twice(ExitMaintenance("worker", "third"))
        assert not any(one.in_maintenance for one in seen.servers)
        assert not any(one.failed for one in running.twice(ReturnDevice("worker", "serial:1")).devices)
    disk.rename(tmp_path / "taken")
    with running.process("sds", name=name, port=running.port):
        running.until(lambda seen: any(one.failed for one in seen.devices if one.pool == pool))
        with pytest.raises(NotYet, match="still fails"):
            engine.carry_out(ReturnDevice("worker", "serial:1"))
        (tmp_path / "taken").rename(disk)
        running.until_done(ReturnDevice("worker", "serial:1"))
        time.sleep(1.2)
        assert not any(one.failed for one in engine.observe().devices)
        engine.carry_out(ReturnDevice("worker", "serial:none"))
        with pytest.raises(NotYet, match="still has 1 disks"):
            engine.carry_out(RemoveServer("worker", "third"))
        running.until_done(RemoveDevice("worker", "serial:1", pool))
        engine.carry_out(RemoveDevice("worker", "serial:1", pool))
        assert all(one.pool != pool for one in engine.observe().devices)
    running.until_done(RemoveServer("worker", "third"))
    assert all(one.name != name for one in running.twice(RemoveServer("worker", "third")).servers)


def other_pool(running: Running) -> PoolName:
    name = PoolName("third", "second")
    running.engine.carry_out(AddPool(name, 10))
    return name


def test_a_disk_whose_data_has_nowhere_to_go_stays(running: Running) -> None:
    """The engine's disks are given the names that they would have if the framework had added them."""
    engine = running.engine
    engine.carry_out(CreateVolume("data", MAIN_POOL, GIB, thick=False))
    devices = [one for one in engine.observe().devices if one.pool == MAIN_POOL]
    context = ssl.create_default_context(cafile=str(running.certificate))
    with httpx.Client(base_url=running.url, verify=context, trust_env=False) as client:
        token = client.get("/api/login", auth=("admin", running.password)).json()
        for number, device in enumerate(devices):
            path = f"/api/instances/Device::{device.id}/action/setDeviceName"
            name = device_name(f"serial:{number}")
            client.post(path, json={"newName": name}, auth=("", token)).raise_for_status()
    running.until_done(RemoveDevice("any", "serial:0", MAIN_POOL))
    with pytest.raises(ChangeRefused, match="Fewer than two fault units"):
        engine.carry_out(RemoveDevice("any", "serial:1", MAIN_POOL))
    seen = engine.observe()
    assert {one.id for one in seen.devices if one.pool == MAIN_POOL} == {one.id for one in devices[1:]}
    assert not any(one.leaving for one in seen.devices)
    engine.carry_out(DeleteVolume("data"))


def test_what_cannot_be_reached_or_is_refused(running: Running) -> None:
    wrong = PowerFlexEngine(running.url, "admin", "not-the-password", running.certificate)
    with pytest.raises(ChangeRefused, match="refuses user admin") as refused:
        wrong.carry_out(AddDomain("never"))
    assert "not-the-password" not in str(refused.value)
    with pytest.raises(EngineUnreachable, match="refuses user admin"):
        wrong.observe()
    nobody = PowerFlexEngine("https://127.0.0.1:1", "admin", running.password, running.certificate)
    strangers = PowerFlexEngine(running.url, "admin", running.password, None)
    missing = PowerFlexEngine(running.url, "admin", running.password, running.folder / "nothing.crt")
    for engine, words in ((nobody, "127.0.0.1:1"), (strangers, "verify failed"), (missing, "nothing.crt")):
        with pytest.raises(EngineUnreachable, match=words):
            engine.observe()
        engine.close()
    running.engine.close()
    assert running.engine.observe().system_id


# --- what the embedded engine does not show


class FakeGateway:
    """Answers lists, counts logins, and remembers what was asked of it."""

    def __init__(self, **lists: list[dict[str, Any]]) -> None:
        self.lists = {"System": [{"id": "5"}], **lists}
        self.logins = 0
        self.posted: list[tuple[str, Any]] = []
        self.answer = httpx.Response(200, json={})
        self.refuse: Callable[[str], httpx.Response | None] = lambda _path: None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/api/login":
            self.logins += 1
            return httpx.Response(200, json=f"token-{self.logins}")
        expected = httpx.BasicAuth("admin", f"token-{max(2, self.logins)}")
        if request.headers["Authorization"] != expected._auth_header:
            return httpx.Response(401, json={"message": "Unauthorized", "errorCode": 0})
        if path == "/api/instances":
            named = {f"{kind[0].lower()}{kind[1:]}List": found for kind, found in self.lists.items()}
            return httpx.Response(200, json=named)
        if request.method == "GET":
            return httpx.Response(200, json=self.lists.get(path.split("/")[3], []))
        self.posted.append((path, json.loads(request.content)))
        return self.refuse(path) or self.answer

    def engine(self) -> PowerFlexEngine:
        return PowerFlexEngine("https://fake", "admin", "secret", None, transport=httpx.MockTransport(self))


def test_a_session_that_has_ended_is_begun_anew() -> None:
    gateway = FakeGateway()
    engine = gateway.engine()
    engine.carry_out(AddDomain("one"))
    engine.carry_out(AddDomain("two"))
    assert gateway.logins == 2
    assert [body["name"] for _path, body in gateway.posted] == ["one", "two"]


@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        (400, {"message": "malformed", "errorCode": 0}, ChangeRefused, "malformed"),
        (500, {"message": "in use", "errorCode": 141}, ChangeRefused, "in use"),
        (500, {"message": "no SDS", "errorCode": 69}, NotYet, "no SDS"),
        (500, {"message": "a bug", "errorCode": 1}, EngineUnreachable, "fake cannot answer: a bug"),
        (503, {"message": "no leader", "errorCode": 0}, EngineUnreachable, "no leader"),
        (
            500,
            {"message": "Error with details", "errorCode": 0, "details": [{"error": "VOL", "rc": 79}]},
            ChangeRefused,
            "VOL",
        ),
        (502, None, EngineUnreachable, "not as a gateway does"),
    ],
)
def test_errors_mean_what_they_say(status: int, body: Any, error: type[Exception], words: str) -> None:
    gateway = FakeGateway()
    gateway.answer = (
        httpx.Response(status, html="<html>") if body is None else httpx.Response(status, json=body)
    )
    with pytest.raises(error, match=words):
        gateway.engine().carry_out(AddDomain("one"))


def test_only_one_client_writes() -> None:
    guid = client_guid("5", "worker")
    mapping = {"sdcId": "2", "sdcName": "other", "accessMode": "ReadWrite"}
    volume = {"id": "1", "name": "data", "mappedSdcInfo": [mapping]}
    gateway = FakeGateway(Sdc=[{"id": "3", "sdcGuid": guid}], Volume=[volume])
    with pytest.raises(ChangeRefused, match="mapped to other"):
        gateway.engine().carry_out(MapVolume("data", "worker"))
    mapping["accessMode"] = "ReadOnly"
    gateway.engine().carry_out(MapVolume("data", "worker"))
    mapping["sdcId"] = "3"
    gateway.engine().carry_out(MapVolume("data", "worker"))
    actions = [(path.rpartition("/")[2], body.get("allowMultipleMappings")) for path, body in gateway.posted]
    assert actions == [("addMappedSdc", "true"), ("setVolumeMappingAccessMode", None)]


def test_maintenance_is_entered_left_and_waited_for() -> None:
    server = {"id": "1", "name": server_name("worker", "d"), "maintenanceState": "NoMaintenance"}
    gateway = FakeGateway(Sds=[server])
    engine = gateway.engine()
    with pytest.raises(NotYet):
        engine.carry_out(EnterMaintenance("worker", "d"))
    server["maintenanceState"] = "SetMaintenanceInProgress"
    with pytest.raises(NotYet, match="SetMaintenanceInProgress"):
        engine.carry_out(EnterMaintenance("worker", "d"))
    server["maintenanceState"] = "InMaintenance"
    engine.carry_out(EnterMaintenance("worker", "d"))
    with pytest.raises(NotYet):
        engine.carry_out(ExitMaintenance("worker", "d"))
    actions = [path.rpartition("/")[2] for path, _body in gateway.posted]
    assert actions == ["enterMaintenanceMode", "exitMaintenanceMode"]


def test_a_disk_that_is_on_its_way_is_waited_for() -> None:
    pool = PoolName("d", "p")
    device = {"id": "4", "name": device_name("serial:1"), "sdsId": "1", "storagePoolId": "3"}
    gateway = FakeGateway(
        ProtectionDomain=[{"id": "2", "name": "d"}],
        StoragePool=[{"id": "3", "name": "p", "protectionDomainId": "2"}],
        Sds=[{"id": "1", "name": server_name("worker", "d")}],
        Device=[device | {"deviceState": "InitialTest"}],
    )
    add = AddDevice("worker", "serial:1", "/dev/sdb", pool, GIB)
    with pytest.raises(NotYet, match="being prepared"):
        gateway.engine().carry_out(add)
    gateway.lists["Device"] = [device | {"deviceState": "RemovePending"}]
    with pytest.raises(NotYet, match="still being removed"):
        gateway.engine().carry_out(add)
    with pytest.raises(NotYet, match="moving away"):
        gateway.engine().carry_out(RemoveDevice("worker", "serial:1", pool))
    assert gateway.posted == []
    gateway.lists["Device"] = [device | {"deviceState": "Normal"}]
    gateway.engine().carry_out(add)
    with pytest.raises(NotYet, match="moving away"):
        gateway.engine().carry_out(RemoveDevice("worker", "serial:1", pool))
    assert [path for path, _body in gateway.posted] == ["/api/instances/Device::4/action/removeDevice"]


DEVICE = {
    "id": "4",
    "name": device_name("serial:1"),
    "sdsId": "1",
    "storagePoolId": "3",
    "maxCapacityInKb": 1 << 20,
}


def with_a_device(**values: Any) -> FakeGateway:
    return FakeGateway(
        System=[{"id": "5", "mdmCluster": {}}],
        ProtectionDomain=[{"id": "2", "name": "d"}],
        StoragePool=[{"id": "3", "name": "p", "protectionDomainId": "2", "sparePercentage": 10}],
        Sds=[{"id": "1", "name": server_name("worker", "d"), "protectionDomainId": "2"}],
        Device=[DEVICE | values],
    )


def test_the_health_of_devices_is_read() -> None:
    gateway = with_a_device(mediaFailing=True)
    figures = {"backgroundScanReadErrorCount": 3, "avgReadLatencyInMicrosec": 1500}
    gateway.answer = httpx.Response(200, json={"4": figures | {"avgWriteLatencyInMicrosec": 0}})
    (device,) = gateway.engine().observe().devices
    assert (device.error_count, device.read_latency_s, device.write_latency_s) == (3, 0.0015, None)
    assert device.media_failing is True


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"4": {}},
        {"4": None},
        {"4": {"avgReadLatencyInMicrosec": "fast", "backgroundScanReadErrorCount": 1.5}},
    ],
)
def test_a_gateway_need_not_know_how_devices_are(body: Any) -> None:
    gateway = with_a_device()
    gateway.answer = httpx.Response(200, json=body)
    (device,) = gateway.engine().observe().devices
    assert (device.error_count, device.read_latency_s, device.media_failing) == (None, None, None)


@pytest.mark.parametrize(("status", "code"), [(400, 0), (500, 3), (500, 1)])
def test_a_gateway_may_refuse_figures_that_it_does_not_know(status: int, code: int) -> None:
    gateway = with_a_device()
    refusal = httpx.Response(status, json={"message": "no such statistic", "errorCode": code})
    gateway.refuse = lambda path: refusal if "/Device/" in path else None
    (device,) = gateway.engine().observe().devices
    assert device.name == device_name("serial:1")
    assert device.error_count is None
