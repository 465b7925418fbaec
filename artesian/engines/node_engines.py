"""The engine on a node, whichever kind it is: that of what is assigned, or of what is here already."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from artesian.engines.embedded_node import EmbeddedNode
from artesian.engines.node_port import NodeEngine, Part
from artesian.host.processes import ProcessIdentity
from artesian.model.assignment import Assignment
from artesian.model.observation import SeenProcess

_CEPH = "ceph"


class EngineOfNode:
    """A NodeEngine in `folder`: the embedded one, until Ceph is assigned or is found in its own folder."""

    def __init__(self, folder: Path, secret: str) -> None:
        self._folder = folder
        self._secret = secret
        self._is_ceph = (folder / _CEPH).exists()
        self._engine = self._ceph() if self._is_ceph else EmbeddedNode(folder, secret)

    def become(self, assignment: Assignment) -> None:
        """Be of the kind that is assigned. A node has one engine for ever, so nothing is changed back."""
        if assignment.engine_kind == _CEPH and not self._is_ceph:
            self._engine, self._is_ceph = self._ceph(), True

    def ensure(self, assignment: Assignment, held_down: Collection[str] = ()) -> list[str]:
        """Start what is assigned and does not run, end what is not; the names of what was changed.

        Raises NodeEngineError.
        """
        self.become(assignment)
        return self._engine.ensure(assignment, held_down)

    def processes(self) -> tuple[SeenProcess, ...]:
        """The engine's processes on this node."""
        return self._engine.processes()

    def running(self, part: Part) -> Mapping[str, ProcessIdentity]:
        """Those that run now, by name."""
        return self._engine.running(part)

    def volume_address(self, volume_id: str) -> str:
        """Where the node's client offers a volume."""
        return self._engine.volume_address(volume_id)

    def certificate(self) -> str | None:
        """The gateway's certificate (PEM), if this node runs one."""
        return self._engine.certificate()

    def stop(self) -> list[str]:
        """End all processes in good order; their names."""
        return self._engine.stop()

    def _ceph(self) -> NodeEngine:
        # Nodes of other engines do without Ceph's programs and libraries.
        from artesian.engines.ceph.node import CephNode

        return CephNode(self._folder / _CEPH, self._secret)


def has_data(folder: Path) -> bool:
    """Whether an engine has been in this folder: a process' config, or what a manager knows."""
    embedded = (folder / "mdm").exists() or any(folder.glob("*~*.yaml"))
    return embedded or any((folder / _CEPH).glob("*~*"))
