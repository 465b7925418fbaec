"""What can go wrong with the discovery of disks as a whole."""

from __future__ import annotations


class DisksUnknown(Exception):
    """Not even a list of the disks could be made. Never to be taken for a node without disks."""


class ToolTrouble(Exception):
    """A tool of the system is missing, did not answer or failed; the message is a sentence for people."""
