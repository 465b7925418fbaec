"""Where a scheduler of a Mesos cluster listens, and what its store calls the cluster, on any machine."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from artesian.clusters.mesos import settings as mesos_settings
from artesian.clusters.mesos.settings import MesosSettings
from artesian.model.errors import NotPossible


def placed(asked: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Where a task of Marathon listens, unless options say something else: at the address that Mesos' agent
    uses itself, or Marathon's name for the machine; and at the port that Marathon has chosen.

    Raises NotPossible.
    """
    found = dict(asked)
    if found["address"] is None:
        places = (environment.get(name, "") for name in ("LIBPROCESS_IP", "HOST"))
        found["address"] = next((one for one in places if _leads_here(one)), None)
    if found["port"] is None and (port := environment.get("PORT0")):
        if not (port.isascii() and port.isdecimal()):
            raise NotPossible(f"PORT0 is {port!r}, and no number of a port; name one with --port")
        found["port"] = int(port)
    return found


def _leads_here(host: str) -> bool:
    """Whether others may reach us by that: a name that this machine takes for its own loopback is none."""
    if not host:
        return False
    try:
        return not ipaddress.ip_address(host).is_unspecified
    except ValueError:
        pass
    try:
        found = [one[4][0] for one in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except OSError:
        return False
    return not any(ipaddress.ip_address(str(one).partition("%")[0]).is_loopback for one in found)


def cluster_name(folder: Path, asked: Mapping[str, Any]) -> str:
    """What a store calls the cluster: the same for its schedulers in all folders on all machines."""
    before = mesos_settings.load(folder)
    role = asked["role"] or (before.role if before is not None else MesosSettings("").role)
    name = before.name if before is not None else MesosSettings("").name
    return f"mesos {role} {name}"
