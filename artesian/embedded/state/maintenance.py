"""Maintenance of servers: one may be away as long as its machine needs, and nobody remakes its copies.

What was written meanwhile is all that it gets when it is back, as after any absence. Until then its data has
one copy; so only servers that fail together anyway may be in maintenance together, and none whose copies are
the last good ones. Who is there at the moment is told by the commands, as only the leading manager knows it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from artesian.embedded.state.model import CopyState, Lifecycle, Server, State
from artesian.embedded.state.refusals import (
    DEVICE_REMOVING,
    LAST_GOOD_COPIES,
    ONE_SERVER_IN_MAINTENANCE,
    SERVER_IN_MAINTENANCE,
    SERVER_NOT_CONNECTED,
    SERVER_REMOVING,
    refuse,
)
from artesian.embedded.state.slices import end_joins
from artesian.embedded.state.topology import server_of


def enter_maintenance(
    state: State, *, server_id: str, connected_servers: list[str], answering_devices: list[str]
) -> dict[str, Any]:
    """From now on the server may be away for any time. One that is in maintenance stays so."""
    server = server_of(state, server_id)
    if server.in_maintenance:
        return {}
    _check_leaving(state, server)
    _check_others(state, server)
    if server_id not in connected_servers:
        refuse(SERVER_NOT_CONNECTED, "The SDS is not connected")
    alone = _held_alone(state, server, answering_devices)
    if alone:
        refuse(
            LAST_GOOD_COPIES,
            f"The SDS has the only good copy within reach of {alone} slice{'s' if alone > 1 else ''}: "
            "there must be another one before it may be away",
        )
    server.in_maintenance = True
    end_joins(state, _devices_of(state, server))
    return {}


def exit_maintenance(state: State, *, server_id: str) -> dict[str, Any]:
    """The server is one like any other, whether or not it is back. One that is in no maintenance stays so."""
    server_of(state, server_id).in_maintenance = False
    return {}


def check_not_in_maintenance(server: Server) -> None:
    """Refuse to move data off a server that may go away at any time."""
    if server.in_maintenance:
        refuse(SERVER_IN_MAINTENANCE, "The SDS is in maintenance mode")


def _check_leaving(state: State, server: Server) -> None:
    if server.lifecycle is Lifecycle.REMOVING:
        refuse(SERVER_REMOVING, "The SDS is being removed")
    for device_id in _devices_of(state, server):
        if state.devices[device_id].lifecycle is Lifecycle.REMOVING:
            refuse(DEVICE_REMOVING, "A device of the SDS is being removed")


def _check_others(state: State, server: Server) -> None:
    for other in state.servers.values():
        together = other.fault_set_id is not None and other.fault_set_id == server.fault_set_id
        in_domain = other.protection_domain_id == server.protection_domain_id
        if other.in_maintenance and in_domain and not together:
            refuse(
                ONE_SERVER_IN_MAINTENANCE,
                f"The SDS {other.name} of the same Protection Domain is in maintenance mode",
            )


def _devices_of(state: State, server: Server) -> set[str]:
    return {device.id for device in state.devices.values() if device.server_id == server.id}


def _held_alone(state: State, server: Server, answering: Collection[str]) -> int:
    """How many slices with data would have no good copy on a server that is there to stay."""
    ours = _devices_of(state, server)
    staying = {
        device_id
        for device_id in answering
        if device_id in state.devices
        and device_id not in ours
        and not state.servers[state.devices[device_id].server_id].in_maintenance
    }
    alone = 0
    for pool_id in {volume.storage_pool_id for volume in state.volumes.values()}:
        for one in state.storage_pools[pool_id].slices:
            good = {copy.device_id for copy in one.copies if copy.state is CopyState.IN_SYNC}
            alone += bool(good & ours) and not good & staying
    return alone
