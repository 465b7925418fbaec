"""What can go wrong with Ceph, beyond what every engine's port names."""

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


class NotLetIn(MonitorsSilent):
    """The monitors are there, and do not know us."""


class CommandFailed(CephNodeError):
    """The cluster says no to a command; `number` is its errno, `said` its words."""

    def __init__(self, prefix: str, number: int, said: str) -> None:
        super().__init__(f"ceph {prefix}: {said or 'it fails'} (error {number})")
        self.number = number
        self.said = said
