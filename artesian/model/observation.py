"""Everything that was seen at one moment, frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from artesian.model.engine import EngineSeen
from artesian.model.node import Node
from artesian.model.restart import RestartPart


@dataclass(frozen=True, slots=True)
class SeenProcess:
    """An engine process on a node; `name` is as in the node's assignment.

    `part`: with which others it is restarted; None: it never is. `started_under`: the number of the restart
    that was the last when it was started, 0 if there had been none; None: its agent knows of no restarts.
    `settled`: it has run for so long that the engine, which may notice late that a process is another one,
    speaks of this one.
    """

    name: str
    running: bool
    process_id: int | None = None
    part: RestartPart | None = None
    started_under: int | None = None
    settled: bool = True


@dataclass(frozen=True, slots=True)
class SeenAttachment:
    """A volume that is a block device on a node, or what is left of that. `problem`: empty if all is well.

    `note`: what is not as it should be although the volume can be used. `used_bytes` of the `total_bytes`
    that its mounted file system offers; None: not known.
    """

    volume_id: str
    node: str
    device: str | None
    mounted_at: str | None = None
    problem: str = ""
    note: str = ""
    used_bytes: int | None = None
    total_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """One moment. `engine` is None when there is none, or it does not answer (`engine_problem` says why)."""

    nodes: tuple[Node, ...] = ()
    engine: EngineSeen | None = None
    engine_problem: str = ""
    attachments: tuple[SeenAttachment, ...] = ()
    unheard: frozenset[str] = frozenset()  # nodes that are not gone, and have not reported to this scheduler
    behind: frozenset[str] = frozenset()  # nodes that have not made their present assignment so
    processes: Mapping[str, tuple[SeenProcess, ...]] = field(  # by node, as it has said last
        default_factory=lambda: MappingProxyType({})
    )

    def node(self, name: str) -> Node | None:
        """The node of this name."""
        return next((node for node in self.nodes if node.name == name), None)
