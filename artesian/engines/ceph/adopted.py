"""A Ceph cluster that was there before: reached as its owner says. What is not ours in it stays as it is.

Until it is adopted it is only looked at. Adopting it makes one key, as which the framework does everything
else; domains, pools and disks of ours are beside those that were there.
"""

from __future__ import annotations

import configparser
from pathlib import Path

from artesian.engines.ceph import names
from artesian.engines.ceph.adapter import CephEngine
from artesian.engines.ceph.errors import CommandFailed
from artesian.engines.ceph.images import image_names
from artesian.engines.ceph.keys import cephx_key, is_key, keyring
from artesian.engines.ceph.monitors import Json
from artesian.engines.ceph.reading import managers_of
from artesian.engines.ceph.session import CephSession, KeyRefused
from artesian.engines.port import ChangeRefused, EngineUnreachable
from artesian.model.changes import AddManager, AdoptEngine, CreateEngine, EngineChange, RemoveManager
from artesian.model.disk import PoolName
from artesian.model.engine import EngineSeen, ExistingEngine, SeenPool, SeenServer, SeenVolume
from artesian.model.names import secret_digest
from artesian.model.state import EngineIdentity

_ALL = ["mon", "allow *", "osd", "allow *", "mgr", "allow *"]
_OWNER = names.key("owner")
_TAKEN = (
    "another Artesian uses this Ceph already; if that one is gone for good, take away what it has left: "
    f"ceph auth rm {names.ADMIN}, and ceph config-key rm {_OWNER}"
)
_RELEASES = {14: "nautilus", 15: "octopus", 16: "pacific", 17: "quincy", 18: "reef", 19: "squid"}
_LEAST_RELEASE = 15


class AdoptedCeph:
    """`identity` is that of the cluster once it was adopted; None before. `secret` is the framework's own."""

    def __init__(self, existing: ExistingEngine, identity: EngineIdentity | None, secret: str) -> None:
        self._existing = existing
        self._identity = identity
        self._secret = secret
        self._engine: CephEngine | None = None
        if identity is not None and identity.system_id:
            self._engine = CephEngine(identity, secret)
        self._theirs: CephSession | None = None

    def observe(self) -> EngineSeen:
        """Raises EngineUnreachable, also if another cluster answers than the one that is meant."""
        if self._engine is None or self._identity is None:
            found = self._look()
            if self._owner() not in (None, secret_digest(self._secret)):
                raise EngineUnreachable(_TAKEN)
            return found
        try:
            return self._engine.observe()
        except KeyRefused:
            found, system_id = self._look(), self._identity.system_id
            if found.system_id != system_id:
                raise EngineUnreachable(
                    f"cluster {found.system_id} answers, and {system_id} is the one that was adopted"
                ) from None
            owner = self._owner()
            if owner not in (None, secret_digest(self._secret)):
                raise EngineUnreachable(_TAKEN) from None
            if owner is not None:
                raise  # somebody has taken our key away
            return found  # adopting it was begun, and came no further

    def carry_out(self, change: EngineChange) -> None:
        """Raises NotYet, ChangeRefused or EngineUnreachable."""
        if isinstance(change, AdoptEngine):
            self._adopt(change)
        elif isinstance(change, CreateEngine | AddManager | RemoveManager):
            raise ChangeRefused("the managers of an engine that was there before are not changed")
        elif self._engine is None:
            raise ChangeRefused("the engine has not been adopted, so nothing is changed in it")
        else:
            self._engine.carry_out(change)

    def close(self) -> None:
        """Let go of connections."""
        for one in (self._engine, self._theirs):
            if one is not None:
                one.close()
        self._theirs = None

    def _session(self) -> CephSession:
        """As the owner lets us in. Raises EngineUnreachable."""
        if self._theirs is None:
            entity = f"client.{self._existing.user}"
            key = read_keyring(self._existing.password_file, entity)
            self._theirs = CephSession(self._existing.managers, entity, key)
        return self._theirs

    def _look(self) -> EngineSeen:
        """The cluster as it was before us. Raises EngineUnreachable."""
        session = self._session()
        try:
            monitors, tree = session.ask("mon dump"), session.ask("osd tree")
            pools = session.ask("osd dump")["pools"]
        except CommandFailed as error:
            raise EngineUnreachable(f"the cluster cannot be looked at: {error}") from None
        fsid = monitors["fsid"]
        if self._existing.system_id and fsid != self._existing.system_id:
            raise EngineUnreachable(
                f"cluster {fsid} answers at {', '.join(self._existing.managers)}, and the spec names "
                f"{self._existing.system_id}"
            )
        theirs = [one for one in pools if "rbd" in one["application_metadata"]]
        return EngineSeen(
            system_id=fsid,
            managers=tuple(managers_of(monitors)),
            pools=tuple(SeenPool(str(one["pool"]), _name(one)) for one in theirs),
            servers=tuple(
                SeenServer(str(one["id"]), one["name"], "", None, connected=True)
                for one in tree["nodes"]
                if one["type"] == "host"
            ),
            volumes=tuple(
                SeenVolume(f"{one['pool']}-{image}", image, _name(one), 0)
                for one in theirs
                for image in image_names(session, one["pool_name"])
            ),
        )

    def _owner(self) -> str | None:
        """Who has adopted it. Raises EngineUnreachable."""
        try:
            found = self._session().get(_OWNER)
        except CommandFailed as error:
            raise EngineUnreachable(f"who has adopted the cluster is not known: {error}") from None
        return str(found.get("secret_digest")) if found is not None else None

    def _adopt(self, change: AdoptEngine) -> None:
        """Make our key. Nothing that is there is changed."""
        seen, session = self._look(), self._session()
        if seen.system_id != change.system_id:
            raise ChangeRefused(f"cluster {seen.system_id} answers, not {change.system_id}")
        try:
            least = int(session.ask("mon dump")["min_mon_release"])
            if least < _LEAST_RELEASE:
                release = _RELEASES.get(least, str(least))
                raise ChangeRefused(
                    f"the cluster is of release {release}, and {_RELEASES[_LEAST_RELEASE]} is the least"
                )
            us = secret_digest(self._secret)
            if self._owner() not in (None, us):
                raise ChangeRefused(_TAKEN)
            text = keyring(self._secret, names.ADMIN, cephx_key(self._secret, names.ADMIN))
            session.command("auth add", text.encode(), entity=names.ADMIN, caps=_ALL)
            session.set(_OWNER, {"secret_digest": us})
        except CommandFailed as error:
            raise ChangeRefused(
                f"the cluster does not let client.{self._existing.user} make a key for us: {error}"
            ) from None


def read_keyring(path: str, entity: str) -> str:
    """An entity's key. Raises EngineUnreachable, as nothing can be asked without it."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    try:
        parser.read_string(Path(path).read_text())
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise EngineUnreachable(f"{path} cannot be read: {reason}") from None
    except configparser.Error:
        raise EngineUnreachable(f"{path} is no keyring of Ceph's") from None
    if not parser.has_option(entity, "key"):
        known = ", ".join(parser.sections()) or "nobody"
        raise EngineUnreachable(f"{path} has no key of {entity}; it has those of {known}")
    key = parser.get(entity, "key").strip()
    if not is_key(key):
        raise EngineUnreachable(
            f"{path} has something for {entity} that is no key: see ceph auth get {entity}"
        )
    return key


def _name(pool: Json) -> PoolName:
    return PoolName("", pool["pool_name"])
