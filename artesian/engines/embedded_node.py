"""The embedded engine on one node: its configs and processes, made as the assignment says."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import yaml

from artesian.embedded.config import GatewayConfig, MdmConfig, SdcConfig, SdsConfig
from artesian.embedded.errors import EngineError
from artesian.embedded.gateway.certificate import PUBLIC_FILE
from artesian.embedded.local import managers
from artesian.embedded.local.layout import ProcessPlace, Role
from artesian.embedded.local.starter import Starter
from artesian.engines.embedded_names import (
    CONTROL_PORT,
    GATEWAY_PORT,
    control_address,
    manager_peer,
    server_port,
)
from artesian.engines.node_port import NodeEngineError, Part
from artesian.engines.node_secret import take_secret
from artesian.engines.started_under import remember, started_under
from artesian.host import processes
from artesian.host.files import put_aside, rotate_log, write_if_changed
from artesian.host.processes import ProcessIdentity
from artesian.model.assignment import Assignment
from artesian.model.names import server_name
from artesian.model.observation import SeenProcess
from artesian.model.restart import RestartPart

_STOP_ORDER = (Role.SDC, Role.SDS, Role.GATEWAY, Role.MDM)
_STOP_TIMEOUT_S = 30.0
_SETTLED_S = 5.0  # after which whoever asks the engine hears of it
_PARTS = {
    Role.MDM: RestartPart.MANAGERS,
    Role.GATEWAY: RestartPart.MANAGERS,
    Role.SDS: RestartPart.SERVERS,
}
_MEMBERS_TIMEOUT_S = 3.0

Config = MdmConfig | SdsConfig | SdcConfig | GatewayConfig


class EmbeddedNode:
    """Everything of the engine on this node is below `folder`; `secret` is the engine's."""

    def __init__(self, folder: Path, secret: str) -> None:
        self._folder = folder
        self._secret = secret
        self._secret_file = folder / "secret"
        self._starter = Starter()
        for path in (folder, folder / "run", folder / "logs"):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._texts: tuple[Assignment, dict[str, tuple[Role, str]]] | None = None

    # --- what runs

    def ensure(self, assignment: Assignment, held_down: Collection[str] = ()) -> list[str]:
        """Start what is missing, end what is not wanted; names of what was changed.

        Raises NodeEngineError for what an assignment of the past, or of another store, must not do: take
        another secret than the engine's, or end a manager that is a member of the quorum. The rest is done.
        """
        try:
            return self._ensure(assignment, held_down)
        except EngineError as error:
            raise NodeEngineError(str(error)) from error

    def _ensure(self, assignment: Assignment, held_down: Collection[str]) -> list[str]:
        objections: list[str] = []
        changed = take_secret(self._secret_file, self._secret, assignment, self.stop, objections)
        configs = self._config_texts(assignment)
        unwanted = [place for place in self._known() if place.name not in configs]
        if not assignment.manages and (self._folder / "mdm").exists():
            objection = self._manager_objection(assignment)
            if objection is None:
                changed += self._stop([place for place in unwanted if place.role is Role.MDM])
                put_aside(self._folder / "mdm")  # it must not come back with what it knew then
            else:
                objections.append(objection)
                unwanted = [place for place in unwanted if place.role not in (Role.MDM, Role.GATEWAY)]
        changed += self._stop(unwanted)
        changed += self._end_outdated(assignment, configs, held_down)
        missing = []
        for name, (role, text) in configs.items():
            place = self._place(role, name)
            write_if_changed(place.config, text, 0o600)
            if name not in held_down and processes.running(place.pid_file) is None:
                rotate_log(place.log)
                remember(self._run, name, assignment.restart)
                missing.append(place)
        if missing:
            self._starter.start(missing)
        if objections:
            raise NodeEngineError("; ".join(objections))
        return changed + [place.name for place in missing]

    def _end_outdated(
        self, assignment: Assignment, configs: dict[str, tuple[Role, str]], held_down: Collection[str]
    ) -> list[str]:
        """End what is to be started anew; what starts processes is to know how they are now, too."""
        outdated = [
            self._place(role, name)
            for name, (role, _) in configs.items()
            if name not in held_down and started_under(self._run, name) < assignment.since(_PARTS.get(role))
        ]
        if outdated:
            self._starter.close()
        return self._stop(outdated)

    def _manager_objection(self, assignment: Assignment) -> str | None:
        """Why the manager here must go on; None if its quorum has let it go."""
        mine = [place for place in self._known() if place.role is Role.MDM]
        addresses = {(place.address, CONTROL_PORT) for place in assignment.managers}
        for place in mine:
            peers = yaml.safe_load(place.config.read_text()).get("peers", ())
            addresses |= {(peer["ip"], peer["control_port"]) for peer in peers}
        if not mine or not self._secret_file.exists():
            return None
        try:
            state, _ = managers.query(
                sorted(addresses), self._secret_file.read_text().strip().encode(), _MEMBERS_TIMEOUT_S
            )
        except EngineError as error:
            return f"whether the manager here may end is not known: {error}"
        if any(member.ip == assignment.address for member in state.managers.values()):
            return (
                "the manager here is a member of the quorum, and goes on until it has been taken out of that"
            )
        return None

    def stop(self) -> list[str]:
        """End all processes, clients first, managers last."""
        return self._stop(self._known())

    def _stop(self, places: Sequence[ProcessPlace]) -> list[str]:
        ended = []
        for role in _STOP_ORDER:
            of_role = [place for place in places if place.role is role]
            alive = [(place, processes.running(place.pid_file)) for place in of_role]
            living: list[ProcessIdentity] = [identity for _, identity in alive if identity is not None]
            processes.stop(living, _STOP_TIMEOUT_S)
            ended += [place.name for place, identity in alive if identity is not None]
            for place in of_role:
                place.pid_file.unlink(missing_ok=True)
                place.config.unlink(missing_ok=True)
        return ended

    def processes(self) -> tuple[SeenProcess, ...]:
        """Those that have a config here."""
        seen = []
        for place in self._known():
            identity = processes.running(place.pid_file)
            process_id = identity.process_id if identity is not None else None
            part, number = _PARTS.get(place.role), started_under(self._run, place.name)
            settled = identity is not None and identity.age_s > _SETTLED_S
            seen.append(SeenProcess(place.name, identity is not None, process_id, part, number, settled))
        return tuple(seen)

    def running(self, part: Part) -> dict[str, ProcessIdentity]:
        """Those that run now, by name."""
        roles = {Part.SERVERS: (Role.SDS,), Part.MANAGER: (Role.MDM,), Part.ALL: tuple(Role)}[part]
        found = {
            place.name: processes.running(place.pid_file) for place in self._known() if place.role in roles
        }
        return {name: identity for name, identity in found.items() if identity is not None}

    def volume_address(self, volume_id: str) -> str:
        """By id, so that a volume may be renamed while it is in use."""
        return f"nbd+unix:///{volume_id}?socket={self._socket}"

    def certificate(self) -> str | None:
        """The gateway's, once it has made one."""
        try:
            return (self._folder / "gateway" / PUBLIC_FILE).read_text()
        except OSError:
            return None

    @property
    def _run(self) -> Path:
        return self._folder / "run"

    @property
    def _socket(self) -> Path:
        return self._folder / "nbd.sock"

    def _place(self, role: Role, name: str) -> ProcessPlace:
        return ProcessPlace(
            role,
            name,
            None,
            config=self._folder / f"{role}~{name}.yaml",
            log=self._folder / "logs" / f"{name}.log",
            pid_file=self._run / f"{name}.pid",
        )

    def _known(self) -> list[ProcessPlace]:
        """Those whose config is here, assigned by whomever."""
        places = []
        for path in sorted(self._folder.glob("*~*.yaml")):
            role, _, name = path.stem.partition("~")
            places.append(self._place(Role(role), name))
        return places

    # --- configs

    def _config_texts(self, assignment: Assignment) -> dict[str, tuple[Role, str]]:
        """By the names of the processes; written down once for each assignment, not each second."""
        if self._texts is None or self._texts[0] != assignment:
            texts = {
                name: (role, yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))
                for name, (role, config) in self._configs(assignment).items()
            }
            self._texts = assignment, texts
        return self._texts[1]

    def _configs(self, assignment: Assignment) -> dict[str, tuple[Role, Config]]:
        """By the names of the processes."""
        known = [control_address(text) for text in assignment.manager_addresses]
        known += [(place.address, CONTROL_PORT) for place in assignment.managers]
        managers = [f"{host}:{port}" for host, port in known]
        configs: dict[str, tuple[Role, Config]] = {}
        if assignment.manages:
            config = self._manager(assignment)
            configs[config.name] = (Role.MDM, config)
        if assignment.is_gateway:
            configs["gateway"] = (
                Role.GATEWAY,
                GatewayConfig(
                    ip=assignment.address,
                    port=GATEWAY_PORT,
                    managers=managers,
                    secret_file=self._secret_file,
                    certificate_dir=self._folder / "gateway",
                ),
            )
        for domain in assignment.domains:
            name = server_name(assignment.node, domain)
            configs[f"sds-{name}"] = (
                Role.SDS,
                SdsConfig(
                    name=name,
                    ip=assignment.address,
                    port=server_port(domain),
                    managers=managers,
                    secret_file=self._secret_file,
                ),
            )
        if assignment.is_client:
            configs["sdc"] = (Role.SDC, self._client(assignment, managers))
        return configs

    def _manager(self, assignment: Assignment) -> MdmConfig:
        peers = [manager_peer(place) for place in assignment.managers]
        mine = next(peer for peer in peers if peer.ip == assignment.address)
        return MdmConfig(
            **mine.model_dump(),
            secret_file=self._secret_file,
            data_dir=self._folder / "mdm",
            peers=peers,
        )

    def _client(self, assignment: Assignment, managers: list[str]) -> SdcConfig:
        return SdcConfig(
            name=assignment.node[:31],
            ip=assignment.address,
            guid=assignment.client_guid,
            managers=managers,
            secret_file=self._secret_file,
            nbd_socket=self._socket,
            state_dir=self._folder / "sdc",
        )
