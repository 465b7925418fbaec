"""What everything of ours is called in a Ceph cluster: the same for everybody who asks. Pure.

What the framework has to remember of a cluster is in the cluster itself, below `artesian/` in the monitors'
key-value store; each value is a JSON object:

    artesian/domains/DOMAIN           {}
    artesian/fault_sets/DOMAIN/NAME   {}
    artesian/pools/DOMAIN/POOL        {"spare_percentage"}
    artesian/servers/SERVER           {"node", "address", "domain", "fault_set"}
    artesian/disks/UUID               {"refused"} or {"size_bytes"} or {"failed"}: its node says this of it
    artesian/devices/UUID             {"osd", "name", "server", "domain", "pool", "path", "size_bytes",
                                       "token", "leaving", "epoch"}: it was accepted, in this epoch of the
                                       map, and may be made an OSD
    artesian/removed/UUID             {}: it was taken out, and what is on it counts for nothing
    artesian/vacant/OSD               {"server", "uuid"}: the number of a disk that died, for the next one
    artesian/invited/MONITOR          {}: it may join the others
    artesian/clients/GUID             {"node"}: its node's client runs, or has run
    artesian/volumes/VOLUME           {"name", "domain", "pool", "size_bytes"}
    artesian/limits/VOLUME            {"iops", "bandwidth_bytes_per_s"}
    artesian/mapped/GUID/VOLUME       {"token", "size_bytes"}: this client is to offer it
    artesian/opened/GUID/VOLUME       {"addresses", "process_id"}: of who offers it there, or has
"""

from __future__ import annotations

import uuid
from urllib.parse import quote, unquote

from artesian.model.disk import PoolName
from artesian.model.engine import ManagerPlace
from artesian.model.names import digest
from artesian.model.topology import ManagerRole

KIND = "ceph"
ADMIN = "client.artesian"  # as whom the framework does everything, also in a cluster of others
OWNER = "client.admin"  # as whom people do, with the tools of Ceph
MONITOR_PORT = 3300
ROOT = "artesian/"
KINDS = frozenset(
    {
        *("domains", "fault_sets", "pools", "servers", "disks", "devices", "removed", "vacant"),
        *("invited", "clients", "volumes", "limits", "mapped", "opened"),
    }
)
_NAMESPACE = uuid.UUID("c3f2b6de-5a1f-4a6e-9d2c-0c8a6d3f7e11")
_PREFIXES = {ManagerRole.MANAGER: "manager", ManagerRole.TIEBREAKER: "tiebreaker"}


def fsid(system_id: str) -> str:
    """What Ceph calls a cluster; one that was there before has its own."""
    try:
        return str(uuid.UUID(system_id)) if "-" in system_id else _uuid(f"engine {system_id}")
    except ValueError:
        return _uuid(f"engine {system_id}")


def osd_uuid(system_id: str, identity: str) -> str:
    """A disk as an OSD of a cluster."""
    return _uuid(f"osd {fsid(system_id)} {identity}")


def _uuid(text: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, text))


def monitor_name(place: ManagerPlace) -> str:
    """A manager's monitor. Ceph knows no tiebreakers, so its name says what it is."""
    return f"{_PREFIXES[place.role]}-{place.node}"


def monitor_role(name: str) -> ManagerRole:
    """What a monitor of this name is; those of others are managers."""
    is_tiebreaker = name.startswith(f"{_PREFIXES[ManagerRole.TIEBREAKER]}-")
    return ManagerRole.TIEBREAKER if is_tiebreaker else ManagerRole.MANAGER


def client_entity(guid: str) -> str:
    """As whom a node's client is known."""
    return f"{ADMIN}.{guid}"


def volume_entity(volume_id: str) -> str:
    """As whom the one client that may write to a volume proves itself."""
    return f"client.artesian-volume.{volume_id}"


# --- the CRUSH map: its names are of everybody, so ours say what they are


def root_bucket(domain: str) -> str:
    """A protection domain."""
    return _crush("pd", domain)


def fault_set_bucket(domain: str, fault_set: str) -> str:
    """A fault set; domains may have those of the same name."""
    return _crush("fs", _joined(domain, fault_set))


def host_bucket(server: str) -> str:
    """A server: a node in one domain."""
    return _crush("sds", server)


def device_class(pool: PoolName) -> str:
    """The disks of a storage pool."""
    return _crush("sp", str(pool))


def rule_name(pool: PoolName) -> str:
    """How copies of a storage pool are placed."""
    return _crush("rule", str(pool))


def ceph_pool(pool: PoolName) -> str:
    """The pool in which a storage pool's images are."""
    return _crush("artesian", _joined(pool.domain, pool.pool))


def _joined(domain: str, name: str) -> str:
    """Other names, other texts: "a.b" and "c" must not be what "a" and "b.c" are."""
    return f"{domain}.{name}" if "." not in domain else f"{domain}\0{name}"


def _crush(kind: str, name: str) -> str:
    """CRUSH allows letters, digits and -_. in names."""
    safe = "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else "_" for letter in name
    )
    return f"{kind}.{safe}" if safe == name else f"{kind}.{safe}-{digest(name)[:8]}"


# --- keys of the monitors' store


def key(*parts: str) -> str:
    """`key("pools", "default", "gold")`: whatever is in a part, its slashes do not divide."""
    return ROOT + "/".join(quote(part, safe="") for part in parts)


def parts(key: str) -> tuple[str, ...]:
    """What `key` was made of."""
    return tuple(unquote(part) for part in key.removeprefix(ROOT).split("/"))
