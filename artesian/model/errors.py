"""What can be wrong with what a user or a cluster says. Every message names the place and what to do."""

from __future__ import annotations


class ArtesianError(Exception):
    """Something that the framework can explain."""


class SpecError(ArtesianError):
    """A spec, an attribute or a setting makes no sense."""


class NotPossible(ArtesianError):
    """What is asked for cannot be done as things are, and nothing was changed."""


class NotThere(ArtesianError):
    """What is named does not exist."""


class Conflict(ArtesianError):
    """What is asked for contradicts what is there."""


class NeedsApproval(ArtesianError):
    """Nobody has agreed to the plan, and nobody can be asked."""
