"""Domains, fault sets, pools, servers and clients: what is written down in the cluster and its CRUSH map.

What is in the CRUSH map is made first and written down afterwards: what is written down is there.
"""

from __future__ import annotations

import errno

from artesian.engines.ceph import healing, names, vacancies
from artesian.engines.ceph.errors import CommandFailed
from artesian.engines.ceph.reading import Reading
from artesian.engines.ceph.session import CephSession
from artesian.engines.port import ChangeRefused, NotYet
from artesian.model.changes import (
    AddClient,
    AddFaultSet,
    AddPool,
    AddServer,
    EnterMaintenance,
    ExitMaintenance,
    RemoveClient,
    RemoveServer,
    SetHealing,
    SetSpare,
)
from artesian.model.disk import PoolName
from artesian.model.engine import Healing
from artesian.model.names import server_name

FAULT_SET_TYPE = "rack"  # CRUSH has no type of that name, and racks are what they mostly are


def add_domain(session: CephSession, reading: Reading, domain: str) -> None:
    """A protection domain is a tree of its own in the CRUSH map."""
    if (domain,) in reading.documents("domains"):
        return
    session.command("osd crush add-bucket", name=names.root_bucket(domain), type="root")
    session.set(names.key("domains", domain), {})


def add_fault_set(session: CephSession, reading: Reading, change: AddFaultSet) -> None:
    """Raises NotYet."""
    _need_domain(reading, change.domain)
    if (change.domain, change.fault_set) in reading.documents("fault_sets"):
        return
    bucket = names.fault_set_bucket(change.domain, change.fault_set)
    _place(session, bucket, FAULT_SET_TYPE, f"root={names.root_bucket(change.domain)}")
    session.set(names.key("fault_sets", change.domain, change.fault_set), {})


def add_pool(session: CephSession, reading: Reading, change: AddPool | SetSpare) -> None:
    """Ceph's own pool is made with its first disk: before that nothing could be kept in it. Raises NotYet."""
    _need_domain(reading, change.pool.domain)
    known = reading.documents("pools").get((change.pool.domain, change.pool.pool))
    if known is None and isinstance(change, SetSpare):
        raise NotYet(f"there is no storage pool {change.pool} yet")
    if known is not None and isinstance(change, AddPool):
        return
    if known is None:
        _let_heal(session, change.pool, Healing.LIMITED)
    wanted = {"spare_percentage": change.spare_percentage}
    if known != wanted:
        session.set(names.key("pools", change.pool.domain, change.pool.pool), wanted)


def set_healing(session: CephSession, reading: Reading, change: SetHealing) -> None:
    """Raises NotYet."""
    need_pool(reading, change.pool)
    _let_heal(session, change.pool, change.healing)


def _let_heal(session: CephSession, pool: PoolName, how: Healing) -> None:
    for name, value in healing.settings(how).items():
        session.command("config set", who=healing.section(pool), name=name, value=value)


def add_server(session: CephSession, reading: Reading, change: AddServer) -> None:
    """Raises NotYet, ChangeRefused."""
    _need_domain(reading, change.domain)
    if change.fault_set is not None and (change.domain, change.fault_set) not in reading.documents(
        "fault_sets"
    ):
        raise NotYet(f"there is no fault set {change.fault_set} in {change.domain} yet")
    name = server_name(change.node, change.domain)
    known = reading.documents("servers").get((name,))
    if known is not None:
        if known["fault_set"] != change.fault_set:
            raise ChangeRefused(f"server {name} is there already, but in another fault set")
        return
    where = f"root={names.root_bucket(change.domain)}"
    if change.fault_set is not None:
        where = f"{FAULT_SET_TYPE}={names.fault_set_bucket(change.domain, change.fault_set)}"
    _place(session, names.host_bucket(name), "host", where)
    session.set(
        names.key("servers", name),
        {
            "node": change.node,
            "address": change.address,
            "domain": change.domain,
            "fault_set": change.fault_set,
        },
    )


def remove_server(session: CephSession, reading: Reading, change: RemoveServer) -> None:
    """Raises NotYet."""
    name = server_name(change.node, change.domain)
    if (name,) not in reading.documents("servers"):
        return
    devices = len(reading.devices_on(name))
    if devices:
        raise NotYet(f"the server of {change.node} in {change.domain} still has {devices} disks")
    vacancies.give_up_all(session, reading, name)
    try:
        session.command("osd crush rm", name=names.host_bucket(name))
    except CommandFailed as error:
        if error.number != errno.ENOENT:
            raise
    session.remove(names.key("servers", name))


def maintain(session: CephSession, reading: Reading, change: EnterMaintenance | ExitMaintenance) -> None:
    """Disks of a server in maintenance are not given up while it is away. Raises ChangeRefused, NotYet."""
    name = server_name(change.node, change.domain)
    if (name,) not in reading.documents("servers"):
        raise ChangeRefused(f"{change.node} is no server of {change.domain}")
    if isinstance(change, ExitMaintenance):
        session.command("osd unset-group", flags="noout", who=[names.host_bucket(name)])
        return
    osds = [str(one["osd"]) for one in reading.devices_on(name).values()]
    if osds:
        try:
            session.command("osd ok-to-stop", ids=osds)
        except CommandFailed as error:
            raise NotYet(f"server {name} cannot be away now, as data would be too: {error.said}") from None
    session.command("osd set-group", flags="noout", who=[names.host_bucket(name)])


def add_client(reading: Reading, change: AddClient) -> None:
    """A node's client registers by itself. Raises NotYet."""
    if reading.guid_of_node(change.node) is None:
        raise NotYet(f"the client of {change.node} has not registered with the engine yet")


def remove_client(session: CephSession, reading: Reading, change: RemoveClient) -> None:
    """Raises ChangeRefused, NotYet."""
    guid = reading.guid_of_node(change.node)
    if guid is None:
        return
    volumes = reading.documents("volumes")
    if any(reading.holder_of(volume_id) == guid for (volume_id,) in volumes):
        raise ChangeRefused(f"volumes are still mapped to {change.node}")
    if reading.is_connected(guid):
        raise NotYet(f"the client of {change.node} is still connected")
    session.command("auth rm", entity=names.client_entity(guid))
    session.remove(names.key("clients", guid))


def need_pool(reading: Reading, pool: PoolName) -> None:
    """Raises NotYet as long as there is no such storage pool."""
    _need_domain(reading, pool.domain)
    if (pool.domain, pool.pool) not in reading.documents("pools"):
        raise NotYet(f"there is no storage pool {pool} yet")


def _need_domain(reading: Reading, domain: str) -> None:
    if (domain,) not in reading.documents("domains"):
        raise NotYet(f"there is no protection domain {domain} yet")


def _place(session: CephSession, bucket: str, kind: str, where: str) -> None:
    """A bucket of the CRUSH map in its place, however often it is put there."""
    session.command("osd crush add-bucket", name=bucket, type=kind)
    session.command("osd crush move", name=bucket, args=[where])
