"""Volumes that begin with what a snapshot has.

RBD makes an image on top of the snapshot, and then all that is below is copied into it. Only when it depends
on nothing any more it is written down as a volume: before that nobody can map, see or delete it as one. That
it is being made is written down too, so that it is gone on with, or taken away, whoever died in between.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from artesian.engines.ceph import fencing, names
from artesian.engines.ceph.bindings import load_rbd
from artesian.engines.ceph.errands import Errands
from artesian.engines.ceph.images import (
    BANDWIDTH,
    IOPS,
    Images,
    answered,
    features,
    has_data,
    object_map,
    opened,
)
from artesian.engines.ceph.monitors import Json
from artesian.engines.ceph.reading import Reading
from artesian.engines.ceph.session import CephSession
from artesian.engines.port import ChangeRefused, NotYet
from artesian.model.changes import CreateVolume
from artesian.model.disk import PoolName
from artesian.model.engine import SnapshotId

_COPIED_AT_ONCE, _PATIENCE_S = 2, 1.0


class Clones:
    """New volumes among `images`. Who holds `pools` makes images, or does away with pools."""

    def __init__(
        self, session: CephSession, images: Images, pools: contextlib.AbstractContextManager[Any]
    ) -> None:
        self._session = session
        self._images = images
        self._pools = pools
        self._copying = Errands(_COPIED_AT_ONCE)
        self._copied: dict[str, int] = {}  # hundredths of images

    def close(self, then: Callable[[], None]) -> None:
        """`then` follows once nothing uses the connection any more."""
        self._copying.when_done(then)

    def create(self, reading: Reading, change: CreateVolume) -> None:
        """Any new volume. Raises NotYet, ChangeRefused."""
        if self._images.is_there(reading, change):
            return
        if change.source is None:
            self.discard(reading, change.volume)
            self._images.create(reading, change)
            return
        key, pool = names.key("clones", change.volume), self._images.pool_for(reading, change)
        document = self._session.get(key)
        if document is not None and not self._goes_on(document, change, change.source, pool):
            self.discard(reading, change.volume)
            document = None
        if document is None:
            document = self._begin(reading, change, change.source, pool)
        volume_id, size_bytes = f"{pool['pool']}-{document['image_id']}", document["size_bytes"]
        if not self._copying.attend_to(
            volume_id, lambda: self._copy(pool["pool_name"], volume_id, change.volume), _PATIENCE_S
        ):
            done = self._copied.get(volume_id, 0)
            raise NotYet(f"what snapshot {document['snapshot']} has is being copied ({done} %)")
        self._copied.pop(volume_id, None)
        self._images.write_down(volume_id, change.volume, change.pool, size_bytes)
        self._session.remove(key)

    def _goes_on(self, document: Json, change: CreateVolume, source: SnapshotId, pool: Json) -> bool:
        """Whether there is an image on top of this very snapshot, which knows of it and so stays; and whether
        nothing else has become of that since, as what is written down may be of a volume before this one."""
        made = (document["volume_id"], document["snapshot_id"], document["domain"], document["pool"])
        wanted = (source.volume_id, source.snapshot_id, change.pool.domain, change.pool.pool)
        if made != wanted or "image_id" not in document:
            return False
        volume_id = f"{pool['pool']}-{document['image_id']}"
        if self._session.get(names.key("volumes", volume_id)) is not None:
            return False
        with (
            answered(self._session, f"volume {change.volume}"),
            opened(self._session, pool["pool_name"]) as place,
        ):
            return _id_of(place, change.volume) == str(document["image_id"])

    def _begin(self, reading: Reading, change: CreateVolume, source: SnapshotId, pool: Json) -> Json:
        """An image on top of the snapshot; what is written down of it."""
        parent = reading.documents("volumes").get((source.volume_id,))
        snapshot = reading.snapshot_name(source)
        if parent is None or snapshot is None:
            raise ChangeRefused(f"the snapshot that volume {change.volume} is to begin with is not there")
        key = names.key("clones", change.volume)
        document = {
            "volume_id": source.volume_id,
            "snapshot_id": source.snapshot_id,
            "snapshot": snapshot,
            "domain": change.pool.domain,
            "pool": change.pool.pool,
        }
        with (
            self._pools,
            answered(self._session, f"volume {change.volume}"),
            opened(self._session, self._images.pool_of(reading, parent)) as above,
            opened(self._session, pool["pool_name"]) as place,
        ):
            rbd = load_rbd()
            if change.volume in rbd.RBD().list(place):
                raise ChangeRefused(f"pool {change.pool} has an image {change.volume} that is not ours")
            self._session.set(key, document)

            def clone() -> None:
                rbd.RBD().clone(above, parent["name"], snapshot, place, change.volume, features=features())

            try:
                clone()
            except rbd.InvalidArgument:  # a cluster that lets in the oldest clients wants it protected
                with self._images.image(reading, source.volume_id, parent) as image:
                    if image.is_protected_snap(snapshot):
                        raise
                    image.protect_snap(snapshot)
                clone()
            with rbd.Image(place, change.volume) as image:
                if not _is_on(image, document):  # another volume got that name just now
                    raise NotYet(f"volume {parent['name']} is being renamed")
                for limit in {IOPS, BANDWIDTH} & dict(image.metadata_list()).keys():
                    image.metadata_remove(limit)  # they are those of the other volume
                document |= {"image_id": image.id(), "size_bytes": image.size()}
        self._session.set(key, document)
        return document

    def _copy(self, pool: str, volume_id: str, name: str) -> None:
        """All that is below an image into it; what is there already stays as it is.

        Without an object map meanwhile: it says of an object that it is there before it is, and librbd skips
        what is in the map. What somebody was just writing who died would be missing.
        """

        def tell(done: int, of: int) -> int:
            self._copied[volume_id] = 100 * done // max(of, 1)
            return 0

        image_id, rbd = volume_id.partition("-")[2], load_rbd()
        with answered(self._session, f"volume {name}"), opened(self._session, pool) as place:
            with rbd.Image(place, image_id=image_id, read_only=True) as image:
                if _parent(image) is None and _has_object_map(image):
                    return
                fencing.fence(self._session, volume_id, image)  # whoever has copied before us, and died
            with rbd.Image(place, image_id=image_id) as image:
                if _parent(image) is not None:
                    if found := image.features() & object_map():
                        image.update_features(found, False)
                    image.flatten(on_progress=tell)
                if missing := object_map() & ~image.features():
                    image.update_features(missing, True)
                if not _has_object_map(image):
                    image.rebuild_object_map()

    def discard(self, reading: Reading, name: str) -> None:
        """Take away what is there of a volume that was never finished. Raises NotYet."""
        key = names.key("clones", name)
        document = self._session.get(key)
        if document is None:
            return
        pool = reading.ceph_pool(PoolName(document["domain"], document["pool"]))
        if pool is not None:
            with answered(self._session, f"volume {name}"), opened(self._session, pool["pool_name"]) as place:
                image_id = document.get("image_id") or _begun(place, name)
            volume_id = f"{pool['pool']}-{image_id}"
            if image_id is not None and self._session.get(names.key("volumes", volume_id)) is None:
                self._images.remove(pool["pool_name"], volume_id, name)
        self._session.remove(key)


def _has_object_map(image: Any) -> bool:
    """Whether there is one that may be believed."""
    return not object_map() & ~image.features() and not image.flags() & load_rbd().RBD_FLAG_OBJECT_MAP_INVALID


def _parent(image: Any) -> str | None:
    """The id of the image below; None if there is none."""
    try:
        return str(image.parent_id())
    except load_rbd().ImageNotFound:
        return None


def _is_on(image: Any, document: Json) -> bool:
    """Whether an image is on top of this snapshot."""
    if _parent(image) != document["volume_id"].partition("-")[2]:
        return False
    return bool(image.parent_info()[2] == document["snapshot"])


def _id_of(place: Any, name: str) -> str | None:
    """The id of the image of a name; None if there is none."""
    try:
        with load_rbd().Image(place, name, read_only=True) as image:
            return str(image.id())
    except load_rbd().ImageNotFound:
        return None


def _begun(place: Any, name: str) -> str | None:
    """The id of an image that was made half before a crash: there was none of this name before."""
    try:
        with load_rbd().Image(place, name, read_only=True) as image:
            return str(image.id()) if _parent(image) is not None or not has_data(image) else None
    except load_rbd().ImageNotFound:
        return None
