"""Which processes a node is to run, and what each has to know. Pure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from artesian.engines.ceph import names
from artesian.engines.ceph.conf import addresses_of
from artesian.engines.ceph.process_config import ProcessConfig, Role
from artesian.model.assignment import AssignedDevice, Assignment
from artesian.model.engine import CephSettings
from artesian.model.names import device_name
from artesian.model.topology import ManagerRole

MON, MGR, CLIENT = "mon", "mgr", "client"
_SMALL_BYTES = 2 << 30


def planned(assignment: Assignment, folder: Path) -> dict[str, ProcessConfig]:
    """By the names of the processes. `folder` is where everything of Ceph is on the node."""
    common = ProcessConfig(
        Role.CLIENT,
        CLIENT,
        str(folder),
        names.fsid(assignment.system_id),
        addresses_of(assignment),
        assignment.node,
        assignment.address,
    )
    configs = _managing(assignment, common)
    configs += [_osd(assignment, common, device, folder) for device in assignment.devices]
    if assignment.is_client:
        configs.append(replace(common, guid=assignment.client_guid))
    return {config.name: config for config in configs}


def _managing(assignment: Assignment, common: ProcessConfig) -> list[ProcessConfig]:
    mine = next((place for place in assignment.managers if place.node == assignment.node), None)
    if not assignment.manages or mine is None:
        return []
    name = names.monitor_name(mine)
    monitor = replace(
        common,
        role=Role.MON,
        name=MON,
        entity=name,
        is_new=assignment.is_new,
        members=tuple((names.monitor_name(place), place.address) for place in assignment.managers),
        mgrs=tuple(
            names.monitor_name(place) for place in assignment.managers if place.role is ManagerRole.MANAGER
        ),
    )
    if not assignment.is_gateway:
        return [monitor]
    return [monitor, replace(common, role=Role.MGR, name=MGR, entity=name)]


def _osd(
    assignment: Assignment, common: ProcessConfig, device: AssignedDevice, folder: Path
) -> ProcessConfig:
    """A disk that is a file has a name that stays with it, beside what is ours."""
    name = device_name(device.identity)
    settings = assignment.ceph or CephSettings()
    return replace(
        common,
        role=Role.OSD,
        name=f"osd-{name}",
        uuid=names.osd_uuid(assignment.system_id, device.identity),
        paths=(str(folder.parent / "disks" / name), device.path),
        small=settings.osd_memory_bytes < _SMALL_BYTES,
    )


def clearing(osd: ProcessConfig) -> ProcessConfig:
    """What follows an OSD whose disk is not assigned any more; `entity` is what its data was kept under."""
    return replace(osd, role=Role.CLEARING, name=f"clearing-{osd.name}", entity=osd.name)


def installing(folder: Path) -> ProcessConfig:
    """What brings the distribution's packages."""
    return ProcessConfig(Role.PACKAGES, "packages", str(folder), "", (), "", "")
