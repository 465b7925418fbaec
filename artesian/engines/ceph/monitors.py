"""Asking a cluster's monitors: one connection as one entity, and nothing that waits for ever."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from artesian.engines.ceph import names
from artesian.engines.ceph.bindings import load_rados
from artesian.engines.ceph.conf import client_settings
from artesian.engines.ceph.errors import CommandFailed, MonitorsSilent
from artesian.engines.ceph.keys import cephx_key

_JSON = json.JSONDecoder()
_SILENT = (errno.ETIMEDOUT, errno.EINTR, errno.ENOTCONN, errno.ESHUTDOWN)


class Monitors:
    """Connects when it is first asked. Whatever is asked raises MonitorsSilent, CommandFailed or
    BindingsMissing. For one thread."""

    def __init__(
        self,
        fsid: str,
        addresses: Sequence[str],
        entity: str,
        key: str,
        *,
        answer_s: float = 5.0,
        more: Mapping[str, str] | None = None,
    ) -> None:
        self._settings = client_settings(fsid, addresses, answer_s) | {"key": key} | dict(more or {})
        self._entity = entity
        self._rados: Any = None

    @classmethod
    def as_admin(cls, fsid: str, addresses: Sequence[str], secret: str, *, answer_s: float = 5.0) -> Monitors:
        """As whoever may do everything; what is asked of disks does not take for ever either."""
        more = {"rados_osd_op_timeout": f"{answer_s:g}"}
        return cls(fsid, addresses, names.ADMIN, cephx_key(secret, names.ADMIN), answer_s=answer_s, more=more)

    def __enter__(self) -> Monitors:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def rados(self) -> Any:
        """The connection, for what is not asked of monitors."""
        if self._rados is None:
            rados = load_rados()
            connection = rados.Rados(name=self._entity, conf=self._settings)
            try:
                connection.connect()
            except rados.Error as error:
                connection.shutdown()
                raise MonitorsSilent(f"no monitor lets {self._entity} in: {error}") from None
            self._rados = connection
        return self._rados

    def close(self) -> None:
        """Let go of the connection."""
        if self._rados is not None:
            self._rados.shutdown()
            self._rados = None

    def command(self, prefix: str, payload: bytes = b"", **arguments: object) -> bytes:
        """One command; what it answers."""
        rados = load_rados()
        text = json.dumps({"prefix": prefix, "format": "json", **arguments})
        try:
            number, answer, words = self.rados.mon_command(text, payload)
        except rados.Error as error:
            raise MonitorsSilent(f"the monitors do not answer: {error}") from None
        if -number in _SILENT:
            raise MonitorsSilent(f"the monitors do not answer: {os.strerror(-number)}")
        if number != 0:
            raise CommandFailed(prefix, -number, words or os.strerror(-number))
        return bytes(answer)

    def ask(self, prefix: str, payload: bytes = b"", **arguments: object) -> Any:
        """One command that answers with JSON, behind which some add words for people."""
        try:
            found, _ = _JSON.raw_decode(self.command(prefix, payload, **arguments).decode().lstrip())
            return found
        except ValueError as error:
            raise CommandFailed(prefix, errno.EPROTO, f"the answer is no JSON: {error}") from None

    def get(self, key: str) -> dict[str, Any] | None:
        """An object of the key-value store; None if there is none."""
        try:
            found = self.ask("config-key get", key=key)
        except CommandFailed as error:
            if error.number == errno.ENOENT:
                return None
            raise
        return found if isinstance(found, dict) else {}

    def set(self, key: str, value: Mapping[str, object]) -> None:
        """Set an object of the key-value store, unless it is so already."""
        if self.get(key) != dict(value):
            self.command("config-key set", key=key, val=json.dumps(value, sort_keys=True))

    def remove(self, key: str) -> None:
        """Nothing, if it is not there."""
        self.command("config-key rm", key=key)

    def dump(self, prefix: str) -> dict[str, dict[str, Any]]:
        """All objects whose keys begin so."""
        found = self.ask("config-key dump", key=prefix)
        return {key: _object(text) for key, text in found.items()}

    def ensure_entity(self, entity: str, key: str, caps: Mapping[str, str]) -> None:
        """Let somebody in with this key."""
        try:
            (known,) = self.ask("auth get", entity=entity)
            if known["key"] == key and known["caps"] == dict(caps):
                return
        except CommandFailed as error:
            if error.number != errno.ENOENT:
                raise
        lines = [f"[{entity}]", f"\tkey = {key}"]
        lines += [f'\tcaps {kind} = "{escaped(text)}"' for kind, text in caps.items()]
        self.command("auth import", "\n".join([*lines, ""]).encode())


def escaped(text: str) -> str:
    """As it is written between quotes in a keyring."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
