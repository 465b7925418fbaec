"""How System, its managers, protection domains, fault sets and users look to PowerFlex clients."""

from __future__ import annotations

from typing import Any

from artesian.embedded.gateway.links import links
from artesian.embedded.gateway.view import View
from artesian.embedded.state.model import FaultSet, Manager, ProtectionDomain, User

API_VERSION = "3.6"
COMPONENT_VERSION = "R3_6.0.0"  # clients parse it; R3_6 is the dialect that we speak
MODES = {1: "OneNode", 3: "ThreeNodes", 5: "FiveNodes"}

_SYSTEM_DEFAULTS: dict[str, Any] = {
    "systemVersionName": f"Artesian Version: {COMPONENT_VERSION}",
    "swid": "",
    "daysInstalled": 0,
    "maxCapacityInGb": "Unlimited",
    "capacityTimeLeftInDays": "Unlimited",
    "enterpriseFeaturesEnabled": True,
    "isInitialLicense": False,
    "capacityAlertHighThresholdPercent": 80,
    "capacityAlertCriticalThresholdPercent": 90,
    "remoteReadOnlyLimitState": False,
    "defaultIsVolumeObfuscated": False,
    "restrictedSdcModeEnabled": False,
    "restrictedSdcMode": "None",
    "mdmManagementPort": 6611,
    "mdmExternalPort": 7611,
    "authenticationMethod": "Native",
    "cliPasswordAllowed": True,
    "managementClientSecureCommunicationEnabled": True,
    "tlsVersion": "TLSv1.2",
    "showGuid": True,
    "mdmToSdsPolicy": "Authentication",
    "perfProfile": "HighPerformance",
    "upgradeState": "NoUpgrade",
    "addressSpaceUsage": "Normal",
    "defragmentationEnabled": True,
    "lastUpgradeTime": 0,
    "mdmSecurityPolicy": "Authentication",
}

_DOMAIN_DEFAULTS: dict[str, Any] = {
    "rebuildNetworkThrottlingEnabled": False,
    "rebuildNetworkThrottlingInKbps": None,
    "rebalanceNetworkThrottlingEnabled": False,
    "rebalanceNetworkThrottlingInKbps": None,
    "overallIoNetworkThrottlingEnabled": False,
    "overallIoNetworkThrottlingInKbps": None,
    "vtreeMigrationNetworkThrottlingEnabled": False,
    "vtreeMigrationNetworkThrottlingInKbps": None,
    "protectedMaintenanceModeNetworkThrottlingEnabled": False,
    "protectedMaintenanceModeNetworkThrottlingInKbps": None,
    "rfcacheEnabled": False,
    "rfcacheOpertionalMode": "WriteMiss",  # spelt so by PowerFlex
    "rfcachePageSizeKb": 64,
    "rfcacheMaxIoSizeKb": 128,
    "rfcacheAccpId": None,
    "fglDefaultNumConcurrentWrites": 1000,
    "fglMetadataCacheEnabled": False,
    "fglDefaultMetadataCacheSize": 0,
    "replicationCapacityMaxRatio": None,
}


def merged(defaults: dict[str, Any], attributes: dict[str, object]) -> dict[str, Any]:
    """Settings that are only stored and answered: what was set, else PowerFlex' default."""
    return {name: attributes.get(name, default) for name, default in defaults.items()}


def system(view: View) -> dict[str, Any]:
    state = view.state
    relationships = ("Statistics", "ProtectionDomain", "Sdc", "User")
    body: dict[str, Any] = {
        "id": state.system_id,
        "name": state.name or None,
        "installId": state.install_id,
    }
    body |= merged(_SYSTEM_DEFAULTS, state.attributes)
    body["mdmCluster"] = manager_cluster(view)
    body["sdcSdsConnectivityInfo"] = {
        "sdcSdsConnectivityStatus": "AllConnected",
        "disconnectedSdcId": None,
        "disconnectedSdcName": None,
        "disconnectedSdsId": None,
        "disconnectedSdsName": None,
        "disconnectedSdsIp": None,
    }
    body["links"] = links("System", state.system_id, relationships)
    return body


def manager_cluster(view: View) -> dict[str, Any]:
    """The managers: who leads, who follows, who only votes, and how many of them are there."""
    managers = list(view.state.managers.values())
    alive = [manager for manager in managers if _is_alive(view, manager)]
    leader = next((manager for manager in managers if _leads(view, manager)), None)
    followers = [manager for manager in managers if manager is not leader]
    replicas = [manager for manager in alive if manager.role != "TieBreaker"]
    return {
        "id": str(int(view.state.system_id or "0", 16)),
        "name": view.state.name or None,
        "clusterMode": MODES.get(len(managers), "OneNode"),
        "clusterState": _cluster_state(managers, alive),
        "goodNodesNum": len(alive),
        "goodReplicasNum": len(replicas),
        "master": _manager(view, leader) if leader is not None else {},
        "slaves": [_manager(view, one) for one in followers if one.role != "TieBreaker"],
        "tieBreakers": [_manager(view, one) for one in followers if one.role == "TieBreaker"],
        "standbyMDMs": [],
        "virtualIps": [],
    }


def _is_alive(view: View, manager: Manager) -> bool:
    seen = view.live.managers.get(manager.id)
    return seen is not None and (seen.connected or seen.leader)


def _leads(view: View, manager: Manager) -> bool:
    seen = view.live.managers.get(manager.id)
    return seen is not None and seen.leader


def _cluster_state(managers: list[Manager], alive: list[Manager]) -> str:
    if len(managers) <= 1:
        return "NotClustered"
    names = {manager.id for manager in alive}
    missing = [manager for manager in managers if manager.id not in names]
    tie_breakers = any(manager.role == "TieBreaker" for manager in missing)
    replicas = any(manager.role != "TieBreaker" for manager in missing)
    if replicas and tie_breakers:
        return "ClusteredDegradedTiebreakerDown"
    if replicas:
        return "ClusteredDegraded"
    return "ClusteredTiebreakerDown" if tie_breakers else "ClusteredNormal"


def _manager(view: View, manager: Manager) -> dict[str, Any]:
    return {
        "id": manager.id,
        "name": manager.name,
        "ips": [manager.ip],
        "managementIPs": [manager.ip],
        "port": manager.control_port,
        "role": manager.role,
        "status": "Normal" if _is_alive(view, manager) else "Disconnected",
        "versionInfo": COMPONENT_VERSION,
        "opensslVersion": "N/A",
        "virtualInterfaces": [],
    }


def protection_domain(view: View, domain: ProtectionDomain) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": domain.id,
        "name": domain.name,
        "systemId": view.state.system_id,
        "protectionDomainState": "Active" if domain.active else "Inactive",
    }
    body |= merged(_DOMAIN_DEFAULTS, domain.attributes)
    body["sdrSdsConnectivityInfo"] = {
        "clientServerConnStatus": "CLIENT_SERVER_CONN_STATUS_ALL_CONNECTED",
        "disconnectedClientId": None,
        "disconnectedClientName": None,
        "disconnectedServerId": None,
        "disconnectedServerName": None,
        "disconnectedServerIp": None,
    }
    body["links"] = links(
        "ProtectionDomain",
        domain.id,
        ("Statistics", "StoragePool", "Sds", "FaultSet"),
        [("systemId", "System", view.state.system_id)],
    )
    return body


def fault_set(view: View, one: FaultSet) -> dict[str, Any]:
    parents = [("protectionDomainId", "ProtectionDomain", one.protection_domain_id)]
    return {
        "id": one.id,
        "name": one.name,
        "protectionDomainId": one.protection_domain_id,
        "links": links("FaultSet", one.id, ("Statistics", "Sds"), parents),
    }


def user(view: View, one: User) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "systemId": view.state.system_id,
        "userRole": one.role,
        "passwordChangeRequired": False,
        "links": links("User", one.id, (), [("systemId", "System", view.state.system_id)]),
    }
