"""Steps that take nodes and disks out, with their data moved first, and steps of maintenance."""

from __future__ import annotations

from operator import attrgetter

from artesian.model.changes import (
    Change,
    EnterMaintenance,
    ExitMaintenance,
    RemoveClient,
    RemoveDevice,
    RemoveServer,
)
from artesian.model.disk import Claim
from artesian.model.names import device_name, server_name
from artesian.model.plan import Consent
from artesian.planner.facts import Facts, Steps
from artesian.planner.restarted import rests


def plan_removals(facts: Facts, steps: Steps) -> None:
    """Disks with a tombstone, and whatever is on nodes that leave."""
    removed: dict[str, list[Change]] = {}
    going: set[str] = set()
    staying: set[tuple[str, str]] = set()
    for claim in sorted(facts.state.claims.values(), key=attrgetter("node", "path", "identity")):
        because = _reason_to_remove(facts, claim)
        if because is None:
            staying.add((claim.node, claim.pool.domain))
            continue
        going.add(device_name(claim.identity))
        change = RemoveDevice(claim.node, claim.identity, claim.pool)
        removed.setdefault(claim.node, []).append(change)
        steps.add(change, because, destructive=True, consent=Consent.GIVEN)
    busy = {device.server for device in facts.engine.devices if device.name not in going}
    wanted = {(server.node, server.domain) for server in facts.topology.servers}
    clients = {client.guid for client in facts.engine.clients}
    for name, record in sorted(facts.state.nodes.items()):
        servers: list[Change] = [
            RemoveServer(name, domain)
            for domain in record.domains
            if (name, domain) not in wanted
            and (name, domain) not in staying
            and server_name(name, domain) not in busy
        ]
        for server in servers:
            because = f"node {name} has no disk for it any more"
            steps.add(server, because, *removed.get(name, ()), consent=Consent.GIVEN)
        if record.leaving and (record.is_client or facts.guid(name) in clients):
            steps.add(
                RemoveClient(name),
                f"node {name} is to be removed",
                *removed.get(name, ()),
                *servers,
                consent=Consent.GIVEN,
            )


def _reason_to_remove(facts: Facts, claim: Claim) -> str | None:
    tombstone = facts.state.tombstones.get(claim.identity)
    if tombstone is not None:
        return f"{claim.path} of node {claim.node} is to be removed: {tombstone.because}"
    if facts.state.node(claim.node).leaving:
        return f"node {claim.node} is to be removed, so {claim.path} gives its data away"
    return None


def plan_maintenance(facts: Facts, steps: Steps) -> None:
    """Servers whose node is about to be away, or is back."""
    servers = {server.name: server for server in facts.engine.servers}
    for name, record in sorted(facts.state.nodes.items()):
        for domain in record.domains:
            seen = servers.get(server_name(name, domain))
            if seen is None or seen.in_maintenance == record.in_maintenance:
                continue
            if record.in_maintenance:
                steps.add(EnterMaintenance(name, domain), f"node {name} is in maintenance")
            elif not rests(facts.state, facts.seen, name):
                of = "no longer in maintenance" if not record.rests_for else "no longer being restarted"
                steps.add(ExitMaintenance(name, domain), f"node {name} is {of}")
