"""What in a spec does nothing as things are: a rule, a selector, a provider or a drill that is for nothing.

Such a spec is taken all the same, as what it speaks of may come later; but mostly a name is misspelled. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from artesian.model.node import Node, NodeState
from artesian.model.observation import Observation
from artesian.model.provider_spec import EbsSpec
from artesian.model.rule import Scope
from artesian.model.spec import DEFAULT_POOL, NodeSelector, PoolSpec, Spec
from artesian.model.state import FrameworkState
from artesian.model.topology import Topology
from artesian.remedy.firing import is_meant
from artesian.remedy.measuring import Measured
from artesian.remedy.metrics import ENGINE_SCOPES
from artesian.remedy.words import first_names

_MOST_NAMES = 8  # in a sentence


@dataclass(frozen=True, slots=True)
class IdleFacts:
    """What a spec is held against. `measured`: the things of the last pass; `topology`: what the spec leads
    to; `on_machines`: the nodes are real ones, with addresses by which a cloud may know them."""

    spec: Spec
    seen: Observation
    state: FrameworkState
    topology: Topology
    measured: tuple[Measured, ...]
    on_machines: bool


def idle_parts(facts: IdleFacts) -> tuple[str, ...]:
    """A sentence for everything in the spec that does nothing now, in the order of the spec."""
    found = [
        *_managers(facts),
        *_pools(facts),
        *_providers(facts),
        *_rules(facts),
        *_drills(facts),
    ]
    return tuple(found)


def _managers(facts: IdleFacts) -> Iterator[str]:
    nodes, selector = facts.seen.nodes, facts.spec.managers.nodes
    if nodes and not any(selector.selects(node) for node in nodes):
        yield f"managers: {_selected(selector)}, and none of the nodes is ({_names(_called(nodes))})"


def _pools(facts: IdleFacts) -> Iterator[str]:
    for pool in facts.spec.pools:
        givers = [node for node in facts.seen.nodes if pool.nodes.selects(node)]
        if facts.seen.nodes and not givers:
            nodes = _names(_called(facts.seen.nodes))
            yield f"pool {pool.name}: {_selected(pool.nodes)}, and none of the nodes is ({nodes})"
        elif givers and all(node.state is NodeState.ALIVE for node in givers):
            yield from _disks(pool, givers)


def _disks(pool: PoolSpec, givers: list[Node]) -> Iterator[str]:
    disks = [disk for node in givers for disk in node.disks]
    if disks and not any(pool.disks.selects(disk) for disk in disks):
        yield (
            f"pool {pool.name}: its `disks` select none of the {len(disks)} disks of the nodes that it may "
            f"take them from ({_names(_called(givers))})"
        )


def _selected(selector: NodeSelector) -> str:
    """What a node has to be, as the selector says."""
    parts = [f"called {' or '.join(selector.names)}"] if selector.names else []
    parts += [f"with {key}={value}" for key, value in selector.attributes.items()]
    return f"its nodes are those {', '.join(parts)}"


def _providers(facts: IdleFacts) -> Iterator[str]:
    """Nodes that are folders have addresses of their own machine's, by which no cloud knows anything."""
    for provider in facts.spec.providers:
        settings = provider.settings
        if not isinstance(settings, EbsSpec) or facts.on_machines or not facts.seen.nodes:
            continue
        key = settings.instance_attribute
        if not any(node.attributes.get(key) for node in facts.seen.nodes):
            yield (
                f"provider {provider.name} can give no disk: it attaches volumes to instances, these nodes "
                f"are folders of one machine, and none has the attribute {key} to say which instance it is"
            )


def _rules(facts: IdleFacts) -> Iterator[str]:
    things = _things(facts)
    for rule in facts.spec.rules:
        known = things[rule.scope]
        if not rule.things or not _is_known(rule.scope, facts):
            continue
        if not any(is_meant(rule, one) for one in known):
            there = _names(one.title or one.thing for one in known) or "none yet"
            yield (
                f"rule {rule.name} is for nothing: no {rule.scope} is called "
                f"{' or '.join(rule.things)} (there is {there})"
            )


def _is_known(scope: Scope, facts: IdleFacts) -> bool:
    """Whether all things of a scope can be seen now."""
    if scope is Scope.POOL and facts.topology.pools:
        return True
    return scope not in ENGINE_SCOPES or facts.seen.engine is not None


def _things(facts: IdleFacts) -> defaultdict[Scope, list[Measured]]:
    """What there is by scope; and the pools and volumes that there are to be."""
    found: defaultdict[Scope, list[Measured]] = defaultdict(list)
    for one in facts.measured:
        found[one.scope].append(one)
    pools = {one.thing for one in found[Scope.POOL]}
    for pool in facts.topology.pools:
        if str(pool.name) not in pools:
            short = (pool.name.pool,) if pool.name.domain == DEFAULT_POOL.domain else ()
            found[Scope.POOL].append(Measured(Scope.POOL, str(pool.name), {}, f"pool {pool.name}", short))
    volumes = {one.thing for one in found[Scope.VOLUME]}
    for name, wish in sorted(facts.state.volumes.items()):
        if name not in volumes and not wish.deleted:
            found[Scope.VOLUME].append(Measured(Scope.VOLUME, name, {}, f"volume {name}"))
    return found


def _drills(facts: IdleFacts) -> Iterator[str]:
    nodes = set(_called(facts.seen.nodes))
    for drill in facts.spec.drills:
        if nodes and drill.node is not None and drill.node not in nodes:
            yield f"drill {drill.name} is for nothing: there is no node {drill.node} ({_names(nodes)})"


def _called(nodes: Iterable[Node]) -> list[str]:
    return [node.name for node in nodes]


def _names(names: Iterable[str]) -> str:
    return first_names(sorted(names), _MOST_NAMES)
