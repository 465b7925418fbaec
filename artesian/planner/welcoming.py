"""Nodes that a remedy has got: who agreed to the remedy has agreed to them, and to nothing else. Pure."""

from __future__ import annotations

from artesian.model.remedy import Machine, RemedyState
from artesian.model.state import FrameworkState
from artesian.model.topology import WantedDevice


class Welcomed:
    """What of the nodes that remedies at work have made needs nobody's agreement any more."""

    def __init__(self, state: FrameworkState) -> None:
        self._machines: dict[str, Machine] = {
            one.machine.name: one.machine
            for one in state.remedies.values()
            if one.machine is not None and one.machine.is_made and one.state is RemedyState.ACTING
        }
        self._left = {name: one.disks for name, one in self._machines.items()}
        if self._machines:
            for claim in state.claims.values():
                if claim.node in self._left:
                    self._left[claim.node] -= 1

    def joins(self, node: str) -> bool:
        """Whether a remedy has made this node, and waits for it to be used."""
        return node in self._machines

    def gives(self, device: WantedDevice) -> bool:
        """Whether this is one of the disks that the remedy has got with the node: each is counted once."""
        machine = self._machines.get(device.node)
        if machine is None or device.size_bytes != machine.disk_bytes or self._left[device.node] <= 0:
            return False
        self._left[device.node] -= 1
        return True
