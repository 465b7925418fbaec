"""The REST dialect as it is on the wire: the forms that other clients than PyPowerFlex use."""

from __future__ import annotations

import json
import socket
import ssl
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from artesian.embedded.gateway.application import LARGEST_BODY_BYTES

from .conftest import Serving
from .engine import SYSTEM_ID, MemoryEngine, Topology

JSON = {"Content-Type": "application/json"}
UNKNOWN = "00000000deadbeef"


def error_of(answer: httpx.Response) -> tuple[int, int, str]:
    """Status, code and message of an error, which must have PowerFlex' form."""
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) == {"message", "httpStatusCode", "errorCode"}
    assert body["httpStatusCode"] == answer.status_code
    assert (answer.status_code == 500) == (body["errorCode"] not in (0, 168))
    return answer.status_code, body["errorCode"], body["message"]


def new_volume(rest: httpx.Client, topology: Topology, **parameters: Any) -> str:
    body = {"storagePoolId": topology.pool, "volumeSizeInKb": "8388608"} | parameters
    answer = rest.post("/api/types/Volume/instances", json=body)
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"id"}
    return str(answer.json()["id"])


# --- reading ---


@pytest.mark.parametrize(
    ("type_name", "relationships"),
    [
        ("System", ["Statistics", "ProtectionDomain", "Sdc", "User"]),
        ("ProtectionDomain", ["Statistics", "StoragePool", "Sds", "FaultSet"]),
        ("FaultSet", ["Statistics", "Sds"]),
        ("Sds", ["Statistics", "Device"]),
        ("Device", ["Statistics"]),
        ("StoragePool", ["Statistics", "SpSds", "Volume", "Device", "VTree"]),
        ("Volume", ["Statistics"]),
        ("VTree", ["Statistics", "Volume"]),
        ("Sdc", ["Statistics", "Volume"]),
        ("User", []),
    ],
)
def test_every_link_of_every_object_leads_somewhere(
    rest: httpx.Client, topology: Topology, type_name: str, relationships: list[str]
) -> None:
    volume_id = new_volume(rest, topology)
    rest.post(f"/api/instances/Volume::{volume_id}/action/addMappedSdc", json={"sdcId": topology.clients[0]})
    found = rest.get(f"/api/types/{type_name}/instances").json()
    assert found
    for one in found:
        assert rest.get(f"/api/instances/{type_name}::{one['id']}").json() == one
        links = one["links"]
        assert links[0] == {"rel": "self", "href": f"/api/instances/{type_name}::{one['id']}"}
        children = [link["rel"] for link in links if link["rel"].startswith(f"/api/{type_name}/relation")]
        assert children == [f"/api/{type_name}/relationship/{name}" for name in relationships]
        for link in links:
            answer = rest.get(link["href"])
            assert answer.status_code == 200, link
            wanted = (
                dict if not link["href"].split("/")[-1].isalpha() or "Statistics" in link["href"] else list
            )
            assert isinstance(answer.json(), wanted)
            if link["rel"].startswith("/api/parent/relationship/"):
                parent = link["rel"].rsplit("/", 1)[1]
                assert one[parent] == answer.json()["id"]


def test_everything_at_once(rest: httpx.Client, topology: Topology) -> None:
    volume_id = new_volume(rest, topology)
    everything = rest.get("/api/instances").json()
    assert [one["id"] for one in everything["volumeList"]] == [volume_id]
    assert [one["id"] for one in everything["sdsList"]] == topology.servers
    assert [one["id"] for one in everything["sdcList"]] == topology.clients
    assert [one["id"] for one in everything["storagePoolList"]] == [topology.pool]
    assert {"systemList", "protectionDomainList", "deviceList", "vTreeList", "faultSetList"} <= set(
        everything
    )


def test_values_have_the_types_that_clients_decode(rest: httpx.Client, topology: Topology) -> None:
    volume = rest.get(f"/api/instances/Volume::{new_volume(rest, topology)}").json()
    assert type(volume["sizeInKb"]) is int
    assert type(volume["creationTime"]) is int
    assert volume["useRmcache"] is False
    assert volume["ancestorVolumeId"] is None
    assert volume["volumeReplicationState"] == "UnmarkedForReplication"
    system = rest.get("/api/types/System/instances").json()[0]
    assert system["maxCapacityInGb"] == "Unlimited"
    assert system["restrictedSdcMode"] == "None"
    tree = rest.get(f"/api/instances/VTree::{volume['vtreeId']}").json()
    assert tree["rootVolumes"] == [volume["id"]] == [tree["baseVolumeId"]]
    assert tree["vtreeMigrationInfo"]["migrationStatus"] == "NotInMigration"


def test_the_id_in_a_url_may_be_in_upper_case(rest: httpx.Client, topology: Topology) -> None:
    assert rest.get(f"/api/instances/StoragePool::{topology.pool.upper()}").json()["id"] == topology.pool


def test_lists_of_what_there_never_is_are_empty(rest: httpx.Client, topology: Topology) -> None:
    for type_name in (
        "SnapshotPolicy",
        "ReplicationPair",
        "PeerMdm",
        "Sdr",
        "Host",
        "RfcacheDevice",
        "Alert",
    ):
        assert rest.get(f"/api/types/{type_name}/instances").json() == []
    assert rest.get(f"/api/instances/System::{SYSTEM_ID}/relationships/PeerMdm").json() == []
    shares = rest.get("/api/types/SpSds/instances").json()
    assert [share["sdsId"] for share in shares] == topology.servers


# --- finding ---

AWKWARD_NAMES = ["vol1", "aXQn/cyBh+bmFtZQ==", "50%41", "ä ö", "a/b/", "x::y", "?#&", "%2F"]


@pytest.mark.parametrize("name", AWKWARD_NAMES)
def test_a_volume_is_found_by_any_name_encoded_once_or_twice(
    rest: httpx.Client, topology: Topology, name: str
) -> None:
    volume_id = new_volume(rest, topology, name=name)
    once = quote(name, safe="")
    for encoded in (once, quote(once, safe="")):
        url = httpx.URL(str(rest.base_url)).copy_with(
            raw_path=f"/api/types/Volume/instances/getByName::{encoded}".encode()
        )
        answer = rest.get(url)
        assert (answer.status_code, answer.content) == (200, f'"{volume_id}"'.encode())
    by_key = rest.post("/api/types/Volume/instances/action/queryIdByKey", json={"name": name})
    assert by_key.json() == volume_id


def test_old_words_for_types_are_understood(rest: httpx.Client, topology: Topology) -> None:
    assert rest.get("/api/types/Domain/instances/getByName::domain1").json() == topology.domain
    key = f"{topology.domain},pool1"
    assert rest.get(f"/api/types/Pool/instances/getByName::{key}").json() == topology.pool
    assert rest.get("/api/types/Client/instances/getByIp::127.0.1.2/").json() == topology.clients[1]
    assert rest.get("/api/types/Client/instances/getByIp::127.0.1.2").json() == topology.clients[1]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/api/types/Domain/instances/getByName::none", 142),
        ("/api/types/Pool/instances/getByName::00,none", 171),
        ("/api/types/Volume/instances/getByName::none", 79),
        ("/api/types/Client/instances/getByIp::127.0.9.9/", 80),
    ],
)
def test_a_name_that_nobody_has_is_answered_with_the_types_code(
    rest: httpx.Client, path: str, code: int
) -> None:
    assert error_of(rest.get(path))[:2] == (500, code)


def test_ids_by_key(rest: httpx.Client, topology: Topology, engine: MemoryEngine) -> None:
    guid = engine.state.clients[topology.clients[0]].guid.lower()
    for type_name, key, expected in (
        ("ProtectionDomain", {"name": "domain1"}, topology.domain),
        ("StoragePool", {"name": "pool1", "protectionDomainId": topology.domain}, topology.pool),
        ("StoragePool", {"name": "pool1", "protectionDomainName": "domain1"}, topology.pool),
        ("FaultSet", {"name": "rack2", "protectionDomainId": topology.domain}, topology.fault_sets[1]),
        ("Sds", {"name": "node3"}, topology.servers[2]),
        ("Sdc", {"ip": "127.0.1.1"}, topology.clients[0]),
        ("Sdc", {"guid": guid}, topology.clients[0]),
        ("Sdc", {"name": "h2"}, topology.clients[1]),
    ):
        answer = rest.post(f"/api/types/{type_name}/instances/action/queryIdByKey", json=key)
        assert (answer.status_code, answer.json()) == (200, expected)


def test_a_volume_that_is_not_there_is_not_found_in_these_words(rest: httpx.Client) -> None:
    for type_name in ("Volume", "SnapshotPolicy"):
        answer = rest.post(f"/api/types/{type_name}/instances/action/queryIdByKey", json={"name": "none"})
        assert answer.json() == {"message": "Not found", "httpStatusCode": 500, "errorCode": 3}


def test_objects_by_selected_ids(rest: httpx.Client, topology: Topology) -> None:
    path = "/api/types/ProtectionDomain/instances/action/queryBySelectedIds"
    assert [one["id"] for one in rest.post(path, json={"ids": [topology.domain]}).json()] == [topology.domain]
    assert error_of(rest.post(path, json={"ids": [UNKNOWN]}))[:2] == (500, 142)
    assert error_of(rest.post(path, json={}))[0] == 400


def test_the_largest_volume_is_told(rest: httpx.Client) -> None:
    limits = rest.post("/api/instances/System/action/querySystemLimits", json={}).json()
    (entry,) = [one for one in limits["systemLimitEntryList"] if one["type"] == "volumeSizeGb"]
    assert (entry["minVal"], entry["maxVal"]) == ("1", "1048576")


# --- system actions ---


@pytest.mark.parametrize("prefix", ["System", f"System::{SYSTEM_ID}"])
def test_system_actions_work_with_and_without_the_id(
    rest: httpx.Client, engine: MemoryEngine, prefix: str
) -> None:
    answer = rest.post(f"/api/instances/{prefix}/action/setSystemName", json={"newName": "renamed"})
    assert (answer.status_code, answer.json(), engine.state.name) == (200, {}, "renamed")
    assert rest.post(f"/api/instances/{prefix}/queryMdmCluster", json={}).json()["goodNodesNum"] == 3
    refusal = rest.post(f"/api/instances/{prefix}/action/snapshotVolumes", json={"snapshotDefs": []})
    assert error_of(refusal) == (400, 0, "snapshotVolumes is not supported by this storage engine")


def test_the_wrong_system_id_is_refused(rest: httpx.Client, engine: MemoryEngine) -> None:
    answer = rest.post(f"/api/instances/System::{UNKNOWN}/action/setSystemName", json={"newName": "renamed"})
    assert error_of(answer)[:2] == (500, 3)
    assert engine.state.name == "mocksystem"


def test_restrictions_that_are_not_enforced_cannot_be_set(rest: httpx.Client) -> None:
    path = "/api/instances/System/action/setRestrictedSdcMode"
    assert rest.post(path, json={"restrictedSdcMode": "none"}).status_code == 200
    assert "not supported" in error_of(rest.post(path, json={"restrictedSdcMode": "Guid"}))[2]


def test_approving_a_client_finds_it(rest: httpx.Client, topology: Topology, engine: MemoryEngine) -> None:
    path = "/api/instances/System/action/approveSdc"
    guid = engine.state.clients[topology.clients[0]].guid
    assert rest.post(path, json={"sdcGuid": guid}).json() == {"id": topology.clients[0]}
    assert rest.post(path, json={"sdcIps": ["127.0.1.2"]}).json() == {"id": topology.clients[1]}
    assert error_of(rest.post(path, json={"sdcIp": "127.0.9.9"}))[:2] == (500, 80)
    expected = "must be part of the request body: sdcIp, sdcIps, sdcGuid."
    assert expected in error_of(rest.post(path, json={}))[2]


# --- creating in other clients' words ---


def test_a_server_with_nested_addresses_and_devices(
    rest: httpx.Client, topology: Topology, engine: MemoryEngine
) -> None:
    engine.connect_server(_next_id(engine, rest, topology))
    devices = [{"devicePath": f"/disks/{name}", "storagePoolId": topology.pool} for name in ("x", "y")]
    body = {
        "name": "sds_127.0.1.9",
        "protectionDomainId": topology.domain,
        "sdsIpList": [{"SdsIp": {"ip": "127.0.1.9", "role": "all"}}],
        "deviceInfoList": devices,
    }
    answer = rest.post("/api/types/Sds/instances", json=body)
    assert answer.status_code == 200, answer.text
    found = rest.get(f"/api/instances/Sds::{answer.json()['id']}/relationships/Device").json()
    assert [device["deviceCurrentPathName"] for device in found] == ["/disks/x", "/disks/y"]


def test_a_server_of_which_one_device_is_refused_is_not_added(
    rest: httpx.Client, topology: Topology, engine: MemoryEngine
) -> None:
    engine.connect_server(_next_id(engine, rest, topology))
    engine.refused_paths["/disks/y"] = "another system's disk"
    devices = [{"devicePath": "/disks/y", "storagePoolId": topology.pool}]
    body = {
        "protectionDomainId": topology.domain,
        "sdsIpList": [{"ip": "127.0.1.9"}],
        "deviceInfoList": devices,
    }
    status, code, message = error_of(rest.post("/api/types/Sds/instances", json=body))
    assert (status, code) == (500, 71)
    assert "another system's disk" in message
    assert set(engine.state.servers) == set(topology.servers)
    assert set(engine.state.devices) == set(topology.devices)


def _next_id(engine: MemoryEngine, rest: httpx.Client, topology: Topology) -> str:
    """The id that the next server will get, so that it can be connected beforehand."""
    version, number = engine.state.version, engine.state.next_number
    random = f"{(version * 2654435761 + 12345) & 0xFFFFFFFF:08x}"
    return f"{random}{number:08x}"


def test_a_device_in_the_words_of_old_clients(rest: httpx.Client, topology: Topology) -> None:
    path = "/a/path/that/is/longer/than/a/name/can/be"
    body = {
        "name": path,
        "deviceCurrentPathname": path,
        "storagePoolId": topology.pool,
        "sdsId": topology.servers[0],
    }
    device_id = rest.post("/api/types/Device/instances", json=body).json()["id"]
    device = rest.get(f"/api/instances/Device::{device_id}").json()
    assert (device["name"], device["deviceCurrentPathName"]) == (None, path)


@pytest.mark.parametrize("body", [b"null", b"{}", b""])
def test_an_action_without_parameters_takes_null_and_nothing(
    rest: httpx.Client, topology: Topology, body: bytes
) -> None:
    path = f"/api/instances/Device::{topology.devices[0]}/action/removeDevice"
    answer = rest.post(path, content=body, headers=JSON)
    assert (answer.status_code, answer.content) == (200, b"{}")


@pytest.mark.parametrize(
    ("size", "expected_gb"),
    [
        ({"volumeSizeInKb": "8388608"}, 8),
        ({"volumeSizeInKb": 8388609}, 9),
        ({"volumeSizeInKb": "1"}, 1),
        ({"volumeSizeInGb": "3"}, 3),
        ({"volumeSizeInGb": 1048576}, 1048576),
    ],
)
def test_sizes_are_rounded_up_to_whole_gigabytes(
    rest: httpx.Client, topology: Topology, size: dict[str, Any], expected_gb: int
) -> None:
    body = {"storagePoolId": topology.pool, "volumeType": "ThinProvisioned", "unknownParameter": [1]} | size
    volume_id = rest.post("/api/types/Volume/instances", json=body).json()["id"]
    assert rest.get(f"/api/instances/Volume::{volume_id}").json()["sizeInKb"] == expected_gb << 20


@pytest.mark.parametrize(
    ("parameters", "status", "code", "message"),
    [
        ({"volumeSizeInGb": ""}, 400, 0, "One of the parameter(s) must be part of the request body"),
        ({"storagePoolId": None}, 400, 0, "must be part of the request body: storagePoolId."),
        ({"storagePoolId": "xyz"}, 400, 0, "id (xyz) must be a hexadecimal number (unsigned long)"),
        ({"storagePoolId": UNKNOWN}, 500, 171, "Could not find the Storage Pool"),
        ({"protectionDomainId": UNKNOWN}, 500, 197, "not in this Protection Domain"),
        ({"volumeSizeInGb": "1048577"}, 400, 0, "volumeSizeInGb should be between"),
        ({"volumeSizeInGb": True}, 400, 0, "volumeSizeInGb should be a number"),
        ({"name": ["x"]}, 400, 0, "name should be a text"),
        ({"name": "bell\u0007"}, 500, 62, "not valid"),
        ({"useRmcache": "perhaps"}, 400, 0, "useRmcache should get one of the following values"),
    ],
)
def test_a_volume_that_cannot_be_is_refused_and_nothing_changes(
    rest: httpx.Client,
    topology: Topology,
    engine: MemoryEngine,
    parameters: dict[str, Any],
    status: int,
    code: int,
    message: str,
) -> None:
    before = engine.document()
    body = {"storagePoolId": topology.pool, "volumeSizeInGb": "8"} | parameters
    found = error_of(rest.post("/api/types/Volume/instances", json=body))
    assert found[:2] == (status, code)
    assert message in found[2]
    assert engine.document() == before


# --- mapping in other clients' words ---


@pytest.mark.parametrize(
    "unmap",
    [{"allSdcs": ""}, {"allSdcs": "true", "ignoreScsiInitiators": "true"}, {"allSdcs": "TRUE"}],
)
def test_unmapping_from_all_clients(
    rest: httpx.Client, topology: Topology, engine: MemoryEngine, unmap: dict[str, str]
) -> None:
    volume_id = new_volume(rest, topology)
    actions = f"/api/instances/Volume::{volume_id}/action"
    for client_id, mode in zip(topology.clients, ("ReadWrite", "ReadOnly"), strict=True):
        body = {"sdcId": client_id, "allowMultipleMappings": "TRUE", "allSdcs": "", "accessMode": mode}
        assert rest.post(f"{actions}/addMappedSdc", json=body).json() == {}
    assert rest.post(f"{actions}/removeMappedSdc", json=unmap).json() == {}
    assert not engine.state.volumes[volume_id].mappings
    assert error_of(rest.post(f"{actions}/removeMappedSdc", json=unmap))[:2] == (500, 84)


def test_mappings_that_cannot_be_are_refused(
    rest: httpx.Client, topology: Topology, engine: MemoryEngine
) -> None:
    volume_id = new_volume(rest, topology)
    before = engine.document()
    actions = f"/api/instances/Volume::{volume_id}/action"
    for action, body, expected in (
        ("addMappedSdc", {}, (400, 0)),
        ("addMappedSdc", {"allSdcs": "true"}, (400, 0)),
        ("addMappedSdc", {"sdcId": UNKNOWN}, (500, 80)),
        ("addMappedSdc", {"guid": "none"}, (500, 80)),
        ("addMappedSdc", {"sdcId": topology.clients[0], "accessMode": "NoAccess"}, (400, 0)),
        ("removeMappedSdc", {}, (400, 0)),
        ("removeMappedSdc", {"allSdcs": "False"}, (400, 0)),
        ("removeMappedSdc", {"sdcId": topology.clients[0]}, (500, 84)),
        ("setMappedSdcLimits", {"sdcId": topology.clients[0], "iopsLimit": "20"}, (500, 84)),
        ("setMappedSdcLimits", {"sdcId": topology.clients[0]}, (400, 0)),
        ("setVolumeMappingAccessMode", {"accessMode": "ReadOnly"}, (400, 0)),
    ):
        assert error_of(rest.post(f"{actions}/{action}", json=body))[:2] == expected, (action, body)
    assert engine.document() == before


@pytest.mark.parametrize("limits", [{"iopsLimit": "10"}, {"bandwidthLimitInKbps": "1000"}, {"iopsLimit": -1}])
def test_limits_off_the_grid_are_refused(
    rest: httpx.Client, topology: Topology, engine: MemoryEngine, limits: dict[str, Any]
) -> None:
    volume_id = new_volume(rest, topology)
    client = {"sdcId": topology.clients[0]}
    actions = f"/api/instances/Volume::{volume_id}/action"
    rest.post(f"{actions}/addMappedSdc", json=client)
    before = engine.document()
    error_of(rest.post(f"{actions}/setMappedSdcLimits", json=client | limits))
    assert engine.document() == before


def test_removing_only_descendants_leaves_the_volume(rest: httpx.Client, topology: Topology) -> None:
    path = f"/api/instances/Volume::{new_volume(rest, topology)}/action/removeVolume"
    assert rest.post(path, json={"removeMode": "DESCENDANTS_ONLY"}).json() == {}
    assert rest.post(path, json={"removeMode": "ONLY_ME"}).json() == {}
    assert error_of(rest.post(path, json={"removeMode": "ONLY_ME"})) == (500, 79, "Could not find the volume")


# --- statistics ---


def test_statistics_of_several_types_at_once(rest: httpx.Client, topology: Topology) -> None:
    body = {
        "selectedStatisticsList": [
            {"type": "StoragePool", "ids": [topology.pool], "properties": ["thinCapacityAllocatedInKm"]},
            {"type": "System", "properties": ["numOfSds", "aNameThatNobodyKnows"]},
            {"type": "Sdc", "allIds": [], "properties": ["numOfMappedVolumes", "userDataReadBwc"]},
        ]
    }
    answer = rest.post("/api/instances/querySelectedStatistics", json=body).json()
    assert answer["StoragePool"] == {topology.pool: {"thinCapacityAllocatedInKm": 0}}
    assert answer["System"] == {"numOfSds": 3, "aNameThatNobodyKnows": 0}
    assert set(answer["Sdc"]) == set(topology.clients)
    rate = answer["Sdc"][topology.clients[0]]["userDataReadBwc"]
    assert rate == {"numSeconds": 0, "totalWeightInKb": 0, "numOccured": 0}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"selectedStatisticsList": "x"},
        {"selectedStatisticsList": [{"type": "StoragePool", "allIds": ""}]},
        {"selectedStatisticsList": [{"properties": ["x"], "allIds": ""}]},
        {"selectedStatisticsList": [{"type": "StoragePool", "properties": ["x"]}]},
        {"selectedStatisticsList": [{"type": "StoragePool", "properties": ["x"], "ids": ["zz"]}]},
    ],
)
def test_malformed_questions_for_statistics_are_refused(rest: httpx.Client, body: Any) -> None:
    assert error_of(rest.post("/api/instances/querySelectedStatistics", json=body))[:2] == (400, 0)


def test_the_health_of_devices(rest: httpx.Client, topology: Topology, engine: MemoryEngine) -> None:
    sick, idle, *others = topology.devices
    engine.report(sick, errors=7, read_s=0.25, write_s=1e-7)
    engine.report(idle)
    for other in others:
        engine.report(other, errors=1)
    names = ["backgroundScanReadErrorCount", "avgReadLatencyInMicrosec", "avgWriteLatencyInMicrosec"]
    path = "/api/types/Device/instances/action/querySelectedStatistics"
    answer = rest.post(path, json={"allIds": "", "properties": names}).json()
    assert answer[sick] == dict(zip(names, (7, 250_000, 1), strict=True))
    assert answer[idle] == dict.fromkeys(names, 0)
    whole = rest.post(path, json={"ids": [sick], "properties": [*names, "maxCapacityInKb"]}).json()[sick]
    assert answer[sick].items() <= whole.items()
    assert whole["maxCapacityInKb"] > 0
    alone = rest.get(f"/api/instances/Device::{sick}/relationships/Statistics").json()
    assert answer[sick].items() <= alone.items()
    room = [*names, "capacityInUseInKb", "unusedCapacityInKb"]
    often = rest.post(path, json={"ids": [sick], "properties": room}).json()[sick]
    assert often.items() <= alone.items() and often["unusedCapacityInKb"] > 0
    pool = rest.get(f"/api/instances/StoragePool::{topology.pool}/relationships/Statistics").json()
    assert pool["backgroundScanReadErrorCount"] == 7 + len(others)
    unknown = rest.post(path, json={"ids": ["f" * 16], "properties": names})
    assert unknown.status_code >= 400


def test_what_a_volume_occupies(rest: httpx.Client, topology: Topology, engine: MemoryEngine) -> None:
    volume_id = new_volume(rest, topology)
    volume = engine.state.volumes[volume_id]
    for device_id in topology.devices[:2]:
        engine.report(device_id, used_slots=7, volume_slots={str(volume.number): 5})
    tree = rest.get(f"/api/instances/VTree::{volume.vtree_id}/relationships/Statistics").json()
    assert tree["netCapacityInUseInKb"] == 5 * 1024
    assert tree["netProvisionedAddressesInKb"] == 8 << 20


# --- what is not HTTP, not JSON, or not there ---


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/index.html"),
        ("GET", "/api/nothing"),
        ("GET", "/api/types/Nothing/instances"),
        ("GET", "/api/types/volume/instances"),
        ("GET", f"/api/instances/Nothing::{UNKNOWN}"),
        ("POST", "/api/types/Nothing/instances"),
        ("POST", "/api/types/Volume/instances/action/nothing"),
        ("POST", "/api/instances/System/action/nothing"),
        ("GET", f"/api/instances/System::{SYSTEM_ID}/relationships/Nothing"),
        ("POST", "/rest/auth/login"),
    ],
)
def test_what_is_not_there_is_answered_in_json(rest: httpx.Client, method: str, path: str) -> None:
    answer = rest.request(method, path, json={} if method == "POST" else None)
    assert error_of(answer)[:2] == (404, 0)


@pytest.mark.parametrize("type_name", ["Volume", "Sds", "StoragePool", "Device", "Sdc", "User", "System"])
def test_malformed_and_unknown_ids(rest: httpx.Client, type_name: str) -> None:
    malformed = error_of(rest.get(f"/api/instances/{type_name}::xyz"))
    assert malformed == (400, 0, "id (xyz) must be a hexadecimal number (unsigned long)")
    assert error_of(rest.get(f"/api/instances/{type_name}::{UNKNOWN}"))[0] == 500
    unknown = rest.post(f"/api/instances/{type_name}::{UNKNOWN}/action/nothing", json={})
    assert error_of(unknown)[0] == 500


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "POST"])
def test_methods_that_are_not_spoken_are_refused(rest: httpx.Client, method: str) -> None:
    assert error_of(rest.request(method, "/api/login"))[0] == 405
    assert error_of(rest.request(method, "/api/instances"))[0] == 405


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "json"])
def test_another_content_type_is_refused(rest: httpx.Client, content_type: str) -> None:
    answer = rest.post("/api/types/Volume/instances", content=b"{}", headers={"Content-Type": content_type})
    assert error_of(answer) == (400, 0, "Request header Content-Type should be application/json")


def test_parameters_of_the_content_type_do_not_matter(rest: httpx.Client) -> None:
    headers = {"Content-Type": "Application/JSON;version=3.6", "Accept": "application/json;version=3.6"}
    answer = rest.post("/api/instances/System/action/querySystemLimits", content=b"{}", headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff", b"[" * 50_000, b'{"a":' * 50_000])
def test_bodies_that_are_no_json_object_are_refused(rest: httpx.Client, body: bytes) -> None:
    answer = rest.post("/api/types/Volume/instances", content=body, headers=JSON)
    assert error_of(answer)[:2] == (400, 0)


def test_a_body_that_is_too_long_is_refused(rest: httpx.Client, engine: MemoryEngine) -> None:
    body = json.dumps({"name": "x" * LARGEST_BODY_BYTES}).encode()
    before = engine.document()
    pieces = (body[start : start + 10_000] for start in range(0, len(body), 10_000))
    for content in (body, pieces):
        answer = rest.post("/api/types/ProtectionDomain/instances", content=content, headers=JSON)
        assert error_of(answer)[:2] == (413, 0)
    assert engine.document() == before


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01 not tls after all\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /api/login HTTP/1.1\r\nContent-Length: minus one\r\n\r\n",
        b"\r\n\r\n\x00\x00\x00",
    ],
)
def test_what_is_no_http_is_answered_in_json_and_closed(serving: Serving, garbage: bytes) -> None:
    context = ssl._create_unverified_context()
    with (
        socket.create_connection(("127.0.0.1", serving.port), timeout=10) as raw,
        context.wrap_socket(raw) as connection,
    ):
        connection.sendall(garbage)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert json.loads(body)["httpStatusCode"] == 400


def test_what_is_no_tls_is_closed(serving: Serving, rest: httpx.Client) -> None:
    with socket.create_connection(("127.0.0.1", serving.port), timeout=10) as connection:
        connection.sendall(b"GET /api/version HTTP/1.1\r\n\r\n")
        try:
            answer = connection.recv(65536)
        except ConnectionResetError:
            answer = b""
    assert not answer.startswith(b"HTTP")
    assert rest.get("/api/version").status_code == 200
