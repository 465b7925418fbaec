"""Every command that changes the replicated state, by name.

`apply` is deterministic: the same commands in the same order give the same state on every manager. A command
checks everything before it changes anything; one that is refused raises CommandRefused and leaves the state
as it was. What a command takes is the signature of its function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from artesian.embedded.state import devices, maintenance, slices, system, topology, volumes
from artesian.embedded.state.arguments import check_arguments, signature_of
from artesian.embedded.state.model import State
from artesian.embedded.state.refusals import NOT_FOUND, refuse

Command = Callable[..., dict[str, Any]]

COMMANDS: dict[str, Command] = {
    command.__name__: command
    for command in (
        system.bootstrap,
        system.set_system_name,
        system.set_managers,
        system.add_user,
        system.set_user_password,
        system.set_user_role,
        system.remove_user,
        system.set_attributes,
        topology.add_protection_domain,
        topology.rename_protection_domain,
        topology.set_protection_domain_active,
        topology.remove_protection_domain,
        topology.add_fault_set,
        topology.rename_fault_set,
        topology.remove_fault_set,
        topology.add_storage_pool,
        topology.modify_storage_pool,
        topology.remove_storage_pool,
        topology.add_server,
        topology.rename_server,
        topology.set_server_ips,
        topology.set_server_port,
        topology.server_emptied,
        maintenance.enter_maintenance,
        maintenance.exit_maintenance,
        devices.remove_server,
        devices.add_device,
        devices.rename_device,
        devices.set_device_capacity_limit,
        devices.clear_device_error,
        devices.remove_device,
        devices.device_formatted,
        devices.device_refused,
        devices.device_failed,
        devices.device_emptied,
        devices.volume_chunks_dropped,
        volumes.register_client,
        volumes.rename_client,
        volumes.remove_client,
        volumes.add_volume,
        volumes.rename_volume,
        volumes.grow_volume,
        volumes.volume_allocated,
        volumes.remove_volume,
        volumes.map_volume,
        volumes.unmap_volume,
        volumes.set_mapping_limits,
        volumes.set_mapping_access_mode,
        volumes.open_volume,
        slices.mark_stale,
        slices.place_slices,
        slices.begin_joins,
        slices.finish_joins,
        slices.abort_joins,
    )
}

MACHINE_COMMANDS = frozenset(
    {
        "bootstrap",
        "server_emptied",
        "device_formatted",
        "device_refused",
        "device_failed",
        "device_emptied",
        "volume_chunks_dropped",
        "register_client",
        "volume_allocated",
        "open_volume",
        "mark_stale",
        "place_slices",
        "begin_joins",
        "finish_joins",
        "abort_joins",
    }
)
"""Commands that the leading manager decides on by itself; a gateway may not send them."""


def parameters(name: str) -> frozenset[str]:
    """The names of the arguments that a command takes; empty for an unknown command."""
    command = COMMANDS.get(name)
    if command is None:
        return frozenset()
    return frozenset(signature_of(command).parameters) - {"state", "settings"}


def apply(state: State, name: str, args: dict[str, Any]) -> dict[str, Any]:
    """Carry a command out and raise the state's version. Raises CommandRefused, changing nothing."""
    command = COMMANDS.get(name)
    if command is None:
        refuse(NOT_FOUND, f"There is no command {name}")
    check_arguments(name, command, args)
    number = state.next_number
    try:
        result = command(state, **args)
    except BaseException:
        state.next_number = number
        raise
    state.version += 1
    return result
