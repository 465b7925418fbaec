"""A connection to a Ceph cluster as one entity: commands with JSON, and nothing that waits for ever."""

from __future__ import annotations

import errno
import json
import os
import socket
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Self

from artesian.engines.ceph import names
from artesian.engines.ceph.bindings import load_rados
from artesian.engines.ceph.conf import client_settings, plain_address
from artesian.engines.ceph.errors import CommandFailed, MonitorsSilent, NotLetIn
from artesian.engines.ceph.keys import cephx_key, keyring_entry
from artesian.engines.ceph.patience import GivenUp, Patient

Json = dict[str, Any]
_DECODER = json.JSONDecoder()
_SILENT = (errno.ETIMEDOUT, errno.EINTR, errno.ENOTCONN, errno.ESHUTDOWN)
# What a manager daemon answers; a monitor says no more than EINVAL to it.
_OF_MANAGER_DAEMONS = frozenset(
    {
        "osd destroy", "osd purge", "osd safe-to-destroy", "osd ok-to-stop", "osd df", "osd perf",
        "osd pool stats", "pg dump",
    }
)  # fmt: skip


def listens(monitor: str, timeout_s: float = 0.3) -> bool:
    """Whether somebody is there at a monitor's address, as Ceph writes it: no more than that, but at once."""
    host, _, port = plain_address(monitor).rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout_s).close()
    except (OSError, ValueError):
        return False
    return True


class Monitors:
    """Connects when it is first asked. Safe to use from several threads.

    Whatever is asked raises MonitorsSilent, CommandFailed or BindingsMissing.
    """

    def __init__(
        self,
        fsid: str,
        addresses: Sequence[str],
        entity: str,
        key: str,
        *,
        answer_s: float = 5.0,
        connect_s: float | None = None,
    ) -> None:
        """`addresses` are as Ceph writes them; `fsid` may be empty, if it is not known yet."""
        self._fsid = fsid
        self._addresses = tuple(addresses)
        self._entity = entity
        self._key = key
        self._answer_s = answer_s
        self._connect_s = answer_s if connect_s is None else connect_s
        self._lock = threading.Lock()
        self._rados: Any = None
        self._cut_off: list[Any] = []  # connections that disks do not listen to; others may be using them
        self._patient = Patient()
        self._patient_rados: Any = None  # that never gives up

    @classmethod
    def as_admin(cls, fsid: str, addresses: Sequence[str], secret: str, *, answer_s: float = 5.0) -> Monitors:
        """As whoever may do everything."""
        return Monitors(fsid, addresses, names.ADMIN, cephx_key(secret, names.ADMIN), answer_s=answer_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- the connection

    @property
    def rados(self) -> Any:
        """The connection itself, for what is not asked of monitors."""
        with self._lock:
            if self._rados is None:
                self._rados = self._connected(is_patient=False)
            return self._rados

    def begin_anew(self, connection: Any) -> None:
        """With another connection than this one, which was put on the blocklist: by whoever took us for dead,
        or leads in our place."""
        with self._lock:
            if connection is self._rados:
                self._cut_off.append(connection)
                self._rados = None

    def follow_map(self) -> None:
        """Until disks are asked with all that the monitors know by now."""
        rados, connection = load_rados(), self.rados
        try:
            self._patient.ask(connection.wait_for_latest_osdmap, self._answer_s)
        except (GivenUp, rados.Error) as error:
            raise MonitorsSilent(f"the monitors give no map in {self._answer_s:g} s: {error}") from None

    def _for_manager_daemons(self) -> Any:
        _ = self.rados  # who is not reached at all is known sooner by this one
        with self._lock:
            if self._patient_rados is None:
                self._patient_rados = self._connected(is_patient=True)
            return self._patient_rados

    def _connected(self, *, is_patient: bool) -> Any:
        if not self._addresses:
            raise MonitorsSilent("no monitor is known")
        rados = load_rados()
        settings = client_settings(
            self._fsid, self._addresses, self._answer_s, self._connect_s, is_patient=is_patient
        )
        listed = ", ".join(map(plain_address, self._addresses))
        made = rados.Rados(name=self._entity, conf=settings | {"key": self._key})
        try:
            made.connect()
        except rados.PermissionDeniedError:
            made.shutdown()
            raise NotLetIn(f"the monitors {listed} do not take the key of {self._entity}") from None
        except rados.Error as error:
            made.shutdown()
            words = " ".join(str(error).split())
            raise MonitorsSilent(f"no quorum of the monitors {listed} answers: {words}") from None
        return made

    def address(self) -> str:
        """Ours, as others see it: address, port and nonce."""
        return str(self.rados.get_addrs())

    def close(self) -> None:
        """Let go of the connection."""
        with self._lock:
            if not self._patient.is_owed_answers:  # else somebody still waits for one of them
                for one in (self._rados, self._patient_rados, *self._cut_off):
                    if one is not None:
                        one.shutdown()
            self._cut_off.clear()
            self._rados = self._patient_rados = None

    # --- commands

    def command(
        self, prefix: str, payload: bytes = b"", *, monitor: str | None = None, **arguments: object
    ) -> bytes:
        """One command; what it answers. `monitor`: that very one is asked."""
        text = json.dumps({"prefix": prefix, "format": "json", **arguments})
        if prefix in _OF_MANAGER_DAEMONS:
            number, answer, said = self._of_manager_daemon(text, payload)
        else:
            number, answer, said = self._of_monitor(text, payload, monitor)
        if -number in _SILENT:
            raise MonitorsSilent(f"the cluster does not answer to 'ceph {prefix}' in {self._answer_s:g} s")
        if number:
            raise CommandFailed(prefix, -number, said or os.strerror(-number))
        return answer

    def _of_monitor(self, text: str, payload: bytes, monitor: str | None) -> tuple[int, bytes, str]:
        rados, connection = load_rados(), self.rados
        try:
            number, answer, said = connection.mon_command(text, payload, target=monitor)
        except rados.Error as error:
            raise MonitorsSilent(f"the monitors do not answer: {error}") from None
        return number, bytes(answer), said

    def _of_manager_daemon(self, text: str, payload: bytes) -> tuple[int, bytes, str]:
        rados, connection = load_rados(), self._for_manager_daemons()
        try:
            number, answer, said = self._patient.ask(
                lambda: connection.mgr_command(text, payload), self._answer_s
            )
        except GivenUp:
            return -errno.ETIMEDOUT, b"", ""
        except rados.Error as error:
            raise MonitorsSilent(f"the manager daemon does not answer: {error}") from None
        return number, bytes(answer), said

    def ask(
        self, prefix: str, payload: bytes = b"", *, monitor: str | None = None, **arguments: object
    ) -> Any:
        """One command that answers with JSON, behind which some add words for people."""
        answer = self.command(prefix, payload, monitor=monitor, **arguments)
        try:
            return _DECODER.raw_decode(answer.decode().lstrip())[0]
        except ValueError as error:
            raise CommandFailed(prefix, errno.EPROTO, f"the answer is no JSON: {error}") from None

    # --- the monitors' key-value store, in which each document has a key of its own

    def get(self, key: str) -> Json | None:
        """A document; None if there is none."""
        try:
            found = self.ask("config-key get", key=key)
        except CommandFailed as error:
            if error.number == errno.ENOENT:
                return None
            raise
        return found if isinstance(found, dict) else {}

    def set(self, key: str, value: Mapping[str, object]) -> None:
        """Store a document, unless it is so already."""
        if self.get(key) != dict(value):
            self.command("config-key set", key=key, val=json.dumps(value, sort_keys=True))

    def remove(self, key: str) -> None:
        """Nothing, if it is not there."""
        self.command("config-key rm", key=key)

    def documents(self, key: str) -> dict[tuple[str, ...], Json]:
        """All whose keys begin so, by the parts of their keys; of what is not ours nothing."""
        prefix = "config-key dump"
        texts = {names.parts(one): text for one, text in self.ask(prefix, key=key).items()}
        try:
            return {one: json.loads(text) for one, text in texts.items() if one[0] in names.KINDS}
        except ValueError as error:
            raise CommandFailed(prefix, errno.EPROTO, f"what is below {key} is no JSON: {error}") from None

    # --- who is let in

    def ensure_entity(self, entity: str, key: str, caps: Mapping[str, str]) -> None:
        """Let somebody in with this key."""
        try:
            (known,) = self.ask("auth get", entity=entity)
            if known["key"] == key and known["caps"] == dict(caps):
                return
        except CommandFailed as error:
            if error.number != errno.ENOENT:
                raise
        self.command("auth import", keyring_entry(entity, key, caps).encode())
