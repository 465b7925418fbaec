"""What one node has to run, attach and mount: a whole, which its agent makes so."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from artesian.model.disk import PoolName
from artesian.model.drill import DrillKind, DrillWriter, Fault, WriterMode
from artesian.model.engine import CephSettings, ManagerPlace
from artesian.model.restart import RestartPart
from artesian.model.topology import ManagerRole


@dataclass(frozen=True, slots=True)
class AssignedVolume:
    """A volume that is to be a block device here, and mounted if `mount_path` says where.

    An attachment of another `generation` is what is left from before, and is let go of first.
    `for_containers`: only as long as containers use it, which the node itself knows.
    """

    volume_id: str
    name: str
    size_bytes: int
    mount_path: str | None = None
    fstype: str | None = None
    generation: int = 0
    for_containers: bool = False


@dataclass(frozen=True, slots=True)
class AssignedDevice:
    """A disk that was given to a pool. `path` is what the node called it then."""

    identity: str
    path: str
    pool: PoolName
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """Everything that a node does for the engine `system_id`; an empty one: for none.

    `domains` are those in which it is a server. `managers` are all of the engine's: clients and
    servers have to find them. Of an engine that was there before, `manager_addresses` say where they listen.
    What is started now is started under `restart`, the number of the last one; managers and servers that were
    started under a smaller number than `managers_since` and `servers_since` are ended and started anew.
    """

    node: str
    address: str
    engine_kind: str = ""
    system_id: str = ""
    engine_name: str = ""
    managers: tuple[ManagerPlace, ...] = ()
    manager_addresses: tuple[str, ...] = ()
    manages: bool = False
    is_gateway: bool = False
    domains: tuple[str, ...] = ()
    is_client: bool = False
    client_guid: str = ""
    secret_digest: str = ""  # of the engine's secret, which agents know; empty: any
    volumes: tuple[AssignedVolume, ...] = ()
    devices: tuple[AssignedDevice, ...] = ()  # where the node itself makes them
    is_new: bool = False  # the engine has never answered: its managers may begin with nothing
    ceph: CephSettings | None = None
    revision: int = 0  # of the node's volumes: an assignment that says the same as an older one is another
    stop: bool = False  # everything is to be let go of and ended, in good order
    discard: bool = False  # volumes that are not assigned are let go of at once, whatever is not written yet
    faults: tuple[Fault, ...] = ()  # of drills
    drill_writer: DrillWriter | None = None
    restart: int = 0
    managers_since: int = 0
    servers_since: int = 0

    def since(self, part: RestartPart | None) -> int:
        """The restart under which a part has to have been started."""
        if part is None:
            return 0
        return self.managers_since if part is RestartPart.MANAGERS else self.servers_since


def assignment_from_json(document: dict[str, Any]) -> Assignment:
    """What `dataclasses.asdict` made, also of an older or a newer version: what is not known here is left
    out. Raises TypeError, KeyError or ValueError for anything else."""
    values = _known(Assignment, document)
    values["managers"] = tuple(
        ManagerPlace(one["node"], one["address"], ManagerRole(one["role"]))
        for one in values.get("managers", ())
    )
    values["volumes"] = tuple(AssignedVolume(**_known(AssignedVolume, one)) for one in values["volumes"])
    values["devices"] = tuple(
        AssignedDevice(**{**_known(AssignedDevice, one), "pool": PoolName(**one["pool"])})
        for one in values.get("devices", ())
    )
    if values.get("ceph") is not None:
        values["ceph"] = CephSettings(**_known(CephSettings, values["ceph"]))
    values["manager_addresses"] = tuple(values.get("manager_addresses", ()))
    values["domains"] = tuple(values.get("domains", ()))
    values["faults"] = tuple(
        Fault(**{**_known(Fault, one), "kind": DrillKind(one["kind"])})
        for one in values.get("faults", ())
        if one["kind"] in set(DrillKind)
    )
    writer = values.get("drill_writer")
    if writer is not None:
        mode = WriterMode(writer["mode"])
        values["drill_writer"] = DrillWriter(**{**_known(DrillWriter, writer), "mode": mode})
    return Assignment(**values)


def _known(kind: type[Any], document: dict[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in dict(document).items() if name in names}
