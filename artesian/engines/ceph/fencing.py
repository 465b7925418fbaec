"""Keeping whoever has lost the right to a volume from writing to it.

An exclusive lock alone does not: it is given up whenever another client asks for it, so that of two clients
both write. So the key of the volume's one client is taken away first: nobody new can come with it. Those who
came before are found in four places and put on the cluster's blocklist: at the monitors, to which every
client is connected; at the image, which every one watches that has it open; and in the image's lock, where
a client stays that has vanished in the midst of its work; and where it is written down before anybody can
use it, as one that has been silent for long, and had nothing to write, is in none of the other places.
"""

from __future__ import annotations

from typing import Any

import structlog

from artesian.engines.ceph import names
from artesian.engines.ceph.bindings import load_rados
from artesian.engines.ceph.errors import CommandFailed
from artesian.engines.ceph.gathering import sessions
from artesian.engines.ceph.session import CephSession
from artesian.engines.port import NotYet

# What a client was allowed by a key that is gone ends by itself: tickets are renewed every hour.
_EXPIRES_S = 24 * 3600.0
_ANSWER_MS = 2000

log = structlog.get_logger()


def take_key(session: CephSession, volume_id: str) -> None:
    """From now on no client can begin to use a volume."""
    session.command("auth rm", entity=names.volume_entity(volume_id))


def fence(session: CephSession, volume_id: str, image: Any) -> list[str]:
    """Cut off whoever has a volume open; their addresses. `image` is open read-only.

    Raises NotYet as long as somebody may still write, EngineUnreachable.
    """
    users = _users(session, volume_id, image)
    blocked = _blocked(session)
    cut_off = sorted(users - blocked)
    for address in cut_off:
        log.warning("a client of a volume is cut off", volume=volume_id, address=address)
        try:
            session.command("osd blocklist", blocklistop="add", addr=address, expire=_EXPIRES_S)
        except CommandFailed as error:
            raise NotYet(f"{address} cannot be cut off from the volume yet: {error}") from None
    if cut_off:
        session.follow_map()
        left = _users(session, volume_id, image) - _blocked(session)
        if left:
            raise NotYet(f"{', '.join(sorted(left))} may still write to the volume")
    return cut_off


def need_answer(session: CephSession, volume_id: str, image: Any, place: Any) -> None:
    """Whoever changes something about a volume asks its user to do it, or to let go of it. One who does not
    answer to that would be taken for dead, and cut off from what he still has a right to: so he is asked
    before. Raises NotYet."""
    users, lockers = {one["addr"] for one in image.watchers_list()}, image.list_lockers()
    holders = {address for _, _, address in (lockers["lockers"] if lockers else ())} - users
    silent = {_plain(one) for one in holders & _written_down(session, volume_id)} - _blocked(session)
    try:
        if not silent:
            # Without a text it says that something may have changed. All who have it open have to answer.
            place.notify(f"rbd_header.{volume_id.partition('-')[2]}", "", _ANSWER_MS)
    except load_rados().TimedOut:
        silent = users
    if silent:
        raise NotYet(f"the volume's user {', '.join(sorted(silent))} does not answer")


def forget_users(session: CephSession, volume_id: str, guid: str = "") -> None:
    """Of a volume that they were cut off from: those of one client, or of all."""
    for _, client, one in session.documents(names.key("opened", guid)):
        if one == volume_id and guid in ("", client):
            session.remove(names.key("opened", client, one))


def _users(session: CephSession, volume_id: str, image: Any) -> set[str]:
    """Addresses with port and nonce of all that may write, but for our own."""
    entity = names.volume_entity(volume_id)
    found = {
        f"{address['addr']}/{address['nonce']}"
        for one in sessions(session, session.ask("mon dump"))
        if one["entity_name"] == entity
        for address in one["addrs"]["addrvec"]
    }
    found |= {one["addr"] for one in image.watchers_list()}
    found |= _written_down(session, volume_id)
    locked = image.list_lockers()  # a dictionary, or an empty list
    found |= {address for _, _, address in (locked["lockers"] if locked else ())}
    return {_plain(one) for one in found} - {_plain(session.address())}


def _written_down(session: CephSession, volume_id: str) -> set[str]:
    opened = session.documents(names.key("opened", ""))
    return {address for key, one in opened.items() if key[2] == volume_id for address in one["addresses"]}


def _blocked(session: CephSession) -> set[str]:
    listed = session.ask("osd dump")["blocklist"]
    return {_plain(one) for one in listed}


def _plain(address: str) -> str:
    """Without the protocol: the same client may be spoken of as "v2:10.0.0.1:0/7"."""
    return address.strip("[]").removeprefix("v1:").removeprefix("v2:")
