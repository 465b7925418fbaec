"""Whatever is asked, there is an answer in PowerFlex' form, and a refusal changes nothing."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from artesian.embedded.gateway import dispatch
from artesian.embedded.gateway.application import Gateway
from artesian.embedded.gateway.context import Timing

from .calls import Answer, call, logged_in
from .engine import SYSTEM_ID, MemoryEngine, Topology

TYPES = sorted(dispatch._ACTIONS)
ACTIONS = sorted({name for actions in dispatch._ACTIONS.values() for name in actions})
CLASS_ACTIONS = ["queryIdByKey", "queryBySelectedIds", "querySelectedStatistics", "queryAllApprovedSdc"]
RELATIONSHIPS = ["Statistics", "Volume", "Device", "Sds", "SpSds", "VTree", "User", "Sdc", "FaultSet"]
ALLOWED_STATUS = {200, 400, 403, 404, 405, 413, 500}


class Swapped:
    """A link whose engine is replaced for every example."""

    engine: MemoryEngine

    async def request(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return await self.engine.request(*args, **kwargs)


class Fuzzed:
    """One gateway for all examples, as logging in costs more than an example."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.link = Swapped()
        self.gateway = Gateway(self.link, Timing(device_s=0.01, volume_s=0.01, poll_s=0.001))
        self.renew()
        self.authorization = self.run(logged_in(self.gateway))

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(work, 10))

    def renew(self) -> Topology:
        self.link.engine = MemoryEngine()
        topology = Topology(self.link.engine)
        self.link.engine.apply("add_volume", storage_pool_id=topology.pool, size_bytes=1 << 30, name="vol1")
        return topology

    def ask(self, method: str, path: bytes | str, body: bytes = b"") -> Answer:
        answer: Answer = self.run(call(self.gateway, method, path, body, authorization=self.authorization))
        return answer

    def contents(self) -> dict[str, Any]:
        """The state but for its counters, which an undone creation moves on."""
        document = self.link.engine.document()
        del document["version"], document["next_number"]
        for pool in document["storage_pools"].values():
            del pool["slices"]
        return document


@pytest.fixture(scope="module")
def fuzzed() -> Any:
    fuzzed = Fuzzed()
    yield fuzzed
    fuzzed.loop.close()


def check(answer: Answer) -> None:
    assert answer.content_type == "application/json"
    assert answer.status in ALLOWED_STATUS
    body = answer.body
    if answer.status != 200:
        assert set(body) == {"message", "httpStatusCode", "errorCode"}
        assert body["message"]
        assert body["httpStatusCode"] == answer.status
        assert (body["errorCode"] > 1) == (answer.status in (403, 500)), body


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 70), 1 << 70),
    st.floats(),
    st.text(max_size=40),
    st.sampled_from(["true", "FALSE", "0", "1", "8", "10240", "ReadOnly", "HDD", "/disks/z", "127.0.0.9"]),
)
PARAMETERS = [
    "name", "newName", "sdsName", "sdcName", "storagePoolId", "protectionDomainId", "sdsId", "sdcId", "guid",
    "allSdcs", "ids", "allIds", "properties", "volumeSizeInKb", "volumeSizeInGb", "sizeInGB", "sizeInGb",
    "volumeType", "removeMode", "accessMode", "accessModeLimit", "allowMultipleMappings", "iopsLimit",
    "bandwidthLimitInKbps", "sdsIpList", "deviceInfoList", "ip", "role", "sdsPort", "deviceCurrentPathname",
    "mediaType", "sparePercentage", "policy", "limit", "perfProfile", "userRole", "password", "newPassword",
    "selectedStatisticsList", "capacityLimitInGB", "faultSetId", "force", "rmcacheSizeInMB",
]  # fmt: skip


def values_for(topology: Topology) -> st.SearchStrategy[Any]:
    """Values of parameters: nonsense, and things that exist."""
    real = st.sampled_from(
        [
            SYSTEM_ID,
            topology.domain,
            topology.pool,
            *topology.fault_sets,
            *topology.servers,
            *topology.devices,
            *topology.clients,
            "vol1",
            "pool1",
        ]
    )
    flat = st.one_of(scalars, real)
    nested = st.one_of(
        st.lists(flat, max_size=3),
        st.dictionaries(
            st.sampled_from(["ip", "role", "SdsIp", "type", "properties", "ids"]), flat, max_size=3
        ),
    )
    return st.one_of(flat, nested, st.lists(nested, max_size=2))


def requests_for(topology: Topology, volume_id: str) -> st.SearchStrategy[tuple[str, str, bytes]]:
    """Requests that are nearly right."""
    ids = st.one_of(
        st.sampled_from(
            [
                SYSTEM_ID,
                topology.domain,
                topology.pool,
                topology.fault_sets[0],
                topology.servers[0],
                topology.devices[0],
                topology.clients[0],
                volume_id,
                "0",
                "xyz",
            ]
        ),
        st.text(max_size=5).map(lambda text: quote(text, safe="")),
    )
    types = st.sampled_from([*TYPES, "SnapshotPolicy", "Domain", "Pool", "Client", "Nothing"])
    paths = st.one_of(
        st.builds("/api/types/{}/instances".format, types),
        st.builds("/api/types/{}/instances/action/{}".format, types, st.sampled_from(CLASS_ACTIONS)),
        st.builds("/api/instances/{}::{}".format, types, ids),
        st.builds(
            "/api/instances/{}::{}/relationships/{}".format, types, ids, st.sampled_from(RELATIONSHIPS)
        ),
        st.builds("/api/instances/{}::{}/action/{}".format, types, ids, st.sampled_from(ACTIONS)),
        st.builds("/api/types/{}/instances/getByName::{}".format, types, ids),
        st.just("/api/instances/querySelectedStatistics"),
    )
    bodies = st.one_of(
        st.dictionaries(st.sampled_from(PARAMETERS), values_for(topology), max_size=6).map(
            lambda body: json.dumps(body).encode()
        ),
        st.binary(max_size=20),
    )
    return st.tuples(st.sampled_from(["GET", "POST", "POST", "POST"]), paths, bodies)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_requests_that_are_nearly_right(fuzzed: Fuzzed, data: st.DataObject) -> None:
    topology = fuzzed.renew()
    (volume_id,) = fuzzed.link.engine.state.volumes
    requests = requests_for(topology, volume_id)
    for method, path, body in data.draw(st.lists(requests, min_size=1, max_size=6)):
        before = fuzzed.contents()
        answer = fuzzed.ask(method, path, body)
        check(answer)
        if answer.status != 200:
            assert fuzzed.contents() == before


@pytest.mark.parametrize("type_name", TYPES)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_action_and_creation_with_any_value_of_what_it_needs(
    fuzzed: Fuzzed, type_name: str, data: st.DataObject
) -> None:
    topology = fuzzed.renew()
    path = data.draw(st.sampled_from(paths_of_changes(fuzzed.link.engine, topology, type_name)))
    values = values_for(topology)
    parameters = data.draw(st.dictionaries(st.sampled_from(PARAMETERS), values, max_size=3))
    for _ in range(8):
        before = fuzzed.contents()
        answer = fuzzed.ask("POST", path, json.dumps(parameters).encode())
        check(answer)
        if answer.status == 200:
            return
        assert fuzzed.contents() == before
        missing = MISSING.search(answer.body["message"])
        if missing is None:
            return
        name = data.draw(st.sampled_from(missing[1].split(", ")))
        parameters[name] = data.draw(values)


MISSING = re.compile(r"must be part of the request body: (.*)\.$")


def paths_of_changes(engine: MemoryEngine, topology: Topology, type_name: str) -> list[str]:
    """All that can be done to one object of a type, and its creation."""
    (volume,) = engine.state.volumes.values()
    object_id = {
        "System": SYSTEM_ID,
        "ProtectionDomain": topology.domain,
        "FaultSet": topology.fault_sets[0],
        "StoragePool": topology.pool,
        "Sds": topology.servers[0],
        "Device": topology.devices[0],
        "Volume": volume.id,
        "VTree": volume.vtree_id,
        "Sdc": topology.clients[0],
        "User": engine.apply("add_user", name="ann", role="Monitor", password_hash="")["id"],
    }[type_name]
    actions = [
        f"/api/instances/{type_name}::{object_id}/action/{name}" for name in dispatch._ACTIONS[type_name]
    ]
    classes = [f"/api/types/{type_name}/instances/action/{name}" for name in CLASS_ACTIONS]
    return [*actions, *classes, f"/api/types/{type_name}/instances"]


@settings(max_examples=200, deadline=None)
@given(
    path=st.binary(max_size=60), body=st.binary(max_size=60), method=st.sampled_from(["GET", "POST", "PUT"])
)
def test_any_bytes_as_path_and_body(fuzzed: Fuzzed, path: bytes, body: bytes, method: str) -> None:
    for prefix in (
        b"/",
        b"/api/",
        b"/api/types/",
        b"/api/types/Volume/instances/",
        b"/api/instances/Volume::",
    ):
        check(fuzzed.ask(method, prefix + path, body))
