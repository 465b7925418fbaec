"""What the leading manager has seen since it leads: connections and reports, and what follows from them."""

from __future__ import annotations

import dataclasses
from typing import Any

from artesian.embedded.state.live import ClientLive, DeviceLive, JoinLive, Live, ManagerLive, ServerLive
from artesian.embedded.state.model import State

SETTLE_S = 3.0  # after so long, whoever is alive has found us
REFUSAL_KEPT_S = 60.0  # so that whoever added a device learns why the server would not take it
_RATE_WEIGHT = 0.4  # of the newest measurement
_DEVICE_FIELDS = {field.name for field in dataclasses.fields(DeviceLive)}
_TUPLES = ("dropped_volumes", "allocated_volumes")


class Observation:
    """All times are the event loop's, in seconds. Reports are believed, if their form is right."""

    def __init__(self, now_s: float) -> None:
        self._began_s = now_s
        self._servers: dict[str, ServerLive] = {}
        self._devices: dict[str, dict[str, DeviceLive]] = {}  # by server
        self._joins: dict[str, dict[int, JoinLive]] = {}  # by the server that feeds them
        self._measured_s: dict[int, float] = {}
        self._clients: dict[str, ClientLive] = {}
        self._refused: dict[str, tuple[DeviceLive, float]] = {}

    # --- servers

    def server_connected(self, server_id: str, process_id: int, now_s: float) -> None:
        """Its earlier reports are void: it may be another process now."""
        self._devices.pop(server_id, None)
        self._joins.pop(server_id, None)
        self._servers[server_id] = ServerLive(True, now_s, 0, process_id)

    def server_lost(self, server_id: str, now_s: float) -> None:
        """What it last said of its devices is kept for the figures; nothing is known of its joins."""
        seen = self._servers.get(server_id)
        if seen is not None and seen.connected:
            self._servers[server_id] = dataclasses.replace(seen, connected=False, changed_s=now_s)
        self._joins.pop(server_id, None)

    def server_report(self, server_id: str, body: dict[str, Any], now_s: float) -> bool:
        """Take a report; True when it says more than new figures. Raises ValueError when it is malformed."""
        seen = self._servers.get(server_id)
        if seen is None or not seen.connected:
            return False
        version = int(body["version"])
        devices = {str(id): _device(report) for id, report in body["devices"].items()}
        joins = {int(id): self._join(int(id), report, now_s) for id, report in body["joins"].items()}
        before = self._devices.get(server_id, {}), self._joins.get(server_id, {})
        self._servers[server_id] = dataclasses.replace(seen, version=version)
        self._devices[server_id] = devices
        self._joins[server_id] = joins
        for job_id in before[1].keys() - joins.keys():
            self._measured_s.pop(job_id, None)
        return _essence(*before) != _essence(devices, joins) or version != seen.version

    def _join(self, job_id: int, report: dict[str, Any], now_s: float) -> JoinLive:
        copied = int(report["copied_bytes"])
        error = report.get("error")
        before = next((joins[job_id] for joins in self._joins.values() if job_id in joins), None)
        rate = 0.0
        passed_s = now_s - self._measured_s.get(job_id, now_s)
        if before is not None:
            rate = before.rate_bytes_per_s
            if passed_s > 0:
                newest = max(0, copied - before.copied_bytes) / passed_s
                rate = newest if not rate else rate + _RATE_WEIGHT * (newest - rate)
        self._measured_s[job_id] = now_s
        return JoinLive(
            _word(report["state"], ("copying", "mirrored", "failed")),
            copied,
            int(report["total_bytes"]),
            None if error is None else str(error),
            rate,
        )

    def device_refused(self, device_id: str, report: DeviceLive, now_s: float) -> None:
        """Keep a refusal for a while: the device itself leaves the state, and its server forgets it."""
        self._refused[device_id] = (report, now_s + REFUSAL_KEPT_S)

    # --- clients

    def client_connected(self, client_id: str, process_id: int, now_s: float) -> None:
        self._clients[client_id] = ClientLive(True, now_s, 0, process_id)

    def client_lost(self, client_id: str, now_s: float) -> None:
        seen = self._clients.get(client_id)
        if seen is not None and seen.connected:
            self._clients[client_id] = dataclasses.replace(seen, connected=False, changed_s=now_s)

    def client_report(self, client_id: str, body: dict[str, Any]) -> None:
        """Raises ValueError when it is malformed."""
        seen = self._clients.get(client_id)
        if seen is None:
            return
        volumes = {str(id): dict(report) for id, report in body["volumes"].items()}
        self._clients[client_id] = dataclasses.replace(seen, version=int(body["version"]), volumes=volumes)

    # --- all of it

    def settled(self, now_s: float) -> bool:
        return now_s - self._began_s >= SETTLE_S

    def live(self, state: State, managers: dict[str, ManagerLive], now_s: float) -> Live:
        """Everything as it is now. Servers and clients that have not appeared are away since we lead."""
        unseen = ServerLive(False, self._began_s)
        for server in state.servers.values():
            if server.in_maintenance:
                seen = self._servers.get(server.id, unseen)
                self._servers[server.id] = dataclasses.replace(seen, excused_s=now_s)
        unseen_client = ClientLive(False, self._began_s)
        self._refused = {id: kept for id, kept in self._refused.items() if kept[1] > now_s}
        devices = {id: report for id, (report, _) in self._refused.items()}
        for server_id, reports in self._devices.items():
            for device_id, report in reports.items():
                known = state.devices.get(device_id)
                if known is not None and known.server_id == server_id:
                    devices[device_id] = report
        return Live(
            now_s=now_s,
            settled=self.settled(now_s),
            servers={id: self._servers.get(id, unseen) for id in state.servers},
            devices=devices,
            clients={id: self._clients.get(id, unseen_client) for id in state.clients},
            joins={id: join for joins in self._joins.values() for id, join in joins.items()},
            managers=managers,
        )


def _device(report: dict[str, Any]) -> DeviceLive:
    fields = {name: value for name, value in report.items() if name in _DEVICE_FIELDS}
    _word(fields["state"], ("ready", "opening", "failed", "refused"))
    for name in _TUPLES:
        fields[name] = tuple(int(number) for number in fields.get(name, ()))
    return DeviceLive(**fields)


def _word(value: Any, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ValueError(f"{value!r} is none of {', '.join(known)}")
    return str(value)


def _essence(devices: dict[str, DeviceLive], joins: dict[int, JoinLive]) -> tuple[Any, Any]:
    """What a decision may depend on at once, without mere figures."""
    return (
        {
            id: (seen.state, seen.damaged, seen.dropped_volumes, seen.allocated_volumes)
            for id, seen in devices.items()
        },
        {id: join.state for id, join in joins.items()},
    )
