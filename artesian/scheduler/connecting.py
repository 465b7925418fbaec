"""The connection to the engine: the one that was made, that was adopted, or that the spec names."""

from __future__ import annotations

import contextlib
import secrets
import uuid
from pathlib import Path

from artesian.engines.adopted import AdoptedEngine, read_secret_file
from artesian.engines.embedded import EmbeddedEngine
from artesian.engines.port import Engine, EngineUnreachable
from artesian.host.files import write_durably
from artesian.model.engine import ExistingEngine
from artesian.model.names import secret_digest
from artesian.model.spec import Spec
from artesian.model.state import EngineIdentity
from artesian.scheduler.memory import Secrets


class EngineConnection:
    """Made anew whenever another engine is meant. `folder` keeps the certificates of gateways."""

    def __init__(self, folder: Path, known: Secrets) -> None:
        self._folder = folder / "certificates"
        self._secrets = known
        self._engine: Engine | None = None
        self._engine_of: tuple[EngineIdentity | None, ExistingEngine | None] = (None, None)

    def to(self, identity: EngineIdentity | None, named: ExistingEngine | None) -> Engine | None:
        """The engine with this identity; without one that which the spec names; None if there is none."""
        wanted = (identity, named)
        if wanted != self._engine_of:
            self.close()
            self._engine_of = wanted
            self._engine = self._connect(identity, named)
        return self._engine

    def close(self) -> None:
        """Let go of connections."""
        if self._engine is not None:
            self._engine.close()
        self._engine, self._engine_of = None, (None, None)

    def secret(self, identity: EngineIdentity | None) -> str:
        """What servers and clients prove themselves with. Raises EngineUnreachable if it cannot be read."""
        if identity is not None and identity.adopted is not None and identity.ceph is None:
            return read_secret_file(identity.adopted.secret_file)
        return self._secrets.engine_secret

    def new_identity(self, spec: Spec) -> EngineIdentity:
        """What an engine that is made now would be, or the one that the spec names, in our eyes."""
        secret = self._secrets.engine_secret
        if spec.ceph is not None:
            return EngineIdentity(
                "ceph",
                str(uuid.uuid4()),
                "artesian",
                client_root=secrets.token_hex(8) if spec.engine is not None else "",
                secret_digest=secret_digest(secret),
                ceph=spec.ceph,
            )
        if spec.engine is not None:
            with contextlib.suppress(EngineUnreachable):  # then it is not adopted either
                secret = read_secret_file(spec.engine.secret_file)
        root = secrets.token_hex(8) if spec.engine is not None else ""
        return EngineIdentity(
            "embedded",
            secrets.token_hex(8),
            "artesian",
            client_root=root,
            secret_digest=secret_digest(secret),
        )

    def keep_certificate(self, node: str, text: str) -> None:
        """Remember the certificate of a node's gateway: it is trusted from then on."""
        path = self._folder / f"{node}.crt"
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_durably(path, text, 0o644)

    def _connect(self, identity: EngineIdentity | None, named: ExistingEngine | None) -> Engine | None:
        known = self._secrets
        if (
            named is not None
            and named.ceph is not None
            and (identity is None or identity.adopted is not None)
        ):
            # Schedulers of other engines do without Ceph's libraries.
            from artesian.engines.ceph.adopted import AdoptedCeph

            return AdoptedCeph(named, identity, known.engine_secret)
        if identity is None:
            return AdoptedEngine(named, None) if named is not None else None
        if identity.adopted is not None:
            return AdoptedEngine(identity.adopted, identity.system_id, identity.client_root)
        if identity.kind == "ceph":
            # Schedulers of other engines do without Ceph's libraries.
            from artesian.engines.ceph.adapter import CephEngine

            return CephEngine(identity, known.engine_secret)
        return EmbeddedEngine(
            identity, known.engine_secret.encode(), known.engine_password, self._certificate_file
        )

    def _certificate_file(self, node: str) -> Path | None:
        path = self._folder / f"{node}.crt"
        return path if path.exists() else None
