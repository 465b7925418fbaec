"""What can go wrong with Ceph on a node."""

from __future__ import annotations

from artesian.model.errors import ArtesianError


class CephNodeError(ArtesianError):
    """What was assigned cannot be done, or must not be."""


class BindingsMissing(CephNodeError):
    """Ceph's own Python modules are not there, or are for another Python."""


class BindingsUnfit(BindingsMissing):
    """Ceph's own Python modules are for another Python: no package helps."""


class MonitorsSilent(CephNodeError):
    """The monitors do not answer: nothing is known of the cluster now."""


class CommandFailed(CephNodeError):
    """The monitors say no; `number` is their errno."""

    def __init__(self, what: str, number: int) -> None:
        super().__init__(what)
        self.number = number
