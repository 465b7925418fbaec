"""Ceph as the scheduler sees it: see the port for what its verbs promise."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import assert_never

from artesian.engines.ceph import arranging, names
from artesian.engines.ceph.clones import Clones
from artesian.engines.ceph.devices import Devices
from artesian.engines.ceph.errors import CommandFailed
from artesian.engines.ceph.gathering import Gatherer
from artesian.engines.ceph.images import Images
from artesian.engines.ceph.keys import cephx_key
from artesian.engines.ceph.reading import Reading, managers_of
from artesian.engines.ceph.session import CephSession, KeyRefused
from artesian.engines.ceph.snapshots import Snapshots
from artesian.engines.port import ChangeRefused, EngineUnreachable, NotYet
from artesian.model.changes import (
    AddClient,
    AddDevice,
    AddDomain,
    AddFaultSet,
    AddManager,
    AddPool,
    AddServer,
    AdoptEngine,
    CreateEngine,
    CreateSnapshot,
    CreateVolume,
    DeleteSnapshot,
    DeleteVolume,
    EngineChange,
    EnterMaintenance,
    ExitMaintenance,
    GrowVolume,
    MapVolume,
    RemoveClient,
    RemoveDevice,
    RemoveManager,
    RemoveServer,
    RenameVolume,
    ReturnDevice,
    SetHealing,
    SetLimits,
    SetSpare,
    UnmapVolume,
)
from artesian.model.engine import EngineSeen, ManagerPlace
from artesian.model.state import EngineIdentity


class CephEngine:
    """One cluster, whose keys are made of the engine's `secret`. Safe to use from several threads."""

    def __init__(self, identity: EngineIdentity, secret: str) -> None:
        self._system_id = identity.system_id
        self._secret = secret
        monitors = [place.address for place in identity.managers]
        if identity.adopted is not None:
            monitors += identity.adopted.managers
        self._session = CephSession(monitors, names.ADMIN, cephx_key(secret, names.ADMIN))
        self._gatherer = Gatherer(self._session)
        pools = threading.Lock()  # steps are taken several at once
        self._devices = Devices(self._session, identity.system_id, secret, pools)
        self._images = Images(self._session, identity.system_id, secret, pools)
        self._snapshots = Snapshots(self._session, self._images)
        self._clones = Clones(self._session, self._images, pools)

    def observe(self) -> EngineSeen:
        """Everything, at one moment. Raises EngineUnreachable."""
        reading = self._read(measured=True)
        with _understood():
            return reading.seen()

    def carry_out(self, change: EngineChange) -> None:
        """Raises NotYet, ChangeRefused or EngineUnreachable."""
        try:
            if isinstance(change, CreateEngine):
                self._create()
            elif isinstance(change, AdoptEngine):
                raise ChangeRefused("these nodes have an engine of their own")
            else:
                reading = self._read()
                with _understood():
                    self._carry_out(reading, change)
        except CommandFailed as error:
            raise ChangeRefused(str(error)) from None

    def close(self) -> None:
        """Let go of connections."""
        self._clones.close(lambda: self._images.close(self._session.close))

    def _read(self, *, measured: bool = False) -> Reading:
        """Raises EngineUnreachable, also if another cluster answers than ours."""
        with _understood():
            answers = self._gatherer.gather(measured=measured)
            fsid = answers.monitors["fsid"]
            if fsid != names.fsid(self._system_id):
                raise EngineUnreachable(f"cluster {fsid} answers, and that is another one")
            return Reading(answers, self._system_id, self._secret)

    def _create(self) -> None:
        """The monitors make one cluster of themselves; ours it is if it has the right id."""
        try:
            fsid = self._session.ask("mon dump")["fsid"]
        except KeyRefused as error:
            raise ChangeRefused(f"the monitors hold another cluster: {error}") from None
        except EngineUnreachable as error:
            raise NotYet(f"the monitors have no quorum yet: {error}") from None
        if fsid != names.fsid(self._system_id):
            raise ChangeRefused(f"the monitors hold another cluster, {fsid}")
        # Clones of snapshots that need not be protected; only once, or older clients could not join any more.
        self._session.command("osd set-require-min-compat-client", version="mimic")
        self.observe()

    def _carry_out(self, reading: Reading, change: EngineChange) -> None:
        session = self._session
        match change:
            case CreateEngine() | AdoptEngine():
                raise TypeError("an engine is made before anything is read from it")
            case AddManager(place):
                self._add_manager(reading, place)
            case RemoveManager(place):
                self._remove_manager(reading, place)
            case AddDomain(domain):
                arranging.add_domain(session, reading, domain)
            case AddFaultSet():
                arranging.add_fault_set(session, reading, change)
            case AddPool() | SetSpare():
                arranging.add_pool(session, reading, change)
            case SetHealing():
                arranging.set_healing(session, reading, change)
            case AddServer():
                arranging.add_server(session, reading, change)
            case RemoveServer():
                arranging.remove_server(session, reading, change)
            case AddClient():
                arranging.add_client(reading, change)
            case RemoveClient():
                arranging.remove_client(session, reading, change)
            case EnterMaintenance() | ExitMaintenance():
                arranging.maintain(session, reading, change)
            case AddDevice():
                self._devices.add(reading, change)
            case RemoveDevice():
                self._devices.remove(reading, change)
            case ReturnDevice():
                self._devices.give_back(reading, change)
            case CreateVolume():
                self._clones.create(reading, change)
            case GrowVolume():
                self._images.grow(reading, change)
            case RenameVolume():
                self._images.rename(reading, change)
            case MapVolume(volume, node):
                self._images.map(reading, volume, node)
            case UnmapVolume(volume, node):
                self._images.unmap(reading, volume, node)
            case SetLimits():
                self._images.limit(reading, change)
            case DeleteVolume(volume):
                self._clones.discard(reading, volume)
                self._images.delete(reading, volume)
            case CreateSnapshot():
                self._snapshots.take(reading, change)
            case DeleteSnapshot():
                self._snapshots.delete(reading, change)
            case _:
                assert_never(change)

    # --- managers

    def _add_manager(self, reading: Reading, place: ManagerPlace) -> None:
        """A monitor that is invited joins by itself as soon as it is started, and no sooner counts among the
        others."""
        for one in reading.managers():
            if one.host == place.address and one.role is not place.role:
                raise ChangeRefused(f"the manager on {place.node} is a {one.role} already: remove it first")
            if one.host == place.address and one.healthy:
                return
        name = names.monitor_name(place)
        if (name,) not in reading.documents("invited"):
            self._session.set(names.key("invited", name), {})
        raise NotYet(f"the new manager on {place.node} has not joined the others yet")

    def _remove_manager(self, reading: Reading, place: ManagerPlace) -> None:
        invited = names.monitor_name(place)
        if (invited,) in reading.documents("invited"):
            self._session.remove(names.key("invited", invited))
        present = list(reading.managers())
        name = next((one.name for one in present if one.host == place.address), None)
        if name is None:
            return
        left = [one for one in present if one.name != name]
        if 2 * sum(one.healthy for one in left) <= len(left):
            raise ChangeRefused(f"without the manager on {place.node} too few would answer")
        self._session.command("mon remove", name=name)
        self._session.command("auth rm", entity=f"mgr.{name}")
        # The monitors answer before they have agreed on it.
        if any(one.name == name for one in managers_of(self._session.ask("mon dump"))):
            raise NotYet(f"the others have not let go of the manager on {place.node} yet")


@contextlib.contextmanager
def _understood() -> Iterator[None]:
    """What is written down in the cluster, or how it answers, may be of others than us."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise EngineUnreachable(f"the cluster shows itself in an unknown way ({error!r})") from error
