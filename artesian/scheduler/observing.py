"""One frozen observation out of what the substrate, the agents and the engine say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from artesian.clusters.port import SubstrateNode
from artesian.engines.port import Engine, EngineUnreachable
from artesian.model.engine import EngineSeen
from artesian.model.node import Node, NodeState
from artesian.model.observation import Observation
from artesian.scheduler.reports import Heard, Reports


def observe(
    substrate: Iterable[SubstrateNode],
    reports: Reports,
    engine: Engine | None,
    generation_of: Callable[[SubstrateNode], str],
) -> Observation:
    """Everything at this moment. An engine that does not answer is not there, and the reason is kept. It is
    asked first, as that may take long; what agents have said meanwhile counts.

    `generation_of` gives the generation of a node's present assignment.
    """
    substrate = list(substrate)
    seen, problem = _look_at_engine(engine)
    heard = reports.all()
    nodes = tuple(_node(node, heard, reports) for node in sorted(substrate, key=lambda one: one.name))
    return Observation(
        nodes=nodes,
        engine=seen,
        engine_problem=problem,
        attachments=tuple(
            attachment
            for node in nodes
            if node.name in heard and node.state is not NodeState.GONE
            for attachment in heard[node.name].report.attachments
        ),
        unheard=frozenset(
            node.name for node in substrate if not (node.gone or node.problem) and node.name not in heard
        ),
        behind=frozenset(
            node.name
            for node in substrate
            if node.name in heard and heard[node.name].report.generation != generation_of(node)
        ),
        processes=MappingProxyType(
            {
                node.name: heard[node.name].report.processes
                for node in nodes
                if node.name in heard and node.state is not NodeState.GONE
            }
        ),
    )


def _look_at_engine(engine: Engine | None) -> tuple[EngineSeen | None, str]:
    if engine is None:
        return None, "there is none"
    try:
        return engine.observe(), ""
    except EngineUnreachable as error:
        return None, str(error)


def _node(node: SubstrateNode, heard: Mapping[str, Heard], reports: Reports) -> Node:
    known = heard.get(node.name)
    if node.gone:
        state = NodeState.GONE
    elif known is None or reports.is_silent(known):
        state = NodeState.SILENT
    else:
        state = NodeState.ALIVE
    return Node(
        node.name,
        node.address,
        state,
        node.attributes,
        known.report.disks if known is not None else (),
        node.cpus,
        node.memory_bytes,
        node.unreachable,
        node.leaving,
        node.problem,
    )
