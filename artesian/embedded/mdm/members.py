"""Replacing a manager while the engine runs."""

from __future__ import annotations

from typing import Any

from artesian.embedded.errors import EngineError
from artesian.embedded.mdm.identity import raft_address, raft_addresses
from artesian.embedded.mdm.leader import Leader
from artesian.embedded.state import system
from artesian.embedded.state.model import Manager, State


async def change_managers(leader: Leader, args: dict[str, Any]) -> dict[str, Any]:
    """Make the quorum consist of `args["managers"]`; at most one may come or go.

    A new one is started first, with an empty folder and a config that names all. It counts as soon as the
    others know it, and is told everything. May be repeated. Raises CommandRefused or EngineError.
    """
    state = leader.state
    system.set_managers(State(managers=dict(state.managers)), **args)  # refuses what would be refused
    wanted = {raft_address(Manager(**document)) for document in args["managers"]}
    members = leader.raft.members
    coming, leaving = wanted - members, members - wanted
    if len(coming) + len(leaving) > 1:
        raise EngineError("another change of the managers has been left half done; complete that one first")
    if raft_address(leader.config) in leaving:
        leader.raft.hand_over(raft_addresses(state.managers.values(), "Manager"))
        raise EngineError("the manager to be removed leads; another is taking the lead, try again")
    for address in coming:
        await leader.raft.change_members("add", address)
    for address in leaving:
        await leader.raft.change_members("remove", address)
    return await leader.raft.propose("set_managers", args)
