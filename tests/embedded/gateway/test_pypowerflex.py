"""Dell's PyPowerFlex, unmodified, manages the engine through the gateway, over TLS."""

from __future__ import annotations

from typing import Any

import PyPowerFlex
import pytest
from PyPowerFlex import constants, exceptions
from PyPowerFlex.objects.gen1.sds import SdsIp

from artesian.embedded.state.model import Lifecycle

from .engine import DEVICE_SLOTS, SYSTEM_ID, MemoryEngine, Topology

Client = PyPowerFlex.PowerFlexClient
UNKNOWN = "00000000deadbeef"


@pytest.fixture(autouse=True)
def need_topology(topology: Topology) -> None:
    """Most calls need something to work on."""


def created_volume(powerflex: Client, topology: Topology, **parameters: Any) -> dict[str, Any]:
    return powerflex.volume.create(topology.pool, 8, **parameters)


# --- system ---


def test_it_recognises_the_dialect(powerflex: Client) -> None:
    assert powerflex.system.api_version() == "3.6"
    assert powerflex.system.component_version().startswith("3.6")
    assert type(powerflex.volume).__module__ == "PyPowerFlex.objects.gen1.volume"


def test_the_system_and_its_managers(powerflex: Client) -> None:
    (system,) = powerflex.system.get()
    assert (system["id"], system["name"]) == (SYSTEM_ID, "mocksystem")
    assert system["restrictedSdcModeEnabled"] is False
    cluster = powerflex.system.get_mdm_cluster_details()
    assert cluster == system["mdmCluster"]
    assert (cluster["clusterMode"], cluster["clusterState"]) == ("ThreeNodes", "ClusteredNormal")
    assert (cluster["goodNodesNum"], cluster["goodReplicasNum"]) == (3, 2)
    assert cluster["master"]["name"] == "mdm2"
    assert [manager["name"] for manager in cluster["slaves"]] == ["mdm1"]
    assert [manager["name"] for manager in cluster["tieBreakers"]] == ["mdm3"]


def test_managers_cannot_be_changed_through_rest(powerflex: Client, engine: MemoryEngine) -> None:
    before = engine.document()
    for change in (
        lambda: powerflex.system.remove_standby_mdm(UNKNOWN),
        lambda: powerflex.system.rename_mdm(UNKNOWN, "x"),
        lambda: powerflex.system.switch_cluster_mode("OneNode"),
        lambda: powerflex.system.add_standby_mdm(["127.0.0.9"], "Manager"),
    ):
        with pytest.raises(exceptions.PowerFlexClientException, match="not supported"):
            change()
    assert engine.document() == before


def test_the_managers_performance_profile_is_kept(powerflex: Client) -> None:
    powerflex.system.set_cluster_mdm_performance_profile("Compact")
    assert powerflex.system.get()[0]["perfProfile"] == "Compact"


def test_snapshots_are_refused_clearly(powerflex: Client, topology: Topology) -> None:
    volume = created_volume(powerflex, topology)
    with pytest.raises(exceptions.PowerFlexClientException, match="snapshotVolumes is not supported"):
        powerflex.system.snapshot_volumes(SYSTEM_ID, [{"volumeId": volume["id"]}])
    assert powerflex.snapshot_policy.get() == []


# --- protection domains and fault sets ---


def test_a_protection_domain_from_creation_to_removal(powerflex: Client) -> None:
    domain = powerflex.protection_domain.create("domain2")
    assert domain["protectionDomainState"] == "Active"
    domain_id = domain["id"]
    powerflex.protection_domain.rename(domain_id, "renamed")
    assert powerflex.protection_domain.inactivate(domain_id)["protectionDomainState"] == "Inactive"
    assert powerflex.protection_domain.activate(domain_id, True)["protectionDomainState"] == "Active"
    assert powerflex.protection_domain.get(filter_fields={"name": "renamed"})[0]["id"] == domain_id
    powerflex.protection_domain.delete(domain_id)
    assert powerflex.protection_domain.get(filter_fields={"id": domain_id}) == []


def test_what_belongs_to_a_protection_domain(powerflex: Client, topology: Topology) -> None:
    servers = powerflex.protection_domain.get_sdss(topology.domain)
    assert [server["id"] for server in servers] == topology.servers
    (pool,) = powerflex.protection_domain.get_storage_pools(topology.domain, fields=("id", "name"))
    assert pool == {"id": topology.pool, "name": "pool1"}


def test_settings_of_a_protection_domain_are_kept(powerflex: Client, topology: Topology) -> None:
    client = powerflex.protection_domain
    limited = client.network_limits(topology.domain, rebuild_limit=10240, overall_limit=0)
    assert limited["rebuildNetworkThrottlingInKbps"] == 10240
    assert limited["rebuildNetworkThrottlingEnabled"] is True
    assert limited["overallIoNetworkThrottlingEnabled"] is False
    assert client.set_rfcache_enabled(topology.domain, True)["rfcacheEnabled"] is True
    assert client.set_rfcache_enabled(topology.domain, False)["rfcacheEnabled"] is False
    cached = client.rfcache_parameters(topology.domain, 32, 64, "ReadAndWrite")
    assert (cached["rfcachePageSizeKb"], cached["rfcacheMaxIoSizeKb"]) == (32, 64)
    assert cached["rfcacheOpertionalMode"] == "ReadAndWrite"


def test_a_protection_domain_in_use_stays(
    powerflex: Client, topology: Topology, engine: MemoryEngine
) -> None:
    before = engine.document()
    with pytest.raises(exceptions.PowerFlexFailDeleting, match="'errorCode': 176"):
        powerflex.protection_domain.delete(topology.domain)
    with pytest.raises(exceptions.PowerFlexFailCreating, match="'errorCode': 141"):
        powerflex.protection_domain.create("domain1")
    assert engine.document() == before


def test_a_fault_set_from_creation_to_removal(powerflex: Client, topology: Topology) -> None:
    fault_set = powerflex.fault_set.create(topology.domain, "rack4")
    assert fault_set["protectionDomainId"] == topology.domain
    powerflex.fault_set.rename(fault_set["id"], "rack5")
    assert powerflex.fault_set.get(fault_set["id"])["name"] == "rack5"
    assert powerflex.fault_set.clear(fault_set["id"])["name"] == "rack5"
    assert powerflex.fault_set.get_sdss(fault_set["id"]) == []
    powerflex.fault_set.delete(fault_set["id"])
    (server,) = powerflex.fault_set.get_sdss(topology.fault_sets[0])
    assert server["faultSetId"] == topology.fault_sets[0]
    with pytest.raises(exceptions.PowerFlexFailDeleting, match="still has SDSs"):
        powerflex.fault_set.delete(topology.fault_sets[0])


# --- storage pools ---


def test_a_storage_pool_from_creation_to_removal(powerflex: Client, topology: Topology) -> None:
    pool = powerflex.storage_pool.create(
        "SSD", topology.domain, name="pool2", spare_percentage=34, use_rmcache=True, zero_padding_enabled=True
    )
    assert (pool["mediaType"], pool["sparePercentage"], pool["useRmcache"]) == ("SSD", 34, True)
    assert pool["rebuildIoPriorityPolicy"] == "limitNumOfConcurrentIos"
    powerflex.storage_pool.rename(pool["id"], "pool3")
    assert powerflex.storage_pool.get(pool["id"])["name"] == "pool3"
    powerflex.storage_pool.delete(pool["id"])
    assert len(powerflex.storage_pool.get()) == 1


def test_what_belongs_to_a_storage_pool(powerflex: Client, topology: Topology) -> None:
    devices = powerflex.storage_pool.get_devices(topology.pool)
    assert [device["id"] for device in devices] == topology.devices
    assert [server["id"] for server in powerflex.storage_pool.get_sdss(topology.pool)] == topology.servers
    volume = created_volume(powerflex, topology)
    assert [one["id"] for one in powerflex.storage_pool.get_volumes(topology.pool)] == [volume["id"]]


def test_settings_of_a_storage_pool(powerflex: Client, topology: Topology, engine: MemoryEngine) -> None:
    client, pool = powerflex.storage_pool, topology.pool
    assert client.set_spare_percentage(pool, 20)["sparePercentage"] == 20
    assert client.set_rebuild_enabled(pool, False)["rebuildEnabled"] is False
    assert client.set_rebalance_enabled(pool, False)["rebalanceEnabled"] is False
    assert client.set_media_type(pool, "SSD")["mediaType"] == "SSD"
    policy = client.rebalance_io_priority_policy(pool, "favorAppIos", "4", "20480")
    assert policy["rebalanceIoPriorityPolicy"] == "favorAppIos"
    assert policy["rebalanceIoPriorityNumOfConcurrentIosPerDevice"] == 4
    assert policy["rebalanceIoPriorityBwLimitPerDeviceInKbps"] == 20480
    stored = engine.state.storage_pools[pool]
    assert (stored.rebuild_enabled, stored.rebalance_limit_bytes_per_s) == (False, 20480 * 1024)


def test_settings_of_a_storage_pool_that_are_only_kept(powerflex: Client, topology: Topology) -> None:
    client, pool = powerflex.storage_pool, topology.pool
    assert client.set_checksum_enabled(pool, True)["checksumEnabled"] is True
    assert client.set_compression_method(pool, "None")["compressionMethod"] == "None"
    assert client.set_external_acceleration_type(pool, "Read")["externalAccelerationType"] == "Read"
    assert client.set_use_rfcache(pool, True)["useRfcache"] is True
    assert client.set_use_rmcache(pool, True)["useRmcache"] is True
    assert client.set_zero_padding_policy(pool, True)["zeroPaddingEnabled"] is True
    assert client.set_rep_cap_max_ratio(pool, 10)["replicationCapacityMaxRatio"] == 10
    alert = client.set_cap_alert_thresholds(pool, "70", "85")
    assert (alert["capacityAlertHighThreshold"], alert["capacityAlertCriticalThreshold"]) == (70, 85)
    migration = client.set_vtree_migration_io_priority_policy(pool, "favorAppIos", "1", "1024")
    assert migration["vtreeMigrationIoPriorityBwLimitPerDeviceInKbps"] == 1024
    maintenance = client.set_protected_maintenance_mode_io_priority_policy(pool, "unlimited", "1", "0")
    assert maintenance["protectedMaintenanceModeIoPriorityPolicy"] == "unlimited"
    assert client.set_rmcache_write_handling_mode(pool, "Passthrough")["rmcacheWriteHandlingMode"] == (
        "Passthrough"
    )
    parallel = client.set_rebuild_rebalance_parallelism_limit(pool, "3")
    assert parallel["numOfParallelRebuildRebalanceJobsPerDevice"] == 3
    assert client.set_persistent_checksum(pool, True, True, 4096)["persistentChecksumBuilderLimitKb"] == 4096
    assert client.modify_persistent_checksum(pool, False, 3072)["persistentChecksumValidateOnRead"] is False
    assert client.set_fragmentation_enabled(pool, False)["fragmentationEnabled"] is False


def test_what_a_storage_pool_cannot_do_is_refused(
    powerflex: Client, topology: Topology, engine: MemoryEngine
) -> None:
    before = engine.document()
    with pytest.raises(exceptions.PowerFlexClientException, match="not supported"):
        powerflex.storage_pool.set_compression_method(topology.pool, "Normal")
    with pytest.raises(exceptions.PowerFlexClientException, match="not supported"):
        powerflex.storage_pool.set_persistent_checksum(topology.pool, False, None, None)
    with pytest.raises(exceptions.PowerFlexClientException, match="should be between 0 and 99"):
        powerflex.storage_pool.set_spare_percentage(topology.pool, 100)
    with pytest.raises(exceptions.PowerFlexFailCreating, match="not supported"):
        powerflex.storage_pool.create(
            "SSD", topology.domain, name="fine", data_layout="FineGranularity", fgl_accp_id=UNKNOWN
        )
    with pytest.raises(exceptions.PowerFlexFailDeleting, match="'errorCode': 172"):
        powerflex.storage_pool.delete(topology.pool)
    assert engine.document() == before


# --- servers ---


def test_a_server_from_creation_to_removal(powerflex: Client, topology: Topology) -> None:
    server = powerflex.sds.create(
        topology.domain, [SdsIp("127.0.1.4", "all")], name="node4", fault_set_id=topology.fault_sets[0],
        rmcache_enabled=True, rmcache_size_in_kb=65536, drl_mode="NonVolatile",
    )  # fmt: skip
    assert (server["name"], server["port"], server["rmcacheSizeInKb"]) == ("node4", 7072, 65536)
    assert server["mdmConnectionState"] == "Disconnected"
    powerflex.sds.rename(server["id"], "node5")
    assert powerflex.sds.get(server["id"])["name"] == "node5"
    powerflex.sds.delete(server["id"])
    assert len(powerflex.sds.get()) == 3


def test_a_servers_addresses(powerflex: Client, topology: Topology) -> None:
    server_id = topology.servers[0]
    added = powerflex.sds.add_ip(server_id, SdsIp("127.0.2.1", "sdsOnly"))
    assert added["ipList"] == [
        {"ip": "127.0.1.1", "role": "all"},
        {"ip": "127.0.2.1", "role": "sdsOnly"},
    ]
    assert powerflex.sds.set_ip_role(server_id, "127.0.2.1", "all")["ipList"][1]["role"] == "all"
    assert powerflex.sds.remove_ip(server_id, "127.0.1.1")["ipList"] == [{"ip": "127.0.2.1", "role": "all"}]
    assert powerflex.sds.set_port(server_id, "7073")["port"] == 7073
    with pytest.raises(exceptions.PowerFlexClientException, match="'errorCode': 187"):
        powerflex.sds.remove_ip(server_id, "127.0.2.1")
    with pytest.raises(exceptions.PowerFlexFailCreating, match="'errorCode': 93"):
        powerflex.sds.create(topology.domain, [SdsIp("127.0.1.2", "all")])


def test_settings_of_a_server_are_kept(powerflex: Client, topology: Topology) -> None:
    server_id = topology.servers[0]
    assert powerflex.sds.set_rfcache_enabled(server_id, True)["rfcacheEnabled"] is True
    assert powerflex.sds.set_rmcache_enabled(server_id, True)["rmcacheEnabled"] is True
    assert powerflex.sds.set_rmcache_size(server_id, 256)["rmcacheSizeInKb"] == 256 * 1024
    assert powerflex.sds.set_performance_parameters(server_id, "Compact")["perfProfile"] == "Compact"


def test_removing_a_server_shows_as_pending_until_its_data_is_elsewhere(
    powerflex: Client, topology: Topology
) -> None:
    powerflex.sds.delete(topology.servers[0])
    assert powerflex.sds.get(topology.servers[0])["sdsState"] == "RemovePending"
    devices = powerflex.sds.get_devices(topology.servers[0])
    assert [device["deviceState"] for device in devices] == ["RemovePending"] * 2
    with pytest.raises(exceptions.PowerFlexFailDeleting, match="'errorCode': 103"):
        powerflex.sds.delete(topology.servers[0])


# --- devices ---


def test_a_device_from_creation_to_removal(powerflex: Client, topology: Topology) -> None:
    device = powerflex.device.create(
        "/disks/new", topology.servers[0], storage_pool_id=topology.pool, name="disk7", media_type="SSD"
    )
    assert (device["deviceState"], device["errorState"]) == ("Normal", "None")
    assert (device["name"], device["mediaType"]) == ("disk7", "SSD")
    assert device["deviceCurrentPathName"] == device["deviceOriginalPathName"] == "/disks/new"
    assert device["maxCapacityInKb"] == device["capacityLimitInKb"] == DEVICE_SLOTS * 1024
    powerflex.device.rename(device["id"], "disk8")
    assert powerflex.device.set_media_type(device["id"], "HDD")["mediaType"] == "HDD"
    assert powerflex.device.get(device["id"])["name"] == "disk8"
    powerflex.device.delete(device["id"])
    assert powerflex.device.get(device["id"])["deviceState"] == "RemovePending"
    with pytest.raises(exceptions.PowerFlexFailDeleting, match="'errorCode': 135"):
        powerflex.device.delete(device["id"])


def test_a_device_that_its_server_refuses_is_not_added(
    powerflex: Client, topology: Topology, engine: MemoryEngine
) -> None:
    engine.refused_paths["/disks/foreign"] = "it carries an ext4 file system"
    with pytest.raises(exceptions.PowerFlexFailCreating, match=r"ext4 file system.*'errorCode': 71"):
        powerflex.device.create("/disks/foreign", topology.servers[0], storage_pool_id=topology.pool)
    assert len(powerflex.device.get()) == len(topology.devices)


def test_a_device_of_a_server_that_does_not_answer_is_not_added(
    powerflex: Client, topology: Topology, engine: MemoryEngine
) -> None:
    engine.connect_server(topology.servers[0], connected=False)
    with pytest.raises(exceptions.PowerFlexFailCreating, match=r"not connected.*'errorCode': 69"):
        powerflex.device.create("/disks/new", topology.servers[0], storage_pool_id=topology.pool)
    assert len(powerflex.device.get()) == len(topology.devices)


def test_a_failed_device_shows_its_error(powerflex: Client, topology: Topology, engine: MemoryEngine) -> None:
    engine.apply("device_failed", device_id=topology.devices[0], error="Input/output error")
    device = powerflex.device.get(topology.devices[0])
    assert (device["errorState"], device["errorText"]) == ("Error", "Input/output error")
    assert device["aggregatedState"] != "NeverFailed"


# --- volumes ---


def test_a_volume_from_creation_to_removal(powerflex: Client, topology: Topology) -> None:
    volume = created_volume(powerflex, topology, name="vol1", use_rmcache=True)
    assert (volume["name"], volume["sizeInKb"]) == ("vol1", 8 << 20)
    assert volume["volumeType"] == "ThinProvisioned"
    assert (volume["useRmcache"], volume["volumeClass"]) == (True, "defaultclass")
    assert volume["mappedSdcInfo"] is None
    volume_id = volume["id"]
    powerflex.volume.rename(volume_id, "vol/2+=")
    assert powerflex.volume.extend(volume_id, 9)["sizeInKb"] == 9 << 20
    assert powerflex.volume.set_use_rmcache(volume_id, False)["useRmcache"] is False
    assert powerflex.volume.set_compression_method(volume_id, "None")["compressionMethod"] == "None"
    assert powerflex.volume.get(filter_fields={"name": "vol/2+="})[0]["id"] == volume_id
    powerflex.volume.delete(volume_id, "ONLY_ME")
    assert powerflex.volume.get() == []


def test_a_volume_of_one_gigabyte(powerflex: Client, topology: Topology) -> None:
    assert powerflex.volume.create(topology.pool, 1)["sizeInKb"] == 1 << 20


def test_a_thick_volume_is_there_when_its_space_is(
    powerflex: Client, topology: Topology, engine: MemoryEngine
) -> None:
    volume = created_volume(powerflex, topology, volume_type="ThickProvisioned")
    assert volume["volumeType"] == "ThickProvisioned"
    assert engine.state.volumes[volume["id"]].lifecycle is Lifecycle.NORMAL
    assert powerflex.volume.extend(volume["id"], 9)["sizeInKb"] == 9 << 20


def test_a_thick_volume_without_room_is_refused(powerflex: Client, topology: Topology) -> None:
    with pytest.raises(exceptions.PowerFlexFailCreating, match="'errorCode': 67"):
        powerflex.volume.create(topology.pool, 1000, volume_type="ThickProvisioned")
    assert powerflex.volume.get() == []


def test_a_thick_volume_that_cannot_be_allocated_is_not_created(
    powerflex: Client, topology: Topology, engine: MemoryEngine
) -> None:
    engine.servers_work = False
    with pytest.raises(exceptions.PowerFlexFailCreating, match="'errorCode': 166"):
        created_volume(powerflex, topology, volume_type="ThickProvisioned")
    assert powerflex.volume.get() == []


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"name": "taken"}, "Volume name already in use. Please use a different name.*'errorCode': 99"),
        ({"name": "x" * 32}, "too long"),
        ({"name": " "}, "not valid"),
        ({"compression_method": "Normal"}, "not supported"),
        ({"volume_type": "Fat"}, "volumeType should get one of the following values"),
    ],
)
def test_a_volume_that_cannot_be_is_refused(
    powerflex: Client, topology: Topology, engine: MemoryEngine, parameters: dict[str, Any], expected: str
) -> None:
    created_volume(powerflex, topology, name="taken")
    before = engine.document()
    with pytest.raises(exceptions.PowerFlexFailCreating, match=expected):
        created_volume(powerflex, topology, **parameters)
    assert engine.document() == before


@pytest.mark.parametrize("size_gb", [0, -1, 1048577, "x", 1.5])
def test_a_size_off_the_grid_is_refused(
    powerflex: Client, topology: Topology, engine: MemoryEngine, size_gb: Any
) -> None:
    before = engine.document()
    with pytest.raises(exceptions.PowerFlexFailCreating, match="volumeSizeInGb"):
        powerflex.volume.create(topology.pool, size_gb)
    assert engine.document() == before


def test_a_volume_does_not_shrink(powerflex: Client, topology: Topology) -> None:
    volume = created_volume(powerflex, topology)
    with pytest.raises(exceptions.PowerFlexClientException, match="'errorCode': 133"):
        powerflex.volume.extend(volume["id"], 7)


# --- mappings ---


def test_a_volume_is_mapped_limited_and_unmapped(powerflex: Client, topology: Topology) -> None:
    volume_id = created_volume(powerflex, topology)["id"]
    client_id = topology.clients[0]
    mapped = powerflex.volume.add_mapped_sdc(volume_id, sdc_id=client_id)
    assert mapped["mappedSdcInfo"] == [
        {
            "sdcId": client_id, "sdcIp": "127.0.1.1", "sdcName": "h1", "limitIops": 0, "limitBwInMbps": 0,
            "accessMode": "ReadWrite", "isDirectBufferMapping": False, "hostType": "SdcHost",
        }
    ]  # fmt: skip
    limited = powerflex.volume.set_mapped_sdc_limits(volume_id, client_id, 10240, 11)["mappedSdcInfo"][0]
    assert (limited["limitIops"], limited["limitBwInMbps"]) == (11, 10)
    assert powerflex.sdc.get_mapped_volumes(client_id)[0]["id"] == volume_id
    with pytest.raises(exceptions.PowerFlexFailDeleting, match="'errorCode': 104"):
        powerflex.volume.delete(volume_id, "ONLY_ME")
    with pytest.raises(exceptions.PowerFlexFailDeleting, match="disconnected"):
        powerflex.sdc.delete(client_id)
    unmapped = powerflex.volume.remove_mapped_sdc(volume_id, sdc_id=client_id)
    assert unmapped["mappedSdcInfo"] is None


def test_a_client_is_found_by_its_guid_in_any_case(
    powerflex: Client, topology: Topology, engine: MemoryEngine
) -> None:
    volume_id = created_volume(powerflex, topology)["id"]
    guid = engine.state.clients[topology.clients[1]].guid.lower()
    powerflex.volume.add_mapped_sdc(volume_id, sdc_guid=guid)
    assert list(engine.state.volumes[volume_id].mappings) == [topology.clients[1]]
    powerflex.volume.remove_mapped_sdc(volume_id, sdc_guid=guid)
    assert not engine.state.volumes[volume_id].mappings


def test_only_one_client_writes_and_more_may_read(powerflex: Client, topology: Topology) -> None:
    volume_id = created_volume(powerflex, topology)["id"]
    first, second = topology.clients
    powerflex.volume.add_mapped_sdc(volume_id, sdc_id=first)
    with pytest.raises(exceptions.PowerFlexClientException, match="'errorCode': 81"):
        powerflex.volume.add_mapped_sdc(volume_id, sdc_id=first)
    for multiple in (False, True):
        with pytest.raises(exceptions.PowerFlexClientException, match=r"Only a single SDC.*'errorCode': 306"):
            powerflex.volume.add_mapped_sdc(volume_id, sdc_id=second, allow_multiple_mappings=multiple)
    both = powerflex.volume.add_mapped_sdc(
        volume_id, sdc_id=second, allow_multiple_mappings=True, access_mode="ReadOnly"
    )
    assert [mapping["accessMode"] for mapping in both["mappedSdcInfo"]] == ["ReadWrite", "ReadOnly"]
    handed_over = powerflex.volume.set_access_mode_for_sdc(volume_id, first, "ReadOnly")
    assert handed_over["mappedSdcInfo"][0]["accessMode"] == "ReadOnly"
    powerflex.volume.remove_mapped_sdc(volume_id, all_sdcs=True)
    with pytest.raises(exceptions.PowerFlexClientException, match="'errorCode': 84"):
        powerflex.volume.remove_mapped_sdc(volume_id, sdc_id=first)


def test_a_volume_limited_to_reading_is_mapped_so(powerflex: Client, topology: Topology) -> None:
    volume_id = created_volume(powerflex, topology)["id"]
    limited = powerflex.volume.set_volume_access_mode_limit(volume_id, "ReadOnly")
    assert limited["accessModeLimit"] == "ReadOnly"
    with pytest.raises(exceptions.PowerFlexClientException, match="access mode limit"):
        powerflex.volume.add_mapped_sdc(volume_id, sdc_id=topology.clients[0], access_mode="ReadWrite")
    mapped = powerflex.volume.add_mapped_sdc(volume_id, sdc_id=topology.clients[0])
    assert mapped["mappedSdcInfo"][0]["accessMode"] == "ReadOnly"
    with pytest.raises(exceptions.PowerFlexClientException, match="access mode limit"):
        powerflex.volume.set_access_mode_for_sdc(volume_id, topology.clients[0], "ReadWrite")
    powerflex.volume.set_volume_access_mode_limit(volume_id, "ReadWrite")
    powerflex.volume.set_access_mode_for_sdc(volume_id, topology.clients[0], "ReadWrite")
    with pytest.raises(exceptions.PowerFlexClientException, match="above this limit"):
        powerflex.volume.set_volume_access_mode_limit(volume_id, "ReadOnly")


# --- clients ---


def test_clients_are_listed_renamed_and_removed(
    powerflex: Client, topology: Topology, engine: MemoryEngine
) -> None:
    client_id = topology.clients[0]
    powerflex.sdc.rename(client_id, "renamed")
    powerflex.sdc.set_performance_profile(client_id, "Compact")
    client = powerflex.sdc.get(client_id)
    assert (client["name"], client["perfProfile"]) == ("renamed", "Compact")
    assert (client["mdmConnectionState"], client["hostType"]) == ("Connected", "SdcHost")
    assert client["sdcGuid"] == "F8ECB844-23B8-4629-92BB-B6E49A1744CB"
    engine.client_reports(client_id, {}, connected=False)
    assert powerflex.sdc.get(client_id)["mdmConnectionState"] == "Disconnected"
    powerflex.sdc.delete(client_id)
    assert [one["id"] for one in powerflex.sdc.get()] == [topology.clients[1]]


# --- statistics ---


def test_the_statistics_of_all_pools_under_every_name_that_it_asks_for(
    powerflex: Client, topology: Topology, engine: MemoryEngine
) -> None:
    volume = created_volume(powerflex, topology)
    number = str(engine.state.volumes[volume["id"]].number)
    for device_id in topology.devices:
        engine.report(device_id, slot_count=DEVICE_SLOTS, used_slots=100, volume_slots={number: 100})
    statistics = powerflex.utility.get_statistics_for_all_storagepools()[topology.pool]
    names = constants.StoragePoolConstants
    asked = {
        *names.DEFAULT_STATISTICS_PROPERTIES,
        *names.DEFAULT_STATISTICS_PROPERTIES_ABOVE_3_5,
    }
    assert set(statistics) == asked
    slots = DEVICE_SLOTS * len(topology.devices)
    assert statistics["maxCapacityInKb"] == slots * 1024
    assert statistics["capacityInUseInKb"] == 600 * 1024
    assert statistics["unusedCapacityInKb"] == (
        statistics["capacityLimitInKb"] - statistics["spareCapacityInKb"] - statistics["capacityInUseInKb"]
    )
    assert statistics["netCapacityInUseInKb"] == 300 * 1024
    assert statistics["thinCapacityAllocatedInKm"] == statistics["thinCapacityAllocatedInKb"] == 16 << 20
    assert statistics["volumeIds"] == [volume["id"]]
    for name in asked:
        if name.endswith("Bwc"):
            assert set(statistics[name]) == {"numSeconds", "totalWeightInKb", "numOccured"}


def test_the_statistics_of_all_volumes(powerflex: Client, topology: Topology) -> None:
    volume = created_volume(powerflex, topology)
    powerflex.volume.add_mapped_sdc(volume["id"], sdc_id=topology.clients[0])
    statistics = powerflex.utility.get_statistics_for_all_volumes()
    assert set(statistics) == {volume["id"]}
    assert set(statistics[volume["id"]]) == set(constants.VolumeConstants.DEFAULT_STATISTICS_PROPERTIES)
    assert statistics[volume["id"]]["mappedSdcIds"] == [topology.clients[0]]
    assert powerflex.utility.get_statistics_for_all_snapshot_policies() == {}


def test_selected_statistics_of_every_type(powerflex: Client, topology: Topology) -> None:
    volume = created_volume(powerflex, topology)
    assert powerflex.system.query_selected_statistics(["numOfSds", "numOfVolumes"]) == {
        "numOfSds": 3,
        "numOfVolumes": 1,
    }
    for client, ids in (
        (powerflex.protection_domain, [topology.domain]),
        (powerflex.fault_set, topology.fault_sets),
        (powerflex.storage_pool, [topology.pool]),
        (powerflex.sds, topology.servers),
        (powerflex.device, topology.devices),
    ):
        everything = client.query_selected_statistics(["capacityLimitInKb", "numOfDevices"])
        assert set(everything) == set(ids)
        total = sum(one["capacityLimitInKb"] for one in everything.values())
        assert total == len(topology.devices) * DEVICE_SLOTS * 1024
        assert set(client.query_selected_statistics(["capacityLimitInKb"], [ids[0]])) == {ids[0]}
    assert set(powerflex.volume.query_selected_statistics(["numOfMappedSdcs"])) == {volume["id"]}
    assert set(powerflex.sdc.query_selected_statistics(["volumeIds"])) == set(topology.clients)


def test_statistics_of_single_objects(powerflex: Client, topology: Topology) -> None:
    volume = created_volume(powerflex, topology)
    pool = powerflex.storage_pool.get_related(topology.pool, "Statistics")
    assert pool["numOfDevices"] == len(topology.devices)
    assert pool["fwdRebuildCapacityInKb"] == 0
    assert powerflex.volume.get_related(volume["id"], "Statistics")["numOfMappedSdcs"] == 0


# --- what is not there ---


def test_unknown_ids_are_answered_with_the_types_own_code(powerflex: Client) -> None:
    for client, code in (
        (powerflex.protection_domain, 142),
        (powerflex.storage_pool, 171),
        (powerflex.sds, 78),
        (powerflex.device, 126),
        (powerflex.volume, 79),
        (powerflex.sdc, 80),
    ):
        with pytest.raises(exceptions.PowerFlexFailQuerying, match=f"'errorCode': {code}"):
            client.get(UNKNOWN)


def test_types_that_this_engine_has_none_of_are_empty_lists(powerflex: Client) -> None:
    for client in (
        powerflex.acceleration_pool,
        powerflex.replication_consistency_group,
        powerflex.replication_pair,
        powerflex.sdt,
        powerflex.snapshot_policy,
    ):
        assert client.get() == []
    with pytest.raises(exceptions.PowerFlexFailCreating, match="not supported"):
        powerflex.acceleration_pool.create("HDD", UNKNOWN)


def test_a_wrong_password_is_refused(powerflex: Client) -> None:
    powerflex.configuration.password = "wrong"
    with pytest.raises(Exception, match="Login failed"):
        powerflex.volume.get()
