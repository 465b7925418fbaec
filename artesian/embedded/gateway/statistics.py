"""Statistics of every type, under PowerFlex' names.

Names that mean something here are computed; every other name is answered with zero (or an empty rate or
list), as PowerFlex' clients ask for hundreds of them and would fail on a refusal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from artesian.embedded import capacity
from artesian.embedded.gateway import failures
from artesian.embedded.gateway.objects import ABSENT_TYPES, object_type
from artesian.embedded.gateway.rates import Rates, bwc, device_keys, volume_keys
from artesian.embedded.gateway.statistic_names import ALWAYS_SHOWN, CAPACITY_TYPES, DEFAULTS
from artesian.embedded.gateway.values import Parameters
from artesian.embedded.gateway.view import View
from artesian.embedded.state.live import DeviceLive
from artesian.embedded.state.model import Client, Device, Volume

Figures = dict[str, Any]
KIB = 1024
_DIRECTIONS = (("read", "Read"), ("write", "Write"), ("trim", "Trim"))


def of_object(view: View, rates: Rates, type_name: str, object_id: str) -> Figures:
    """Everything known about one object. Raises ApiError if there is no such object."""
    object_type(type_name).get(view, object_id)
    compute = _COMPUTE.get(type_name)
    if compute is None:
        raise failures.unknown_url()
    shown = {name: default(name) for name in ALWAYS_SHOWN} if type_name in CAPACITY_TYPES else {}
    return shown | compute(view, rates, object_id)


def selected(view: View, rates: Rates, type_name: str, parameters: Parameters) -> Any:
    """Chosen figures of chosen objects: by id, but flat for the one System."""
    properties = parameters.texts("properties")
    if not properties:
        raise failures.missing_parameters("properties")
    if type_name == "System":
        return _choose(of_object(view, rates, type_name, view.state.system_id), properties)
    if "ids" not in parameters and "allIds" not in parameters:
        raise failures.missing_one_of("ids", "allIds")
    ids = parameters.identifiers("ids")
    if type_name in ABSENT_TYPES and not ids:
        return {}
    if not ids and "allIds" in parameters:
        ids = list(object_type(type_name).objects(view))
    often = _OFTEN_ASKED.get(type_name)
    if often is not None and set(properties) <= often[0]:  # of all devices and volumes
        return {one: _choose(often[1](view, rates, one), properties) for one in ids}
    return {one: _choose(of_object(view, rates, type_name, one), properties) for one in ids}


def selected_of_types(view: View, rates: Rates, parameters: Parameters) -> Any:
    """The same for several types at once."""
    wanted = parameters.objects("selectedStatisticsList")
    if not wanted:
        raise failures.missing_parameters("selectedStatisticsList")
    return {
        one.required_text("type"): selected(view, rates, one.required_text("type"), one) for one in wanted
    }


def default(name: str) -> Any:
    """The value of a name that means nothing here."""
    if name in DEFAULTS:
        return DEFAULTS[name]
    if name.endswith(("Bwc", "Latency")):
        return bwc()
    return [] if name.endswith("Ids") else 0


def _choose(figures: Figures, properties: Iterable[str]) -> Figures:
    return {name: figures[name] if name in figures else default(name) for name in properties}


def _system(view: View, rates: Rates, _object_id: str) -> Figures:
    figures = capacity.system_statistics(view.state, view.live)
    return _completed(view, rates, figures, view.state.devices.values(), view.state.volumes.values())


def _domain(view: View, rates: Rates, object_id: str) -> Figures:
    pools = view.relations.pools_of_domain.get(object_id, [])
    devices = [one for pool in pools for one in view.relations.devices_of_pool.get(pool.id, [])]
    volumes = [one for pool in pools for one in view.relations.volumes_of_pool.get(pool.id, [])]
    figures = capacity.domain_statistics(view.state, view.live, object_id)
    return _completed(view, rates, figures, devices, volumes)


def _fault_set(view: View, rates: Rates, object_id: str) -> Figures:
    servers = view.relations.servers_of_fault_set.get(object_id, [])
    devices = [one for server in servers for one in view.relations.devices_of_server.get(server.id, [])]
    figures = capacity.fault_set_statistics(view.state, view.live, object_id)
    return _completed(view, rates, figures, devices, ())


def _pool(view: View, rates: Rates, object_id: str) -> Figures:
    figures = capacity.pool_statistics(view.state, view.live, object_id)
    devices = view.relations.devices_of_pool.get(object_id, [])
    return _completed(view, rates, figures, devices, view.relations.volumes_of_pool.get(object_id, []))


def _server(view: View, rates: Rates, object_id: str) -> Figures:
    figures = capacity.server_statistics(view.state, view.live, object_id)
    return _completed(view, rates, figures, view.relations.devices_of_server.get(object_id, []), ())


def _device(view: View, rates: Rates, object_id: str) -> Figures:
    device = view.state.devices[object_id]
    figures = capacity.device_statistics(view.state, view.live, object_id)
    figures = _completed(view, rates, figures, [device], ())
    figures["avgReadSizeInBytes"] = _mean_size(figures["totalReadBwc"])
    figures["avgWriteSizeInBytes"] = _mean_size(figures["totalWriteBwc"])
    return figures | _health(view.live.devices.get(object_id))


_HEALTH: Mapping[str, Callable[[DeviceLive], int]] = {
    "avgReadLatencyInMicrosec": lambda seen: _microseconds(seen.read_s),
    "avgWriteLatencyInMicrosec": lambda seen: _microseconds(seen.write_s),
    # Nothing scans here in the background: these are the errors that requests and healing have found.
    "backgroundScanReadErrorCount": lambda seen: seen.errors,
}


def _often_asked_of_device(view: View, rates: Rates, object_id: str) -> Figures:
    object_type("Device").get(view, object_id)
    room: Figures = dict(capacity.device_room(view.state, view.live, object_id))
    return room | _health(view.live.devices.get(object_id)) | _device_rates(rates, [object_id])


def _often_asked_of_volume(view: View, rates: Rates, object_id: str) -> Figures:
    object_type("Volume").get(view, object_id)
    return _user_data(rates, _pairs([view.state.volumes[object_id]]))


_OFTEN_ASKED: Mapping[str, tuple[set[str], Callable[[View, Rates, str], Figures]]] = {
    "Device": (
        {*_HEALTH, "capacityInUseInKb", "unusedCapacityInKb", "totalReadBwc", "totalWriteBwc"},
        _often_asked_of_device,
    ),
    "Volume": ({f"userData{word}Bwc" for _, word in _DIRECTIONS}, _often_asked_of_volume),
}


def _device_rates(rates: Rates, device_ids: list[str]) -> Figures:
    return {f"total{word}Bwc": rates.of(device_keys(device_ids, way)) for way, word in _DIRECTIONS[:2]}


def _health(seen: DeviceLive | None) -> Figures:
    return {name: figure(seen) if seen is not None else 0 for name, figure in _HEALTH.items()}


def _microseconds(seconds: float | None) -> int:
    """0 means that nothing was measured, and nothing that was measured took no time."""
    return max(1, round(seconds * 1e6)) if seconds is not None else 0


def _mean_size(rate: Mapping[str, int]) -> int:
    return KIB * rate["totalWeightInKb"] // rate["numOccured"] if rate["numOccured"] else 0


def _completed(
    view: View, rates: Rates, figures: Figures, devices: Iterable[Device], volumes: Iterable[Volume]
) -> Figures:
    """Adds what follows from the capacity figures, and the traffic of devices and volumes."""
    volumes = list(volumes)
    in_use, address_space = figures["capacityInUseInKb"], figures["inUseVacInKb"]
    most = figures["capacityLimitInKb"] - figures["spareCapacityInKb"]
    figures |= {
        "atRestCapacityInKb": max(0, in_use - figures["movingCapacityInKb"]),
        "protectedVacInKb": address_space,
        "volumeAddressSpaceInKb": address_space // 2,
        "vtreeAddresSpaceInKb": address_space // 2,
        "provisionedAddressesInKb": address_space,
        "netProvisionedAddressesInKb": address_space // 2,
        "capacityInUseNoOverheadInKb": in_use,
        "netCapacityInUseNoOverheadInKb": in_use // 2,
        "userDataCapacityInKb": in_use,
        "userDataCapacityNoTrimInKb": in_use,
        "netUserDataCapacityNoTrimInKb": in_use // 2,
        "maxUserDataCapacityInKb": most,
        "netMaxUserDataCapacityInKb": most // 2,
        "thinUserDataCapacityInKb": figures["thinCapacityInUseInKb"],
        "netThinUserDataCapacityInKb": figures["thinCapacityInUseInKb"] // 2,
        "vtreeIds": sorted({volume.vtree_id for volume in volumes}),
    }
    device_ids = [device.id for device in devices]
    errors = (_health(view.live.devices.get(one))["backgroundScanReadErrorCount"] for one in device_ids)
    figures["backgroundScanReadErrorCount"] = sum(errors)
    for direction, word in _DIRECTIONS[:2]:
        rate = rates.of(device_keys(device_ids, direction))
        # Copies have no ranks here; clients expect primary and secondary to add up to the total.
        figures |= {f"total{word}Bwc": rate, f"primary{word}Bwc": rate, f"secondary{word}Bwc": bwc()}
    return figures | _user_data(rates, _pairs(volumes))


def _pairs(volumes: Iterable[Volume]) -> list[tuple[str, str]]:
    return [(client_id, volume.id) for volume in volumes for client_id in volume.mappings]


def _user_data(rates: Rates, pairs: list[tuple[str, str]]) -> Figures:
    """What clients read, wrote and trimmed on these (client, volume) pairs."""
    return {f"userData{word}Bwc": rates.of(volume_keys(pairs, way)) for way, word in _DIRECTIONS}


def _volume(view: View, rates: Rates, object_id: str) -> Figures:
    volume = view.state.volumes[object_id]
    latencies = {f"userDataSdc{word}Latency": bwc() for _way, word in _DIRECTIONS}
    figures: Figures = {
        "mappedSdcIds": list(volume.mappings),
        "numOfMappedSdcs": len(volume.mappings),
        "childVolumeIds": [],
        "numOfChildVolumes": 0,
        "descendantVolumeIds": [],
        "numOfDescendantVolumes": 0,
    }
    return figures | _user_data(rates, _pairs([volume])) | latencies


def _client(view: View, rates: Rates, object_id: str) -> Figures:
    client: Client = view.state.clients[object_id]
    ids = [volume.id for volume in view.relations.volumes_of_client.get(client.id, [])]
    latencies = {f"userDataSdc{word}Latency": bwc() for _way, word in _DIRECTIONS}
    figures: Figures = {"numOfMappedVolumes": len(ids), "volumeIds": ids}
    return figures | _user_data(rates, [(client.id, volume_id) for volume_id in ids]) | latencies


def _vtree(view: View, _rates: Rates, object_id: str) -> Figures:
    volumes = view.relations.volumes_of_vtree[object_id]
    numbers = [str(volume.number) for volume in volumes]
    slots = sum(
        device.volume_slots.get(number, 0) for device in view.live.devices.values() for number in numbers
    )
    net_kb = slots * capacity.CHUNK_KB // 2
    return {
        "netCapacityInUseInKb": net_kb,
        "baseNetCapacityInUseInKb": net_kb,
        "snapNetCapacityInUseInKb": 0,
        "netProvisionedAddressesInKb": sum(volume.size_bytes for volume in volumes) // KIB,
        "numOfVolumes": len(volumes),
        "volumeIds": [volume.id for volume in volumes],
    }


_COMPUTE: Mapping[str, Callable[[View, Rates, str], Figures]] = {
    "System": _system,
    "ProtectionDomain": _domain,
    "FaultSet": _fault_set,
    "StoragePool": _pool,
    "Sds": _server,
    "Device": _device,
    "Volume": _volume,
    "Sdc": _client,
    "VTree": _vtree,
}
