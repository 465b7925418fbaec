"""How volumes, VTrees and clients look to PowerFlex clients."""

from __future__ import annotations

from typing import Any

from artesian.embedded.gateway.links import links
from artesian.embedded.gateway.render_backend import KIB
from artesian.embedded.gateway.render_system import COMPONENT_VERSION, merged
from artesian.embedded.gateway.view import View
from artesian.embedded.state.model import Client, Mapping, Volume

_VOLUME_DEFAULTS: dict[str, Any] = {
    "useRmcache": False,
    "isObfuscated": False,
    "isVvol": False,
    "dataLayout": "MediumGranularity",
    "compressionMethod": "Invalid",
    "accessModeLimit": "ReadWrite",
    "managedBy": "ScaleIO",
    "lockedAutoSnapshot": False,
    "lockedAutoSnapshotMarkedForRemoval": False,
    "autoSnapshotGroupId": None,
    "secureSnapshotExpTime": 0,
    "originalExpiryTime": 0,
    "retentionLevels": [],
    "snplIdOfSourceVolume": None,
    "snplIdOfAutoSnapshot": None,
    "notGenuineSnapshot": False,
    "timeStampIsAccurate": False,
    "volumeReplicationState": "UnmarkedForReplication",
    "replicationJournalVolume": False,
    "replicationTimeStamp": 0,
    "pairIds": None,
    "volumeClass": "defaultclass",
}

_CLIENT_DEFAULTS: dict[str, Any] = {
    "sdcApproved": True,
    "sdcApprovedIps": None,
    "osType": "Linux",
    "perfProfile": "HighPerformance",
    "kernelVersion": None,
    "kernelBuildNumber": None,
    "memoryAllocationFailure": None,
    "socketAllocationFailure": None,
    "sdcType": "AppSdc",
    "sdrId": None,
    "peerMdmId": None,
}


def volume(view: View, one: Volume) -> dict[str, Any]:
    mappings = [_mapping(view, mapping) for mapping in one.mappings.values()]
    body: dict[str, Any] = {
        "id": one.id,
        "name": one.name,
        "sizeInKb": one.size_bytes // KIB,
        "volumeType": "ThinProvisioned" if one.thin else "ThickProvisioned",
        "storagePoolId": one.storage_pool_id,
        "vtreeId": one.vtree_id,
        "ancestorVolumeId": None,
        "consistencyGroupId": None,
        "creationTime": one.creation_time,
        "mappingToAllSdcsEnabled": False,
        "mappedSdcInfo": mappings or None,
    }
    body |= merged(_VOLUME_DEFAULTS, one.attributes)
    body["links"] = links(
        "Volume",
        one.id,
        ("Statistics",),
        [("vtreeId", "VTree", one.vtree_id), ("storagePoolId", "StoragePool", one.storage_pool_id)],
    )
    return body


def _mapping(view: View, mapping: Mapping) -> dict[str, Any]:
    client = view.state.clients.get(mapping.client_id)
    return {
        "sdcId": mapping.client_id,
        "sdcIp": client.ip if client is not None else None,
        "sdcName": client.name if client is not None else None,
        "limitIops": mapping.limit_iops,
        "limitBwInMbps": mapping.limit_bandwidth_kbps // KIB,
        "accessMode": mapping.access_mode.value,
        "isDirectBufferMapping": False,
        "hostType": "SdcHost",
    }


def vtree(view: View, volumes: list[Volume]) -> dict[str, Any]:
    """A tree of a volume and its snapshots; `volumes[0]` is its root."""
    root = volumes[0]
    return {
        "id": root.vtree_id,
        "name": None,
        "baseVolumeId": root.id,
        "rootVolumes": [root.id],
        "storagePoolId": root.storage_pool_id,
        "dataLayout": "MediumGranularity",
        "compressionMethod": "Invalid",
        "inDeletion": False,
        "vtreeMigrationInfo": {
            "sourceStoragePoolId": None,
            "destinationStoragePoolId": None,
            "migrationStatus": "NotInMigration",
            "migrationPauseReason": None,
            "migrationQueuePosition": 0,
            "thicknessConversionType": "NoConversion",
        },
        "links": links(
            "VTree",
            root.vtree_id,
            ("Statistics", "Volume"),
            [("baseVolumeId", "Volume", root.id), ("storagePoolId", "StoragePool", root.storage_pool_id)],
        ),
    }


def sdc(view: View, client: Client) -> dict[str, Any]:
    connected = view.client_connected(client)
    seen = view.live.clients.get(client.id)
    body: dict[str, Any] = {
        "id": client.id,
        "name": client.name,
        "systemId": view.state.system_id,
        "sdcGuid": client.guid.upper(),
        "sdcIp": client.ip,
        "sdcIps": [client.ip],
        "mdmConnectionState": "Connected" if connected else "Disconnected",
        "versionInfo": COMPONENT_VERSION,
        "softwareVersionInfo": COMPONENT_VERSION,
        "installedSoftwareVersionInfo": COMPONENT_VERSION,
        "hostType": "SdcHost",
        "processId": seen.process_id if seen is not None and connected else None,
    }
    body |= merged(_CLIENT_DEFAULTS, client.attributes)
    body["links"] = links(
        "Sdc", client.id, ("Statistics", "Volume"), [("systemId", "System", view.state.system_id)]
    )
    return body
