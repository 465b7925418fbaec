"""Domains, fault sets and pools of PowerFlex, and how much healing may disturb a pool's applications."""

from __future__ import annotations

from artesian.engines.powerflex_reading import HEALING_POLICIES, LIMITED_POLICY, Reading, healing_of
from artesian.engines.powerflex_session import GatewaySession, Json
from artesian.model.changes import AddDomain, AddFaultSet, AddPool, SetHealing, SetSpare
from artesian.model.engine import Healing

Arrangement = AddDomain | AddFaultSet | AddPool | SetSpare | SetHealing
_LIMITED_CONCURRENCY = 2


def arrange(session: GatewaySession, engine: Reading, change: Arrangement) -> None:
    """Make one of these changes, unless it is made. Raises NotYet, ChangeRefused, EngineUnreachable."""
    match change:
        case AddDomain(name):
            if engine.find("ProtectionDomain", name) is None:
                session.create("ProtectionDomain", {"name": name})
        case AddFaultSet(domain, name):
            parent = {"protectionDomainId": engine.domain(domain)["id"]}
            if engine.find("FaultSet", name, **parent) is None:
                session.create("FaultSet", {"name": name, **parent})
        case AddPool(name, percentage):
            if engine.find_pool(name) is None:
                _add_pool(session, engine.domain(name.domain)["id"], name.pool, percentage)
        case SetSpare(name, percentage):
            pool = engine.pool(name)
            if int(pool["sparePercentage"]) != percentage:
                wanted = {"sparePercentage": str(percentage)}
                session.act("StoragePool", pool["id"], "setSparePercentage", wanted)
        case SetHealing(name, healing):
            _set_healing(session, engine.pool(name), healing)


def _add_pool(session: GatewaySession, domain_id: str, name: str, percentage: int) -> None:
    wanted = {
        "name": name,
        "protectionDomainId": domain_id,
        "mediaType": "HDD",
        "sparePercentage": str(percentage),
    }
    session.create("StoragePool", wanted)


def _set_healing(session: GatewaySession, pool: Json, healing: Healing) -> None:
    if healing_of(pool) is healing:
        return
    for what, policy in zip(("Rebuild", "Rebalance"), HEALING_POLICIES[healing], strict=True):
        wanted = {"policy": policy}
        if policy == LIMITED_POLICY:
            wanted["numOfConcurrentIosPerDevice"] = str(_LIMITED_CONCURRENCY)
        session.act("StoragePool", pool["id"], f"set{what}IoPriorityPolicy", wanted)
