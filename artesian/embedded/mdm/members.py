"""Replacing a manager while the engine runs."""

from __future__ import annotations

import asyncio
from typing import Any

from artesian.embedded.errors import EngineError
from artesian.embedded.mdm.identity import raft_address, raft_addresses
from artesian.embedded.mdm.leader import Leader
from artesian.embedded.state import system
from artesian.embedded.state.model import Manager, State

_STARTING_S = 5.0
_CONNECTING_S, _AGAIN_S = 1.0, 0.1


async def change_managers(leader: Leader, args: dict[str, Any]) -> dict[str, Any]:
    """Make the quorum consist of `args["managers"]`; at most one may come or go.

    A new one is started first, with an empty folder and a config that names all. It counts as soon as the
    others know it, is told everything, and votes only then: so it has to be there before it counts, or there
    might be no majority any more. May be repeated. Raises CommandRefused or EngineError.
    """
    state = leader.state
    system.set_managers(State(managers=dict(state.managers)), **args)  # refuses what would be refused
    wanted = {raft_address(one): one for one in (Manager(**document) for document in args["managers"])}
    members = leader.raft.members
    coming, leaving = wanted.keys() - members, members - wanted.keys()
    if len(coming) + len(leaving) > 1:
        raise EngineError("another change of the managers has been left half done; complete that one first")
    if raft_address(leader.config) in leaving:
        leader.raft.hand_over(raft_addresses(state.managers.values(), "Manager"))
        raise EngineError("the manager to be removed leads; another is taking the lead, try again")
    for address in coming:
        await _wait_until_there(wanted[address])
        await leader.raft.change_members("add", address)
    for address in leaving:
        await leader.raft.change_members("remove", address)
    return await leader.raft.propose("set_managers", args)


async def _wait_until_there(manager: Manager) -> None:
    """Raises EngineError for one that takes no connections."""
    deadline = asyncio.get_running_loop().time() + _STARTING_S
    while True:
        try:
            async with asyncio.timeout(_CONNECTING_S):
                _, writer = await asyncio.open_connection(manager.ip, manager.raft_port)
        except OSError:  # a TimeoutError is one, too
            if asyncio.get_running_loop().time() >= deadline:
                raise EngineError(
                    f"manager {manager.name} does not answer at {manager.ip}:{manager.raft_port}, and is "
                    "taken in once it does"
                ) from None
        else:
            writer.close()
            return
        await asyncio.sleep(_AGAIN_S)
