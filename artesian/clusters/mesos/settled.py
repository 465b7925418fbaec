"""What a cluster of ours cannot change while it is up, as it was settled when it was begun."""

from __future__ import annotations

from collections.abc import Mapping

from artesian.clusters.port import SubstrateUnusable

ROLE, FOLDER = "role", "folder"


def check(documents: Mapping[str, str], role: str, folder: str) -> None:
    """What is remembered goes on with this role and this folder of nodes. Raises SubstrateUnusable if not."""
    if (before := documents.get(ROLE, role)) != role:
        raise SubstrateUnusable(
            f"this cluster has resources kept for role {before}, not {role}: go on with --role {before}, "
            "or take it down first, and all is kept for the other role when it comes up again"
        )
    # An agent in another folder would know nothing of what the one before has started, and runs.
    if (before := documents.get(FOLDER, folder)) != folder:
        raise SubstrateUnusable(
            f"nodes of this cluster keep what they keep in {before}, not in {folder}: go on with "
            f"--node-folder {before}, or take it down first"
        )
