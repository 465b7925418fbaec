"""Volumes as RBD images: made, grown, renamed and deleted, and given to one client at a time."""

from __future__ import annotations

import contextlib
import errno
import secrets
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import structlog

from artesian.engines.ceph import fencing, names
from artesian.engines.ceph.arranging import need_pool
from artesian.engines.ceph.bindings import load_rados, load_rbd
from artesian.engines.ceph.errands import Errands
from artesian.engines.ceph.errors import CommandFailed
from artesian.engines.ceph.keys import keyring, volume_key
from artesian.engines.ceph.monitors import Json
from artesian.engines.ceph.reading import SOMEBODY, Reading
from artesian.engines.ceph.session import CephSession
from artesian.engines.port import ChangeRefused, EngineUnreachable, NotYet
from artesian.model.changes import CreateVolume, GrowVolume, RenameVolume, SetLimits
from artesian.model.disk import PoolName
from artesian.model.engine import NO_LIMITS, SeenLimits

MARK = "artesian"  # of our images, among their metadata: whose engine's they are
IOPS, BANDWIDTH = "conf_rbd_qos_iops_limit", "conf_rbd_qos_bps_limit"
_MIB = 1 << 20
_REMOVED_AT_ONCE, _PATIENCE_S = 2, 1.0

log = structlog.get_logger()


class Images:
    """`system_id` and `secret` are the engine's. Who holds `pools` makes images, or does away with pools."""

    def __init__(
        self, session: CephSession, system_id: str, secret: str, pools: contextlib.AbstractContextManager[Any]
    ) -> None:
        self._session = session
        self._system_id = system_id
        self._secret = secret
        self._pools = pools
        self._removing = Errands(_REMOVED_AT_ONCE)

    def close(self, then: Callable[[], None]) -> None:
        """`then` follows once nothing uses the connection any more: images are removed to the end."""
        self._removing.when_done(then)

    # --- there, and of a size

    def is_there(self, reading: Reading, change: CreateVolume) -> bool:
        """Raises ChangeRefused."""
        found = reading.volume_named(change.volume)
        if found is not None and (found[1]["domain"], found[1]["pool"]) != (
            change.pool.domain,
            change.pool.pool,
        ):
            raise ChangeRefused(f"volume {change.volume} is there already, but in another pool")
        return found is not None

    def create(self, reading: Reading, change: CreateVolume) -> None:
        """An empty one. Raises NotYet, ChangeRefused."""
        pool = self.pool_for(reading, change)
        size_bytes = _whole(change.size_bytes)
        with (
            self._pools,
            answered(self._session, f"volume {change.volume}"),
            self._pool(pool["pool_name"]) as place,
        ):
            rbd = load_rbd()
            with contextlib.suppress(rbd.ImageExists):
                rbd.RBD().create(place, change.volume, size_bytes, old_format=False, features=features())
                with rbd.Image(place, change.volume) as image:
                    image.metadata_set(MARK, self._system_id)
            with rbd.Image(place, change.volume, read_only=True) as image:
                self._check_ours(image, change)
                volume_id, size_bytes = f"{pool['pool']}-{image.id()}", image.size()
        self.write_down(volume_id, change.volume, change.pool, size_bytes)

    def pool_for(self, reading: Reading, change: CreateVolume) -> Json:
        """Ceph's pool for a new volume. Raises NotYet, ChangeRefused."""
        need_pool(reading, change.pool)
        if change.thick:
            raise ChangeRefused("volumes of Ceph are thin: their room is taken when they are written to")
        pool = reading.ceph_pool(change.pool)
        if pool is None:
            raise NotYet(f"pool {change.pool} has no disk yet")
        return pool

    def _check_ours(self, image: Any, change: CreateVolume) -> None:
        """One that was made before a crash has our mark, or has never been written to."""
        marks = dict(image.metadata_list())
        if marks.get(MARK, self._system_id) != self._system_id or (MARK not in marks and has_data(image)):
            raise ChangeRefused(f"pool {change.pool} has an image {change.volume} that is not ours")

    def write_down(self, volume_id: str, name: str, pool: PoolName, size_bytes: int) -> None:
        """From now on an image is a volume."""
        document = {"name": name, "domain": pool.domain, "pool": pool.pool, "size_bytes": size_bytes}
        self._session.set(names.key("volumes", volume_id), document)

    def grow(self, reading: Reading, change: GrowVolume) -> None:
        """Raises ChangeRefused, NotYet. Whoever offers the volume is told."""
        volume_id, document = self.volume(reading, change.volume)
        size_bytes = max(_whole(change.size_bytes), document["size_bytes"])
        with self.image(reading, volume_id, document, read_only=True) as image:
            is_grown = image.size() >= size_bytes  # whoever uses it is left alone then
        if not is_grown:
            with self.image(reading, volume_id, document) as image:
                image.resize(size_bytes)
        if document["size_bytes"] < size_bytes:
            self._session.set(names.key("volumes", volume_id), {**document, "size_bytes": size_bytes})
        for (guid, mapped), told in reading.documents("mapped").items():
            if mapped == volume_id and told["size_bytes"] < size_bytes:
                self._session.set(names.key("mapped", guid, volume_id), {**told, "size_bytes": size_bytes})

    def rename(self, reading: Reading, change: RenameVolume) -> None:
        """Clients know a volume by its id, so it may be in use. Raises ChangeRefused, NotYet."""
        if reading.volume_named(change.old_name) is None and reading.volume_named(change.volume) is not None:
            return
        volume_id, document = self.volume(reading, change.old_name)
        if reading.volume_named(change.volume) is not None:
            raise ChangeRefused(f"there is a volume {change.volume} already")
        rbd = load_rbd()
        pool = self.pool_of(reading, document)
        with answered(self._session, f"volume {change.old_name}"), self._pool(pool) as place:
            try:
                rbd.RBD().rename(place, change.old_name, change.volume)
            except rbd.ImageExists:
                raise ChangeRefused(f"there is an image {change.volume} already") from None
            except rbd.ImageNotFound:  # renamed before a crash
                with rbd.Image(place, change.volume, read_only=True) as image:
                    if f"{volume_id.partition('-')[0]}-{image.id()}" != volume_id:
                        raise ChangeRefused(f"the image of volume {change.old_name} is gone") from None
        self._session.set(names.key("volumes", volume_id), {**document, "name": change.volume})

    def delete(self, reading: Reading, name: str) -> None:
        """Large images take a while, in a thread of their own. Raises ChangeRefused, NotYet."""
        found = reading.volume_named(name)
        if found is None:
            return
        volume_id, document = found
        if reading.holder_of(volume_id) is not None:
            raise ChangeRefused(f"volume {name} is still mapped")
        snapshots = sorted(key[1] for key in reading.documents("snapshots") if key[0] == volume_id)
        if snapshots:
            raise ChangeRefused(f"volume {name} still has snapshots: {', '.join(snapshots)}")
        pool = self.pool_of(reading, document)
        self.remove(pool, volume_id, name)
        fencing.forget_users(self._session, volume_id)
        self._session.remove(names.key("limits", volume_id))
        self._session.remove(names.key("volumes", volume_id))

    def remove(self, pool: str, volume_id: str, name: str) -> None:
        """An image that is nobody's, if it is still there. Raises NotYet."""
        if not self._removing.attend_to(volume_id, lambda: self._remove(pool, volume_id, name), _PATIENCE_S):
            raise NotYet(f"what is in volume {name} is being removed")

    def _remove(self, pool: str, volume_id: str, name: str) -> None:
        rbd = load_rbd()
        with answered(self._session, f"volume {name}"), self._pool(pool) as place:
            place.set_osdmap_full_try()  # where there is no room left, this is what makes some
            try:
                with rbd.Image(place, name, read_only=True) as image:
                    if f"{volume_id.partition('-')[0]}-{image.id()}" != volume_id:
                        return  # it is another one
                    fencing.fence(self._session, volume_id, image)
                rbd.RBD().remove(place, name)
            except rbd.ImageNotFound:
                return
            except (rbd.ImageBusy, rbd.ImageHasSnapshots) as error:
                raise NotYet(f"volume {name} cannot be removed yet: {error}") from None

    # --- one client's to write

    def map(self, reading: Reading, name: str, node: str) -> None:
        """Give a volume to a node's client, if it is nobody's. Raises ChangeRefused, NotYet.

        The key of the volume's one client decides: the monitors take the first, and no second one.
        """
        volume_id, document = self.volume(reading, name)
        guid = reading.guid_of_node(node)
        if guid is None:
            raise NotYet(f"the client of {node} has not registered with the engine yet")
        holder, told = reading.holder_of(volume_id), reading.documents("mapped")
        if holder not in (None, guid):
            raise ChangeRefused(f"volume {name} is mapped to {self._who(reading, holder)} already")
        if holder == guid and (guid, volume_id) in told:
            self._forget_others(reading, volume_id, guid)
            return
        if holder is None:
            with self.image(reading, volume_id, document, read_only=True) as image:
                if self._key(volume_id) is not None:  # whom we would cut off has the right by now
                    raise ChangeRefused(f"volume {name} was mapped to another node at the same moment")
                fencing.fence(self._session, volume_id, image)
        mapped = {"token": secrets.token_hex(8), "size_bytes": document["size_bytes"]}
        self._session.set(names.key("mapped", guid, volume_id), mapped)
        pool = self.pool_of(reading, document)
        if holder is None and not self._took_key(volume_id, guid, pool):
            self._session.remove(names.key("mapped", guid, volume_id))
            raise ChangeRefused(f"volume {name} was mapped to another node at the same moment")
        now = self._session.get(names.key("volumes", volume_id))
        if now is not None and now["size_bytes"] > mapped["size_bytes"]:  # it has grown meanwhile
            self._session.set(
                names.key("mapped", guid, volume_id), {**mapped, "size_bytes": now["size_bytes"]}
            )
        self._forget_others(reading, volume_id, guid)

    def _forget_others(self, reading: Reading, volume_id: str, guid: str) -> None:
        """Those who were told to offer a volume, and did not get it."""
        for other, mapped_id in reading.documents("mapped"):
            if mapped_id == volume_id and other != guid:
                self._session.remove(names.key("mapped", other, volume_id))

    def _took_key(self, volume_id: str, guid: str, pool: str) -> bool:
        entity = names.volume_entity(volume_id)
        caps = ["mon", "profile rbd", "osd", f"profile rbd pool={pool}", "mgr", f"profile rbd pool={pool}"]
        text = keyring(self._secret, entity, volume_key(self._secret, volume_id, guid))
        try:
            self._session.command("auth add", text.encode(), entity=entity, caps=caps)
        except CommandFailed as error:
            if error.number in (errno.EINVAL, errno.EEXIST):
                return False
            raise
        return True

    def _key(self, volume_id: str) -> str | None:
        """Of the client that may write to it now."""
        try:
            (known,) = self._session.ask("auth get", entity=names.volume_entity(volume_id))
        except CommandFailed as error:
            if error.number == errno.ENOENT:
                return None
            raise
        return str(known["key"])

    def unmap(self, reading: Reading, name: str, node: str) -> None:
        """End a node's right to a volume; who still has it open is cut off. Raises NotYet."""
        found, guid = reading.volume_named(name), reading.guid_of_node(node)
        if found is None or guid is None:
            return
        volume_id, document = found
        holder = reading.holder_of(volume_id)
        is_anothers = self._key(volume_id) not in (None, volume_key(self._secret, volume_id, guid))
        if holder == SOMEBODY or (holder == guid and not is_anothers):
            with self.image(reading, volume_id, document, read_only=True) as image:
                fencing.fence(self._session, volume_id, image)
                fencing.take_key(self._session, volume_id)
                fencing.fence(self._session, volume_id, image)  # those that came in between
            fencing.forget_users(self._session, volume_id, guid)
            self._put_limits(reading, volume_id, document, NO_LIMITS)
        if (guid, volume_id) in reading.documents("mapped"):
            self._session.remove(names.key("mapped", guid, volume_id))

    def limit(self, reading: Reading, change: SetLimits) -> None:
        """Raises ChangeRefused, NotYet."""
        volume_id, document = self.volume(reading, change.volume)
        guid = reading.guid_of_node(change.node)
        if guid is None or reading.holder_of(volume_id) != guid:
            raise NotYet(f"volume {change.volume} is not mapped to {change.node} yet")
        limits = SeenLimits(change.iops, change.bandwidth_bytes_per_s)
        self._put_limits(reading, volume_id, document, limits)

    def _put_limits(self, reading: Reading, volume_id: str, document: Json, wanted: SeenLimits) -> None:
        if reading.limits_of(volume_id) == wanted:
            return
        with self.image(reading, volume_id, document) as image:
            for key, value in ((IOPS, wanted.iops), (BANDWIDTH, wanted.bandwidth_bytes_per_s)):
                if value:
                    image.metadata_set(key, str(value))
                elif key in dict(image.metadata_list()):
                    image.metadata_remove(key)
        self._session.set(names.key("limits", volume_id), asdict(wanted))

    # --- what all of them need

    def volume(self, reading: Reading, name: str) -> tuple[str, Json]:
        """Its id and document. Raises ChangeRefused."""
        found = reading.volume_named(name)
        if found is None:
            raise ChangeRefused(f"there is no volume named {name}")
        return found

    def _who(self, reading: Reading, guid: str | None) -> str:
        clients = reading.documents("clients")
        return str(clients[(guid,)]["node"]) if guid is not None and (guid,) in clients else "somebody"

    def pool_of(self, reading: Reading, document: Json) -> str:
        """The name of Ceph's pool in which a volume is. Raises NotYet."""
        pool = reading.ceph_pool(PoolName(document["domain"], document["pool"]))
        if pool is None:
            raise NotYet(
                f"pool {document['domain']}/{document['pool']} of volume {document['name']} is not there"
            )
        return str(pool["pool_name"])

    def _pool(self, name: str) -> contextlib.AbstractContextManager[Any]:
        return opened(self._session, name)

    @contextlib.contextmanager
    def image(
        self, reading: Reading, volume_id: str, document: Json, *, read_only: bool = False
    ) -> Iterator[Any]:
        """A volume's image; to be changed by whoever has it in use, who has to answer. Raises NotYet."""
        pool, image_id = self.pool_of(reading, document), volume_id.partition("-")[2]
        with (
            answered(self._session, f"volume {document['name']}"),
            self._pool(pool) as place,
        ):
            if not read_only:
                with load_rbd().Image(place, image_id=image_id, read_only=True) as image:
                    fencing.need_answer(self._session, volume_id, image, place)
            with load_rbd().Image(place, image_id=image_id, read_only=read_only) as image:
                yield image


def features() -> int:
    """What all of our images have."""
    rbd = load_rbd()
    found: int = rbd.RBD_FEATURE_LAYERING | rbd.RBD_FEATURE_EXCLUSIVE_LOCK | rbd.RBD_FEATURE_DEEP_FLATTEN
    return found | object_map()


def object_map() -> int:
    """Those features that say which objects are there."""
    rbd = load_rbd()
    found: int = rbd.RBD_FEATURE_OBJECT_MAP | rbd.RBD_FEATURE_FAST_DIFF
    return found


def opened(session: CephSession, pool: str) -> contextlib.AbstractContextManager[Any]:
    """One of Ceph's pools."""
    return contextlib.closing(session.rados.open_ioctx(pool))


def has_images(session: CephSession, pool: str) -> bool:
    """Whether there is any image in one of Ceph's pools, also one that waits to be removed."""
    with answered(session, f"pool {pool}"), opened(session, pool) as place:
        rbd = load_rbd().RBD()
        return bool(rbd.list(place) or list(rbd.trash_list(place)))


def image_names(session: CephSession, pool: str) -> list[str]:
    """All images in one of Ceph's pools."""
    with answered(session, f"pool {pool}"), opened(session, pool) as place:
        return list(load_rbd().RBD().list(place))


@contextlib.contextmanager
def answered(session: CephSession, what: str) -> Iterator[None]:
    """What librados and librbd raise, in the words of the port."""
    rados, rbd = load_rados(), load_rbd()
    connection = session.rados
    try:
        yield
    except (rados.Error, rbd.Error) as error:
        number = abs(getattr(error, "errno", None) or 0)
        words = " ".join(str(error).split())
        if number == errno.ETIMEDOUT or isinstance(error, rados.TimedOut):
            raise EngineUnreachable(f"the disks of {what} do not answer in time") from None
        if number == errno.ESHUTDOWN:
            log.warning("the scheduler was cut off from the disks, and connects anew", what=what)
            session.begin_anew(connection)
            raise EngineUnreachable(f"somebody has cut us off from the disks of {what}") from None
        if number in (errno.EBUSY, errno.EAGAIN):
            raise NotYet(f"{what} is busy: {words}") from None
        log.warning("ceph refuses", what=what, error=words)
        raise ChangeRefused(f"{what}: {words}") from None


def has_data(image: Any) -> bool:
    """Whether anything was ever written to an image."""
    extents: list[int] = []
    image.diff_iterate(0, image.size(), None, lambda *extent: extents.append(extent[1]), whole_object=True)
    return bool(extents)


def _whole(size_bytes: int) -> int:
    """Whole MiB: of no use to anybody would be less."""
    return -(-size_bytes // _MIB) * _MIB
