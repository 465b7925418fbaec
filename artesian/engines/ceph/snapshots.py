"""Snapshots of RBD images.

A snapshot is written down before it is taken: one that is there afterwards is ours, and stays as it is
however often it is asked for. Whoever has the volume in use takes it himself, between two of his writes.
"""

from __future__ import annotations

import contextlib
from datetime import UTC
from typing import Any

from artesian.engines.ceph import names
from artesian.engines.ceph.bindings import load_rbd
from artesian.engines.ceph.images import Images
from artesian.engines.ceph.monitors import Json
from artesian.engines.ceph.reading import Reading
from artesian.engines.ceph.session import CephSession
from artesian.engines.port import ChangeRefused
from artesian.model.changes import CreateSnapshot, DeleteSnapshot


class Snapshots:
    """Of the volumes in `images`."""

    def __init__(self, session: CephSession, images: Images) -> None:
        self._session = session
        self._images = images

    def take(self, reading: Reading, change: CreateSnapshot) -> None:
        """Raises ChangeRefused, NotYet."""
        volume_id, document = self._images.volume(reading, change.volume)
        key = names.key("snapshots", volume_id, change.snapshot)
        known = self._session.get(key)
        if known is not None and "id" in known:
            return
        with self._images.image(reading, volume_id, document) as image:
            there = _find(image, change.snapshot)
            if there is None:
                self._session.set(key, {})
                with contextlib.suppress(load_rbd().ImageExists):
                    image.create_snap(change.snapshot)
                there = _find(image, change.snapshot)
            elif known is None:
                raise ChangeRefused(
                    f"the image of volume {change.volume} has a snapshot {change.snapshot} that is not ours"
                )
            assert there is not None
            taken_at = image.get_snap_timestamp(there["id"]).replace(tzinfo=UTC)
            size_bytes = there["size"]
        found = {"id": str(there["id"]), "size_bytes": size_bytes, "taken_at_s": taken_at.timestamp()}
        self._session.set(key, found)

    def delete(self, reading: Reading, change: DeleteSnapshot) -> None:
        """One that is being copied stays for whoever copies it, out of sight. Raises NotYet."""
        found = reading.volume_named(change.volume)
        if found is None:
            return
        volume_id, document = found
        key = names.key("snapshots", volume_id, change.snapshot)
        known = self._session.get(key)
        if known is None:
            return
        with self._images.image(reading, volume_id, document) as image:
            there = _find(image, change.snapshot)
            if there is not None and known.get("id", str(there["id"])) == str(there["id"]):
                if image.is_protected_snap(change.snapshot):
                    image.unprotect_snap(change.snapshot)
                image.remove_snap(change.snapshot)
        self._session.remove(key)


def _find(image: Any, name: str) -> Json | None:
    return next((one for one in image.list_snaps() if one["name"] == name), None)
