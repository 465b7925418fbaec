"""What can be wrong between us and a Mesos cluster."""

from __future__ import annotations

from artesian.model.errors import ArtesianError


class MesosError(ArtesianError):
    """Something that Mesos says, or that is wrong with the way to it."""


class MasterUnreachable(MesosError):
    """No leading master answers at the moment. Trying again may mend it."""


class NotMesos(MesosError):
    """What answers is no Mesos master, or one that is too old."""


class Refused(MesosError):
    """Mesos refuses this, in its own words, and would refuse it again."""


class NotAllowed(MesosError):
    """Mesos wants credentials, or others than these."""


class FrameworkRemoved(MesosError):
    """Mesos has removed the framework of this id, and takes no subscription of it any more."""


class FailedOver(MesosError):
    """Another scheduler has subscribed with our framework id, and has taken our place."""


class NotSubscribed(MesosError):
    """There is no subscription that the call could belong to; nothing was done."""
