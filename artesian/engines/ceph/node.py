"""Ceph on one node: its configs and processes, made as the assignment says."""

from __future__ import annotations

import os
import signal
import time
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

from artesian.engines.ceph import client_process, mon_process, osd_process, packages
from artesian.engines.ceph.conf import CONF_FILE, KEYS, addresses_of, node_conf
from artesian.engines.ceph.errors import BindingsUnfit, CephNodeError
from artesian.engines.ceph.keys import keyring
from artesian.engines.ceph.launching import Launcher, Place, known, make_folders
from artesian.engines.ceph.names import KIND, OWNER, fsid
from artesian.engines.ceph.planned import clearing, installing, planned
from artesian.engines.ceph.process_config import ProcessConfig, Role, read_config, volume_socket
from artesian.engines.node_port import NodeEngineError, Part
from artesian.engines.node_secret import take_secret
from artesian.host import processes
from artesian.host.files import put_aside, write_if_changed
from artesian.host.processes import ProcessIdentity
from artesian.model.assignment import Assignment
from artesian.model.engine import CephSettings
from artesian.model.observation import SeenProcess
from artesian.model.restart import RestartPart

_ANSWER_S = 3.0
_INSTALL_AGAIN_S = 300.0
_BY_THE_WAY = (Role.CLEARING, Role.PACKAGES)  # what ends by itself is not told of
# Monitors miss one of theirs only when two leases have passed, and then elect; of an OSD its map says which
# process it is.
_SETTLED_S = defaultdict(lambda: 3.0, {Role.MON: 16.0})
_PARTS = {
    Role.MON: RestartPart.MANAGERS,
    Role.MGR: RestartPart.MANAGERS,
    Role.OSD: RestartPart.SERVERS,
}
_ROLES = {
    Part.SERVERS: (Role.OSD,),
    Part.MANAGER: (Role.MON,),
    Part.ALL: (Role.MON, Role.MGR, Role.OSD, Role.CLIENT, Role.VOLUME),
}


class CephNode:
    """Everything of the engine on this node is below `folder`; `secret` is the engine's."""

    def __init__(self, folder: Path, secret: str) -> None:
        self._folder = folder.resolve()
        self._secret = secret
        self._secret_file = self._folder / "secret"
        self._launcher = Launcher()
        self._has_everything: set[Role] = set()
        self._installed_s = float("-inf")
        make_folders(self._folder)

    # --- what runs

    def ensure(self, assignment: Assignment, held_down: Collection[str] = ()) -> list[str]:
        """Start what is missing, end what is not wanted; names of what was changed.

        Raises NodeEngineError for what an assignment of the past, or of another store, must not do: take
        another secret than the engine's, or end a monitor that is a member of the quorum; and as long as the
        node lacks packages. The rest is done.
        """
        self._launcher.reap()
        objections: list[str] = []
        changed = take_secret(self._secret_file, self._secret, assignment, self.stop, objections)
        configs = planned(assignment, self._folder) if assignment.engine_kind == KIND else {}
        changed += self._end_unwanted(assignment, configs, objections)
        if configs:
            self._write_conf(assignment)
        wanted = [(Place(self._folder, config.role, name), config) for name, config in configs.items()]
        for place, config in wanted:
            place.write(config)
        self._let_go_of_disks()
        lacking = self._lacks({config.role for config in configs.values()})
        if lacking:
            objections.append(lacking)
        else:
            free = [(place, config) for place, config in wanted if place.name not in held_down]
            changed += self._end_outdated(assignment, free)
            changed += [place.name for place, _ in free if self._launcher.start(place, assignment.restart)]
            self._go_on_clearing()
        if objections:
            raise NodeEngineError("; ".join(objections))
        return changed

    def _end_unwanted(
        self, assignment: Assignment, configs: dict[str, ProcessConfig], objections: list[str]
    ) -> list[str]:
        unwanted = [place for place in known(self._folder) if _is_unwanted(place, configs)]
        leaves = "mon" not in configs and (self._folder / "mon").exists()
        objection = self._manager_objection(assignment) if leaves else None
        if objection is not None:
            objections.append(objection)
            unwanted = [place for place in unwanted if place.role not in (Role.MON, Role.MGR)]
        left = [read_config(place.config) for place in unwanted if place.role is Role.OSD]
        ended = self._end(unwanted)
        if leaves and objection is None:
            put_aside(self._folder / "mon")
        for config in map(clearing, left):
            Place(self._folder, config.role, config.name).write(config)
        return ended

    def _end_outdated(self, assignment: Assignment, wanted: list[tuple[Place, ProcessConfig]]) -> list[str]:
        """End what is to be started anew."""
        outdated = [
            (place, config)
            for place, config in wanted
            if place.started_under < assignment.since(_PARTS.get(place.role))
        ]
        ended = self._end([place for place, _ in outdated])
        for place, config in outdated:
            place.write(config)
        return ended

    def _manager_objection(self, assignment: Assignment) -> str | None:
        """Why the monitor here must go on; None if its quorum has let it go."""
        place = Place(self._folder, Role.MON, "mon")
        if not place.config.exists() or not self._secret_file.exists():
            return None
        config = read_config(place.config)
        try:
            if mon_process.is_member(config, _ANSWER_S, addresses_of(assignment)):
                return (
                    "the monitor here is a member of the quorum, and goes on until it has been taken out of "
                    "that"
                )
        except CephNodeError as error:
            return f"whether the monitor here may end is not known: {error}"
        return None

    def _write_conf(self, assignment: Assignment) -> None:
        """What daemons read, and whoever looks after them with Ceph's own tools."""
        settings = assignment.ceph or CephSettings()
        text = node_conf(self._folder, fsid(assignment.system_id), addresses_of(assignment), settings)
        write_if_changed(self._folder / CONF_FILE, text, 0o600)
        if not assignment.manager_addresses:  # of a cluster that is somebody else's he has the key
            write_if_changed(self._folder / KEYS / f"{OWNER}.keyring", keyring(self._secret, OWNER), 0o600)

    def stop(self) -> list[str]:
        """End all processes: clients first, monitors last."""
        places = known(self._folder)
        unfinished = [read_config(place.config) for place in places if place.role is Role.CLEARING]
        ended = self._end(places)
        for config in unfinished:
            Place(self._folder, config.role, config.name).write(config)
        return ended

    def _end(self, places: list[Place]) -> list[str]:
        """The names of those that are told of."""
        ended = self._launcher.stop(places)
        told = {place.name for place in places if place.role not in _BY_THE_WAY}
        for place in places:
            if place.role is Role.VOLUME:
                client_process.forget(self._folder, place.name.removeprefix("volume-"))
            elif place.role is Role.OSD:
                osd_process.forget_deaths(self._folder, place.name)
        return [name for name in ended if name in told]

    def processes(self) -> tuple[SeenProcess, ...]:
        """Those that have a config here."""
        seen = []
        for place in known(self._folder):
            if place.role not in _BY_THE_WAY:
                identity = place.running
                process_id = identity.process_id if identity is not None else None
                part, number = _PARTS.get(place.role), place.started_under
                settled = identity is not None and identity.age_s > _SETTLED_S[place.role]
                seen.append(SeenProcess(place.name, identity is not None, process_id, part, number, settled))
        return tuple(seen)

    def running(self, part: Part) -> dict[str, ProcessIdentity]:
        """Those that run now, by name."""
        found = {place.name: place.running for place in known(self._folder) if place.role in _ROLES[part]}
        return {name: identity for name, identity in found.items() if identity is not None}

    def volume_address(self, volume_id: str) -> str:
        """By id, so that a volume may be renamed while it is in use."""
        return f"nbd+unix:///{volume_id}?socket={self._folder}/{volume_socket(volume_id)}"

    def certificate(self) -> str | None:
        """There is no gateway: monitors are asked themselves."""
        return None

    # --- what is needed first

    def _lacks(self, roles: set[Role]) -> str:
        """What is not there that these processes need, and what is done about it; empty if all is there."""
        unknown = roles - self._has_everything
        try:
            lacking = packages.missing(unknown) if unknown else []
        except BindingsUnfit as error:
            return str(error)
        if not lacking:
            self._has_everything |= roles
            return ""
        refusal = packages.why_not(lacking, os.getuid(), packages.manager())
        if refusal:
            return refusal
        place = Place(self._folder, Role.PACKAGES, "packages")
        now_s = time.monotonic()
        if place.running is None and now_s - self._installed_s < _INSTALL_AGAIN_S:
            return f"{'; '.join(lacking)}: it could not be installed, see {place.log}"
        if place.running is None:
            self._installed_s = now_s
            place.write(installing(self._folder))
            self._launcher.start(place)
        return f"Ceph is being installed on this node: {'; '.join(lacking)}"

    # --- disks

    def _go_on_clearing(self) -> None:
        """What was not finished, as the monitors were away."""
        for place in known(self._folder):
            if place.role is Role.CLEARING:
                self._launcher.start(place)

    def _let_go_of_disks(self) -> None:
        """An OSD whose disk is a file that was taken out would not notice."""
        for place in known(self._folder):
            if place.role is Role.OSD and (identity := place.running) is not None:
                config = read_config(place.config)
                if osd_process.was_taken_out(config):
                    osd_process.forget_disk(config)  # once: what is started next waits for the disk
                    processes.send(identity, signal.SIGKILL)


def _is_unwanted(place: Place, configs: dict[str, ProcessConfig]) -> bool:
    match place.role:
        case Role.VOLUME:
            return "client" not in configs
        case Role.CLEARING:  # of a disk that is wanted again
            return place.name.removeprefix("clearing-") in configs
        case Role.PACKAGES:
            return False
    return place.name not in configs
