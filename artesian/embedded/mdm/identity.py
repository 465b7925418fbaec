"""How managers are named: by their Raft address, from which their id follows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import xxhash

from artesian.embedded.config import ManagerPeer


class _Addressed(Protocol):
    """A manager, be it of a config or of the state."""

    @property
    def ip(self) -> str: ...
    @property
    def raft_port(self) -> int: ...
    @property
    def control_port(self) -> int: ...
    @property
    def role(self) -> Any: ...


def raft_address(manager: _Addressed) -> str:
    return f"{manager.ip}:{manager.raft_port}"


def raft_addresses(managers: Iterable[_Addressed], role: str) -> set[str]:
    """Of those that have this role."""
    return {raft_address(manager) for manager in managers if manager.role == role}


def control_address(managers: Iterable[_Addressed], address: str | None) -> str | None:
    """The control address of the manager with this Raft address; None when it is not among them."""
    for manager in managers:
        if raft_address(manager) == address:
            return f"{manager.ip}:{manager.control_port}"
    return None


def manager_id(address: str) -> str:
    """16 hex digits that follow from the Raft address."""
    return xxhash.xxh3_64_hexdigest(address.encode())


def managers_of(peers: Iterable[ManagerPeer]) -> list[dict[str, Any]]:
    """The managers of a config as commands want them."""
    return [
        {
            "id": manager_id(raft_address(peer)),
            "name": peer.name,
            "ip": peer.ip,
            "raft_port": peer.raft_port,
            "control_port": peer.control_port,
            "role": peer.role,
        }
        for peer in peers
    ]
