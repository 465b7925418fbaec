"""Which nodes may fail together.

A domain has three or more fault sets, or none: with two, the loss of one would leave nowhere to put the
second copies.
"""

from __future__ import annotations

from collections.abc import Iterable

from artesian.strategy.situation import Situation

FEWEST = 3


def fault_units(situation: Situation) -> dict[str, str]:
    """Each node's fault set, or the node itself where it has none."""
    return {node.name: situation.said_of(node.name).fault_set or node.name for node in situation.nodes}


def fault_sets_of(
    situation: Situation, servers: Iterable[tuple[str, str]]
) -> tuple[dict[tuple[str, str], str], list[str]]:
    """The fault set of each server (node, domain) of domains that have any, and what is missing.

    In a domain with fault sets, a node of which none is said is one by itself.
    """
    found: dict[tuple[str, str], str] = {}
    shortfalls: list[str] = []
    by_domain: dict[str, list[str]] = {}
    for node, domain in sorted(servers):
        by_domain.setdefault(domain, []).append(node)
    units = fault_units(situation)
    for domain, nodes in sorted(by_domain.items()):
        named = {situation.said_of(node).fault_set for node in nodes} - {None}
        if not named:
            continue
        sets = {units.get(node, node) for node in nodes}
        if len(sets) < FEWEST:
            shortfalls.append(
                f"domain {domain} has {len(sets)} fault set{'s' if len(sets) > 1 else ''}, and needs "
                f"{FEWEST} or none: until there are as many, copies are kept apart by nodes only"
            )
            continue
        found |= {(node, domain): units.get(node, node) for node in nodes}
    return found, shortfalls
