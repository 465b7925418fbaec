"""Commands on the engine as a whole: its beginning, its users, its managers."""

from __future__ import annotations

import re
from typing import Any

from artesian.embedded.state.model import Manager, State, User
from artesian.embedded.state.refusals import (
    ALREADY_EXISTS,
    NOT_FOUND,
    ONE_MANAGER_AT_A_TIME,
    USER_EXISTS,
    WRONG_PARAMETERS,
    check_choice,
    check_name,
    check_range,
    find,
    new_id,
    refuse,
)

ROLES = ("Monitor", "Configure", "Administrator", "FrontendConfig", "BackendConfig", "Security")
MANAGER_ROLES = ("Manager", "TieBreaker")
_HEX16 = re.compile(r"[0-9a-f]{16}")


def bootstrap(
    state: State,
    *,
    name: str,
    system_id: str,
    install_id: str,
    token_key: str,
    random: str,
    password_hash: str,
    managers: list[dict[str, Any]],
    user_name: str = "admin",
) -> dict[str, Any]:
    """The beginning: only while the state is empty. A second one with the same id changes nothing."""
    if state.system_id == system_id:
        return {"system_id": system_id}
    if state.system_id:
        refuse(ALREADY_EXISTS, "This engine has been bootstrapped already")
    if not (_HEX16.fullmatch(system_id) and _HEX16.fullmatch(install_id)):
        refuse(WRONG_PARAMETERS, "The system and installation ids must be 16 hex digits")
    check_name(name, (), ALREADY_EXISTS, "System")
    members = _managers(managers)
    user_id = new_id(state, random)
    state.system_id = system_id
    state.install_id = install_id
    state.name = name
    state.token_key = token_key
    state.managers = members
    state.users[user_id] = User(user_id, user_name, "Administrator", password_hash)
    return {"system_id": system_id}


def set_system_name(state: State, *, name: str) -> dict[str, Any]:
    check_name(name, (), ALREADY_EXISTS, "System")
    state.name = name
    return {}


def set_managers(state: State, *, managers: list[dict[str, Any]]) -> dict[str, Any]:
    """The members of the quorum; at most one may join or leave at a time.

    One whose address changes leaves and joins.
    """
    members = _managers(managers)
    addresses = {_address(one) for one in members.values()} ^ {
        _address(one) for one in state.managers.values()
    }
    if len(members.keys() ^ state.managers.keys()) > 1 or len(addresses) > 1:
        refuse(ONE_MANAGER_AT_A_TIME, "Only one manager may be added or removed at a time")
    state.managers = members
    return {}


def _managers(documents: list[dict[str, Any]]) -> dict[str, Manager]:
    members: dict[str, Manager] = {}
    for document in documents:
        try:
            member = Manager(**document)
        except TypeError as error:
            refuse(WRONG_PARAMETERS, f"A manager is described wrongly: {error}")
        texts = (member.id, member.name, member.ip)
        if not all(isinstance(text, str) and text for text in texts):
            refuse(WRONG_PARAMETERS, "A manager has an id, a name and an IP address")
        check_range(member.raft_port, 1, 65535, "The port")
        check_range(member.control_port, 1, 65535, "The port")
        check_choice(member.role, MANAGER_ROLES, "role")
        members[member.id] = member
    if not any(member.role == "Manager" for member in members.values()):
        refuse(WRONG_PARAMETERS, "An engine has at least one manager that is not a tiebreaker")
    if len({_address(member) for member in members.values()}) < len(documents):
        refuse(WRONG_PARAMETERS, "Two managers have one id or one address")
    return members


def _address(member: Manager) -> tuple[str, int]:
    return member.ip, member.raft_port


def add_user(state: State, *, random: str, name: str, role: str, password_hash: str) -> dict[str, Any]:
    check_name(name, (user.name for user in state.users.values()), USER_EXISTS, "User")
    check_choice(role, ROLES, "userRole")
    user_id = new_id(state, random)
    state.users[user_id] = User(user_id, name, role, password_hash)
    return {"id": user_id}


def set_user_password(state: State, *, user_id: str, password_hash: str) -> dict[str, Any]:
    find(state.users, user_id, NOT_FOUND, "Could not find the user").password_hash = password_hash
    return {}


def set_user_role(state: State, *, user_id: str, role: str) -> dict[str, Any]:
    user = find(state.users, user_id, NOT_FOUND, "Could not find the user")
    check_choice(role, ROLES, "userRole")
    if user.role == "Administrator" and role != user.role:
        _keep_an_administrator(state, user_id)
    user.role = role
    return {}


def remove_user(state: State, *, user_id: str) -> dict[str, Any]:
    find(state.users, user_id, NOT_FOUND, "Could not find the user")
    _keep_an_administrator(state, user_id)
    del state.users[user_id]
    return {}


def _keep_an_administrator(state: State, user_id: str) -> None:
    if not any(user.role == "Administrator" for id, user in state.users.items() if id != user_id):
        refuse(WRONG_PARAMETERS, "The last administrator cannot go")


def set_attributes(state: State, *, kind: str, id: str, attributes: dict[str, Any]) -> dict[str, Any]:
    """Settings that are stored and answered, but that this engine does not act on."""
    kinds: dict[str, dict[str, Any]] = {
        "protection_domain": dict(state.protection_domains),
        "storage_pool": dict(state.storage_pools),
        "server": dict(state.servers),
        "device": dict(state.devices),
        "client": dict(state.clients),
        "volume": dict(state.volumes),
    }
    if kind == "system":
        state.attributes.update(attributes)
        return {}
    check_choice(kind, kinds, "kind")
    find(kinds[kind], id, NOT_FOUND, "Not found").attributes.update(attributes)
    return {}
