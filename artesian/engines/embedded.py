"""The embedded engine as the scheduler sees it: PowerFlex's dialect, and the making of a new one."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from artesian.embedded.errors import CommandRefused, EngineError, ManagersUnavailable
from artesian.embedded.gateway.passwords import hash_password
from artesian.embedded.local import managers
from artesian.embedded.mdm.identity import managers_of
from artesian.engines.embedded_names import CONTROL_PORT, GATEWAY_PORT, manager_peer, server_port
from artesian.engines.gateways import Gateways
from artesian.engines.port import ChangeRefused, EngineUnreachable, NotYet
from artesian.engines.powerflex import PowerFlexEngine
from artesian.model.changes import AddManager, AdoptEngine, CreateEngine, EngineChange, RemoveManager
from artesian.model.engine import EngineSeen, ManagerPlace
from artesian.model.state import EngineIdentity
from artesian.model.topology import ManagerRole

USER = "admin"
_BOOTSTRAP_TIMEOUT_S = 2.0
_MANAGERS_TIMEOUT_S = 8.0


class EmbeddedEngine:
    """One engine. `certificate_of` gives the file with the certificate of a node's gateway, once known."""

    def __init__(
        self,
        identity: EngineIdentity,
        secret: bytes,
        password: str,
        certificate_of: Callable[[str], Path | None],
    ) -> None:
        self._identity = identity
        self._secret = secret
        self._password = password
        self._certificate_of = certificate_of
        nodes = [place.node for place in identity.managers if place.role is ManagerRole.MANAGER]
        self._gateways = Gateways(nodes, self._connect)

    def observe(self) -> EngineSeen:
        """By the first gateway that answers. Raises EngineUnreachable."""
        return self._gateways.ask(lambda gateway: gateway.observe())

    def carry_out(self, change: EngineChange) -> None:
        """Raises NotYet, ChangeRefused or EngineUnreachable."""
        if isinstance(change, CreateEngine):
            self._create(change)
        elif isinstance(change, AdoptEngine):
            raise ChangeRefused("these nodes have an engine of their own")
        elif isinstance(change, AddManager):
            self._add_manager(change.place)
        elif isinstance(change, RemoveManager):
            self._remove_manager(change.place)
        else:
            self._gateways.ask(lambda gateway: gateway.carry_out(change))

    def close(self) -> None:
        """Let go of connections."""
        self._gateways.close()

    def _create(self, change: CreateEngine) -> None:
        """The same system id every time: a second attempt changes nothing."""
        addresses = [(place.address, CONTROL_PORT) for place in change.managers]
        body = {
            "name": self._identity.name,
            "user_name": USER,
            "password_hash": hash_password(self._password),
            "system_id": self._identity.system_id,
        }
        try:
            managers.ask(addresses, self._secret, "bootstrap", body, _BOOTSTRAP_TIMEOUT_S)
        except ManagersUnavailable:
            raise NotYet("the managers have not elected a leader yet") from None
        except CommandRefused as error:
            raise ChangeRefused(f"the managers hold another engine: {error}") from None
        self.observe()  # it is there once it can be managed

    def _add_manager(self, place: ManagerPlace) -> None:
        present = self._members()
        member = next((one for one in present if one["ip"] == place.address), None)
        if member is not None:
            if member["role"] != manager_peer(place).role:
                raise ChangeRefused(
                    f"the manager on {place.node} is a {member['role']} already: remove it first"
                )
            return
        if not _listens(place.address):
            raise NotYet(f"the new manager on {place.node} has not been started yet")
        self._set_managers([*present, *managers_of([manager_peer(place)])])

    def _remove_manager(self, place: ManagerPlace) -> None:
        present = self._members()
        staying = [one for one in present if one["ip"] != place.address]
        if len(staying) < len(present):
            self._set_managers(staying)

    def _members(self) -> list[dict[str, Any]]:
        answer = self._ask_managers("query", {})
        return list(answer["state"]["managers"].values())

    def _set_managers(self, members: list[dict[str, Any]]) -> None:
        self._ask_managers("command", {"name": "set_managers", "args": {"managers": members}})

    def _ask_managers(self, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        """Ask whoever leads. The members of the quorum are beyond what the REST interface can change."""
        addresses = [(place.address, CONTROL_PORT) for place in self._identity.managers]
        try:
            return managers.ask(addresses, self._secret, kind, body, _MANAGERS_TIMEOUT_S)
        except ManagersUnavailable as error:
            raise EngineUnreachable(str(error)) from None
        except CommandRefused as error:
            raise ChangeRefused(str(error)) from None
        except EngineError as error:
            raise NotYet(str(error)) from None

    def _connect(self, node: str) -> PowerFlexEngine:
        certificate = self._certificate_of(node)
        if certificate is None:
            raise EngineUnreachable(f"the gateway on {node} has no certificate yet")
        address = next(place.address for place in self._identity.managers if place.node == node)
        return PowerFlexEngine(
            f"https://{address}:{GATEWAY_PORT}",
            USER,
            self._password,
            certificate,
            port_of=lambda _node, domain: server_port(domain),
        )


def _listens(address: str) -> bool:
    try:
        socket.create_connection((address, CONTROL_PORT), timeout=1.0).close()
    except OSError:
        return False
    return True
