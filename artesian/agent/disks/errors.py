"""What can go wrong with the discovery of disks as a whole."""

from __future__ import annotations


class DisksUnknown(Exception):
    """Not even a list of the disks could be made. Never to be taken for a node without disks."""
