"""A connection to a Ceph cluster as its administrator: commands with JSON, never text that is parsed."""

from __future__ import annotations

import errno
import json
import threading
from collections.abc import Sequence
from typing import Any

from artesian.engines.ceph import names
from artesian.engines.ceph.bindings import load_rados
from artesian.engines.ceph.errors import BindingsMissing, CommandFailed
from artesian.engines.ceph.patience import GivenUp, Patient
from artesian.engines.port import EngineUnreachable

Json = dict[str, Any]
_MOUNT_TIMEOUT_S = 3
_COMMAND_TIMEOUT_S = 4
_AWAY = frozenset({errno.ETIMEDOUT, errno.ENOTCONN, errno.ESHUTDOWN})
# What a manager daemon answers; a monitor says no more than EINVAL to it.
_OF_MANAGER_DAEMONS = frozenset(
    {
        "osd purge", "osd safe-to-destroy", "osd ok-to-stop", "osd df", "osd perf", "osd pool stats",
        "pg dump",
    }
)  # fmt: skip


class CephSession:
    """Connects when it is first asked for something. Safe to use from several threads.

    `monitors` are addresses with or without their port. Whatever takes too long is EngineUnreachable.
    """

    def __init__(self, monitors: Sequence[str], entity: str, key: str) -> None:
        self._monitors = [one if ":" in one else f"{one}:{names.MONITOR_PORT}" for one in monitors]
        self._entity = entity
        self._key = key
        self._lock = threading.Lock()
        self._rados: Any = None
        self._cut_off: list[Any] = []  # connections that disks do not listen to; others may be using them
        self._patient = Patient()
        self._patient_rados: Any = None  # that never gives up

    def rados(self) -> Any:
        """The connection itself, for what works on objects. Raises EngineUnreachable."""
        with self._lock:
            if self._rados is None:
                self._rados = self._connected({"rados_mon_op_timeout": str(_COMMAND_TIMEOUT_S)})
            return self._rados

    def begin_anew(self, connection: Any) -> None:
        """With another connection than this one, which was put on the blocklist: by whoever took us for dead,
        or leads in our place."""
        with self._lock:
            if connection is self._rados:
                self._cut_off.append(connection)
                self._rados = None

    def _for_manager_daemons(self) -> Any:
        self.rados()  # who is not reached at all is known sooner by this one
        with self._lock:
            if self._patient_rados is None:
                self._patient_rados = self._connected({})
            return self._patient_rados

    def _connected(self, more: dict[str, str]) -> Any:
        try:
            rados = load_rados()
        except BindingsMissing as error:
            raise EngineUnreachable(str(error)) from None
        settings = {
            "mon_host": ",".join(f"[v2:{one}/0]" for one in self._monitors),
            "key": self._key,
            "client_mount_timeout": str(_MOUNT_TIMEOUT_S),
            "rados_osd_op_timeout": str(_COMMAND_TIMEOUT_S),
            # What waits for a disk asks soon whether the disk is still there.
            "objecter_timeout": "1",
            "objecter_tick_interval": "0.5",
            "mon_client_hunt_parallel": "3",
            "mon_client_hunt_interval": "1",
            "mon_client_ping_interval": "1",
            "mon_client_ping_timeout": "3",
            "ms_initial_backoff": "0.05",
            "ms_max_backoff": "1",
            "ms_async_op_threads": "1",
            "rbd_cache": "false",
            "admin_socket": "",
            "log_file": "/dev/null",
            "log_to_stderr": "false",
            "err_to_stderr": "false",
            **more,
        }
        if not self._monitors:
            raise EngineUnreachable("no monitor is known")
        made = rados.Rados(name=self._entity, conf=settings, conffile=None)
        try:
            made.connect(timeout=_MOUNT_TIMEOUT_S)
        except rados.PermissionDeniedError:
            made.shutdown()
            raise KeyRefused(f"the monitors {self._listed()} do not take the key of {self._entity}") from None
        except rados.Error as error:
            made.shutdown()
            raise EngineUnreachable(
                f"no quorum of the monitors {self._listed()} answers: {_words(error)}"
            ) from None
        return made

    def _listed(self) -> str:
        return ", ".join(self._monitors)

    def command(self, prefix: str, body: bytes = b"", *, monitor: str | None = None, **values: Any) -> Any:
        """Its answer as JSON, or its text where there is none. `monitor`: that very one is asked.

        Raises CommandFailed, EngineUnreachable.
        """
        text = json.dumps({"prefix": prefix, "format": "json", **values})
        if prefix in _OF_MANAGER_DAEMONS:
            number, answer, said = self._ask_manager_daemon(text, body)
        elif monitor is not None:
            number, answer, said = self.rados().mon_command(text, body, target=monitor)
        else:
            number, answer, said = self.rados().mon_command(text, body)
        if -number in _AWAY:
            raise EngineUnreachable(
                f"the cluster does not answer to 'ceph {prefix}' in {_COMMAND_TIMEOUT_S} s"
            )
        if number:
            raise CommandFailed(prefix, -number, said)
        try:
            return json.loads(answer) if answer.strip() else said
        except ValueError:
            return answer.decode(errors="replace")

    def follow_map(self) -> None:
        """Until disks are asked with all that the monitors know by now. Raises EngineUnreachable."""
        connection = self.rados()
        try:
            self._patient.ask(connection.wait_for_latest_osdmap, _COMMAND_TIMEOUT_S)
        except GivenUp:
            raise EngineUnreachable(f"the monitors give no map in {_COMMAND_TIMEOUT_S} s") from None
        except load_rados().Error as error:
            raise EngineUnreachable(f"the monitors give no map: {_words(error)}") from None

    def _ask_manager_daemon(self, text: str, body: bytes) -> tuple[int, bytes, str]:
        connection = self._for_manager_daemons()
        try:
            found: tuple[int, bytes, str] = self._patient.ask(
                lambda: connection.mgr_command(text, body), _COMMAND_TIMEOUT_S
            )
        except GivenUp:
            return -errno.ETIMEDOUT, b"", ""
        return found

    # --- the monitors' key-value store

    def put(self, key: str, value: Json) -> None:
        """Store a document; nobody else's is lost as each has a key of its own."""
        self.command("config-key set", key=key, val=json.dumps(value, sort_keys=True))

    def take(self, key: str) -> Json | None:
        """A document; None if there is none."""
        try:
            found = self.command("config-key get", key=key)
        except CommandFailed as error:
            if error.number == errno.ENOENT:
                return None
            raise
        return found if isinstance(found, dict) else {}

    def forget(self, key: str) -> None:
        """Remove a document, if it is there."""
        self.command("config-key rm", key=key)

    def documents(self, key: str) -> dict[tuple[str, ...], Json]:
        """All below a key, by the parts of their keys; of what is not ours nothing. Raises ValueError."""
        found = self.command("config-key dump", key=key)
        texts = {names.parts(one): text for one, text in (found if isinstance(found, dict) else {}).items()}
        return {key: json.loads(text) for key, text in texts.items() if key[0] in names.KINDS}

    def address(self) -> str:
        """Ours, as others see it: address, port and nonce."""
        return str(self.rados().get_addrs())

    def close(self) -> None:
        """Let go of the connection."""
        with self._lock:
            if not self._patient.is_owed_answers:  # else somebody still waits for one of them
                for one in (self._rados, self._patient_rados, *self._cut_off):
                    if one is not None:
                        one.shutdown()
            self._cut_off.clear()
            self._rados = self._patient_rados = None


class KeyRefused(EngineUnreachable):
    """The cluster is there, and does not know us."""


def _words(error: Exception) -> str:
    return " ".join(str(error).split())
