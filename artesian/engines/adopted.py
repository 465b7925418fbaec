"""An engine that was there before: reached as its owner says, and never made, moved or ended."""

from __future__ import annotations

from pathlib import Path

from artesian.embedded.errors import EngineError, ManagersUnavailable
from artesian.embedded.local import managers
from artesian.engines.embedded_names import control_address, server_port
from artesian.engines.gateways import Gateways
from artesian.engines.port import ChangeRefused, EngineUnreachable
from artesian.engines.powerflex import PowerFlexEngine
from artesian.model.changes import AddManager, AdoptEngine, CreateEngine, EngineChange, RemoveManager
from artesian.model.engine import EngineSeen, ExistingEngine

_MANAGERS_TIMEOUT_S = 5.0


class AdoptedEngine:
    """One engine. `system_id` is that of the engine that was adopted; None as long as none has been."""

    def __init__(self, existing: ExistingEngine, system_id: str | None, client_root: str = "") -> None:
        self._existing = existing
        self._system_id = system_id
        self._client_root = client_root
        self._gateways = Gateways(existing.gateways, self._connect)

    def observe(self) -> EngineSeen:
        """Raises EngineUnreachable, also if another engine answers than the one that was adopted."""
        seen = self._gateways.ask(lambda gateway: gateway.observe())
        if self._system_id is not None and seen.system_id != self._system_id:
            raise EngineUnreachable(
                f"engine {seen.system_id} answers, and {self._system_id} is the one that was adopted"
            )
        return seen

    def carry_out(self, change: EngineChange) -> None:
        """Raises NotYet, ChangeRefused or EngineUnreachable."""
        if isinstance(change, AdoptEngine):
            self._adopt(change)
        elif isinstance(change, CreateEngine | AddManager | RemoveManager):
            raise ChangeRefused("the managers of an engine that was there before are not changed")
        else:
            if self._system_id is None:
                raise ChangeRefused("the engine has not been adopted, so nothing is changed in it")
            self._gateways.ask(lambda gateway: gateway.carry_out(change))

    def close(self) -> None:
        """Let go of connections."""
        self._gateways.close()

    def _adopt(self, change: AdoptEngine) -> None:
        """Nothing is changed in it. Servers and clients will need its secret, so that is tried first."""
        seen = self.observe()
        if seen.system_id != change.system_id:
            raise ChangeRefused(f"engine {seen.system_id} answers, not {change.system_id}")
        addresses = [control_address(text) for text in self._existing.managers]
        secret = read_secret_file(self._existing.secret_file).encode()
        try:
            state, _ = managers.query(addresses, secret, _MANAGERS_TIMEOUT_S)
        except ManagersUnavailable:
            raise ChangeRefused(
                f"none of the managers {', '.join(self._existing.managers)} answers to the secret in "
                f"{self._existing.secret_file}"
            ) from None
        except EngineError as error:
            raise ChangeRefused(f"the managers do not answer as they should: {error}") from None
        if state.system_id != change.system_id:
            raise ChangeRefused(
                f"the managers belong to engine {state.system_id}, the gateway to {change.system_id}"
            )

    def _connect(self, url: str) -> PowerFlexEngine:
        existing = self._existing
        return PowerFlexEngine(
            url,
            existing.user,
            read_secret_file(existing.password_file),
            Path(existing.certificate) if existing.certificate is not None else None,
            port_of=lambda _node, domain: server_port(domain),
            client_root=self._client_root,
        )


def read_secret_file(path: str) -> str:
    """A password or secret. Raises EngineUnreachable, as nothing can be asked of the engine without it."""
    try:
        text = Path(path).read_text().strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise EngineUnreachable(f"{path} cannot be read: {reason}") from None
    if not text:
        raise EngineUnreachable(f"{path} is empty")
    return text
