"""How servers, devices and storage pools look to PowerFlex clients."""

from __future__ import annotations

from typing import Any

from artesian.embedded.gateway.links import links
from artesian.embedded.gateway.render_system import COMPONENT_VERSION, merged
from artesian.embedded.gateway.view import View
from artesian.embedded.state.model import CHUNK_BYTES, Device, Lifecycle, Server, StoragePool

KIB = 1024

_SERVER_DEFAULTS: dict[str, Any] = {
    "drlMode": "Volatile",
    "configuredDrlMode": "Volatile",
    "rmcacheEnabled": False,
    "rmcacheSizeInKb": 131072,
    "rmcacheFrozen": False,
    "rmcacheMemoryAllocationState": "RmcacheDisabled",
    "onVmWare": False,
    "numOfIoBuffers": None,
    "perfProfile": "HighPerformance",
    "rfcacheEnabled": False,
    "rfcacheErrorLowResources": False,
    "rfcacheErrorApiVersionMismatch": False,
    "rfcacheErrorInconsistentCacheConfiguration": False,
    "rfcacheErrorInconsistentSourceConfiguration": False,
    "rfcacheErrorInvalidDriverPath": False,
    "rfcacheErrorDeviceDoesNotExist": False,
    "authenticationError": "None",
    "fglNumConcurrentWrites": 1000,
    "fglMetadataCacheState": "Disabled",
    "fglMetadataCacheSize": 0,
    "numRestarts": 0,
    "lastUpgradeTime": 0,
    "raidControllers": None,
    "certificateInfo": None,
}

_DEVICE_DEFAULTS: dict[str, Any] = {
    "capacity": 0,
    "deviceType": "Unknown",
    "autoDetectMediaType": "Unknown",
    "externalAccelerationType": "None",
    "spSdsId": None,
    "accelerationPoolId": None,
    "accelerationProps": None,
    "storageProps": None,
    "rfcacheProps": None,
    "rfcacheErrorDeviceDoesNotExist": False,
    "ledSetting": "Off",
    "temperatureState": "NeverFailed",
    "ssdEndOfLifeState": "NeverFailed",
    "persistentChecksumState": "Protected",
    "modelName": None,
    "vendorName": None,
    "serialNumber": None,
    "firmwareVersion": None,
    "raidControllerSerialNumber": None,
    "slotNumber": None,
    "logicalSectorSizeInBytes": 4096,
    "physicalSectorSizeInBytes": 4096,
    "cacheLookAheadActive": False,
    "writeCacheActive": False,
    "ataSecurityActive": False,
    "mediaFailing": False,
    "fglNvdimmMetadataAmortizationX100": 0,
    "fglNvdimmWriteCacheSize": 0,
}

_POOL_DEFAULTS: dict[str, Any] = {
    "zeroPaddingEnabled": True,  # what was never written reads as zeros here, always
    "numOfParallelRebuildRebalanceJobsPerDevice": 2,
    "useRmcache": False,
    "useRfcache": False,
    "rmcacheWriteHandlingMode": "Cached",
    "checksumEnabled": False,
    "backgroundScannerMode": "Disabled",
    "backgroundScannerBWLimitKBps": 0,
    "capacityAlertHighThreshold": 80,
    "capacityAlertCriticalThreshold": 90,
    "dataLayout": "MediumGranularity",
    "compressionMethod": "Invalid",
    "externalAccelerationType": "None",
    "persistentChecksumEnabled": True,  # every 4 KiB block has one, and every read verifies it
    "persistentChecksumState": "Protected",
    "persistentChecksumBuilderLimitKb": 3072,
    "persistentChecksumValidateOnRead": True,
    "fragmentationEnabled": True,
    "addressSpaceUsage": "Normal",
    "addressSpaceUsageType": "DeviceCapacityLimit",
    "capacityUsageState": "Normal",
    "capacityUsageType": "NetCapacity",
    "bgScannerCompareErrorAction": "ReportAndFix",
    "bgScannerReadErrorAction": "ReportAndFix",
    "replicationCapacityMaxRatio": None,
    "fglAccpId": None,
    "fglExtraCapacity": None,
    "fglMaxCompressionRatio": None,
    "fglMetadataSizeXx100": None,
    "fglNvdimmMetadataAmortizationX100": None,
    "fglNvdimmWriteCacheSizeInMb": None,
    "fglOverProvisioningFactor": None,
    "fglPerfProfile": None,
    "fglWriteAtomicitySize": None,
}

_DEVICE_STATES = {
    Lifecycle.ADDING: "InitialTest",
    Lifecycle.NORMAL: "Normal",
    Lifecycle.REMOVING: "RemovePending",
}


def _priority_defaults(prefix: str, policy: str) -> dict[str, Any]:
    """The five settings of one IO priority policy."""
    return {
        f"{prefix}IoPriorityPolicy": policy,
        f"{prefix}IoPriorityNumOfConcurrentIosPerDevice": 1,
        f"{prefix}IoPriorityBwLimitPerDeviceInKbps": 10240,
        f"{prefix}IoPriorityAppIopsPerDeviceThreshold": None,
        f"{prefix}IoPriorityAppBwPerDeviceThresholdInKbps": None,
        f"{prefix}IoPriorityQuietPeriodInMsec": None,
    }


_POOL_DEFAULTS |= _priority_defaults("vtreeMigration", "favorAppIos")
_POOL_DEFAULTS |= _priority_defaults("protectedMaintenanceMode", "limitNumOfConcurrentIos")


def sds(view: View, server: Server) -> dict[str, Any]:
    connected = view.server_connected(server)
    seen = view.live.servers.get(server.id)
    body: dict[str, Any] = {
        "id": server.id,
        "name": server.name,
        "protectionDomainId": server.protection_domain_id,
        "faultSetId": server.fault_set_id,
        "ipList": [{"ip": entry["ip"], "role": entry["role"]} for entry in server.ips],
        "port": server.port,
        "sdsState": "RemovePending" if server.lifecycle is Lifecycle.REMOVING else "Normal",
        "membershipState": "Joined" if connected else "Decoupled",
        "mdmConnectionState": "Connected" if connected else "Disconnected",
        "maintenanceState": "InMaintenance" if server.in_maintenance else "NoMaintenance",
        "maintenanceType": "IMM" if server.in_maintenance else "NoMaintenance",  # instant, not protected
        "softwareVersionInfo": COMPONENT_VERSION,
        "processId": seen.process_id if seen is not None and connected else None,
    }
    body |= merged(_SERVER_DEFAULTS, server.attributes)
    body["links"] = links(
        "Sds",
        server.id,
        ("Statistics", "Device"),
        [
            ("protectionDomainId", "ProtectionDomain", server.protection_domain_id),
            ("faultSetId", "FaultSet", server.fault_set_id),
        ],
    )
    return body


def pool_server(view: View, pool: StoragePool, server: Server) -> dict[str, Any]:
    """A server's share in a pool (SpSds): some clients read `sdsId` of it, others the Sds' own fields."""
    return sds(view, server) | {"sdsId": server.id, "storagePoolId": pool.id}


def device(view: View, one: Device) -> dict[str, Any]:
    pool = view.state.storage_pools.get(one.storage_pool_id)
    seen = view.live.devices.get(one.id)
    failure = one.error or (seen.error if seen is not None and seen.state == "failed" else None)
    maximum_kb = one.slot_count * CHUNK_BYTES // KIB
    limit_kb = one.capacity_limit_bytes // KIB or maximum_kb
    media_type = one.attributes.get("mediaType") or (pool.media_type if pool is not None else "HDD")
    body: dict[str, Any] = {
        "id": one.id,
        "name": one.name,
        "sdsId": one.server_id,
        "storagePoolId": one.storage_pool_id,
        "deviceCurrentPathName": one.path,
        "deviceOriginalPathName": one.attributes.get("deviceOriginalPathName") or one.path,
        "capacityLimitInKb": min(limit_kb, maximum_kb) if maximum_kb else limit_kb,
        "maxCapacityInKb": maximum_kb,
        "deviceState": _DEVICE_STATES[one.lifecycle],
        "errorState": "None" if failure is None else "Error",
        "errorText": failure,
        "aggregatedState": "NeverFailed" if failure is None else "Failed",
        "mediaType": media_type,
        "uuid": one.uuid or None,
    }
    body |= merged(_DEVICE_DEFAULTS, one.attributes)
    body["links"] = links(
        "Device",
        one.id,
        ("Statistics",),
        [("sdsId", "Sds", one.server_id), ("storagePoolId", "StoragePool", one.storage_pool_id)],
    )
    return body


def storage_pool(view: View, pool: StoragePool) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": pool.id,
        "name": pool.name,
        "protectionDomainId": pool.protection_domain_id,
        "mediaType": pool.media_type,
        "sparePercentage": pool.spare_percentage,
        "rebuildEnabled": pool.rebuild_enabled,
        "rebalanceEnabled": pool.rebalance_enabled,
    }
    body |= merged(_POOL_DEFAULTS, pool.attributes)
    body |= _priority_defaults("rebuild", pool.rebuild_policy.value)
    body |= _priority_defaults("rebalance", pool.rebalance_policy.value)
    body["rebuildIoPriorityNumOfConcurrentIosPerDevice"] = pool.rebuild_concurrency
    body["rebuildIoPriorityBwLimitPerDeviceInKbps"] = pool.rebuild_limit_bytes_per_s // KIB
    body["rebalanceIoPriorityNumOfConcurrentIosPerDevice"] = pool.rebalance_concurrency
    body["rebalanceIoPriorityBwLimitPerDeviceInKbps"] = pool.rebalance_limit_bytes_per_s // KIB
    body["links"] = links(
        "StoragePool",
        pool.id,
        ("Statistics", "SpSds", "Volume", "Device", "VTree"),
        [("protectionDomainId", "ProtectionDomain", pool.protection_domain_id)],
    )
    return body
