"""What each node has to do, out of what was decided: never out of what is seen.

An engine that does not answer, or an observation that is short of something, takes nothing away from anybody.
"""

from __future__ import annotations

from operator import attrgetter, itemgetter

from artesian.model.assignment import AssignedDevice, AssignedVolume, Assignment
from artesian.model.drill import faults_on, writer_on
from artesian.model.names import digest
from artesian.model.state import FrameworkState, Stopping
from artesian.model.topology import ManagerRole


def assignment_of(state: FrameworkState, node: str, address: str) -> Assignment:
    """The assignment of one node."""
    engine, record = state.engine, state.node(node)
    drills = state.drills if state.stopping is Stopping.NO else {}
    if engine is None:
        return Assignment(node, address)
    own = [place for place in engine.managers if place.node == node]
    restart = state.restart
    # Once a restart is over nobody is to begin with it any more, however late he hears of it.
    now = restart.number if restart is not None and restart.is_going else -1
    return Assignment(
        node=node,
        address=address,
        engine_kind=engine.kind,
        system_id=engine.system_id,
        engine_name=engine.name,
        managers=engine.managers,
        manager_addresses=engine.adopted.managers if engine.adopted is not None else (),
        manages=bool(own),
        is_gateway=any(place.role is ManagerRole.MANAGER for place in own),
        domains=record.domains,
        is_client=record.is_client,
        revision=record.revision,
        client_guid=engine.guid_of(node),
        secret_digest=engine.secret_digest,
        devices=_devices(state, node),
        is_new=engine.ceph is not None and not state.engine_seen_once,
        ceph=engine.ceph,
        volumes=_volumes(state, node) if state.stopping is Stopping.NO else (),
        stop=state.stopping is Stopping.ALL,
        discard=state.stopping is Stopping.DISCARD,
        faults=faults_on(drills, node),
        drill_writer=writer_on(drills, node),
        restart=restart.number if restart is not None else 0,
        managers_since=now if record.managers_since == now else 0,
        servers_since=now if record.servers_since == now else 0,
    )


def _devices(state: FrameworkState, node: str) -> tuple[AssignedDevice, ...]:
    """Of an engine whose nodes make its devices: the others are told by the engine itself."""
    if state.engine is None or state.engine.ceph is None:
        return ()
    claims = sorted(state.claims.values(), key=attrgetter("identity"))
    return tuple(
        AssignedDevice(one.identity, one.path, one.pool, one.size_bytes) for one in claims if one.node == node
    )


def generation_of(assignment: Assignment) -> str:
    """The same for the same assignment, always: the digest of all that it says."""
    return digest(repr(assignment))[:16]


def _volumes(state: FrameworkState, node: str) -> tuple[AssignedVolume, ...]:
    here = [item for item in state.volumes.items() if item[1].node == node]
    return tuple(
        AssignedVolume(
            wish.engine_id,
            wish.name,
            wish.size_bytes,
            wish.mount_path,
            wish.fstype,
            wish.generation,
            for_containers=bool(wish.hold),
        )
        for _, wish in sorted(here, key=itemgetter(0))
        if wish.engine_id is not None and not wish.deleted
    )
