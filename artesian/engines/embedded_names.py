"""Where the embedded engine's processes listen on their nodes: the same for everybody who asks."""

from __future__ import annotations

from artesian.embedded.config import ManagerPeer
from artesian.model.engine import ManagerPlace
from artesian.model.names import digest
from artesian.model.topology import ManagerRole

CONTROL_PORT, RAFT_PORT, GATEWAY_PORT = 6611, 6711, 8443
DEFAULT_DOMAIN = "default"
_DEFAULT_DOMAIN_PORT, _FIRST_PORT, _PORTS = 7072, 7100, 900


def server_port(domain: str) -> int:
    """The port of a node's server in a domain; a node may serve several."""
    if domain == DEFAULT_DOMAIN:
        return _DEFAULT_DOMAIN_PORT
    return _FIRST_PORT + int(digest(domain)[:8], 16) % _PORTS


def control_address(text: str) -> tuple[str, int]:
    """Where a manager listens: "10.0.0.1:6611", or without the port. Raises ValueError."""
    host, _, port = text.partition(":")
    return host, int(port) if port else CONTROL_PORT


def manager_peer(place: ManagerPlace) -> ManagerPeer:
    """A manager as the engine's configs name it."""
    return ManagerPeer(
        name=f"mdm-{place.node}"[:31],
        ip=place.address,
        raft_port=RAFT_PORT,
        control_port=CONTROL_PORT,
        role="Manager" if place.role is ManagerRole.MANAGER else "TieBreaker",
    )
