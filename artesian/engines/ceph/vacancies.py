"""Numbers of OSDs whose disks died, kept for the disks that follow them at the same place.

Who has the number of its predecessor gets back just the data that it had: nothing else moves. The number of a
disk that comes back itself is not kept: it is to begin anew, and in the map it would have a past.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator

from artesian.engines.ceph import names
from artesian.engines.ceph.errors import CommandFailed
from artesian.engines.ceph.monitors import Json
from artesian.engines.ceph.reading import Reading
from artesian.engines.ceph.session import CephSession
from artesian.engines.port import NotYet


def vacate(session: CephSession, uuid: str, device: Json, identity: str) -> None:
    """Take a dead OSD out, and keep its number. Raises NotYet."""
    osd = int(device["osd"])
    session.set(names.key("vacant", str(osd)), {"server": device["server"], "uuid": uuid})
    waiting = f"disk {identity} is being taken out"
    _take_out(lambda: session.command("osd crush rm", name=f"osd.{osd}"), waiting)
    # Last: by its UUID, which it has until then, is known that all this is not done yet.
    _take_out(lambda: session.command("osd destroy", id=osd, yes_i_really_mean_it=True), waiting)


def purge(session: CephSession, osd: int, waiting: str) -> None:
    """Take an OSD out, with its number. `waiting`: what there is to say of one that has not ended yet. Raises
    NotYet."""
    _take_out(lambda: session.command("osd purge", id=osd, yes_i_really_mean_it=True), waiting)


def number_for(session: CephSession, reading: Reading, uuid: str, server: str) -> int | None:
    """The number that waits for a new disk of a server, if there is one. Raises NotYet."""
    for number, dead in _kept_for(session, reading, server):
        if dead != uuid:
            return number
        _give_up(session, number)
    return None


def give_up_all(session: CephSession, reading: Reading, server: str) -> None:
    """Of a server that goes. Raises NotYet."""
    for number, _ in _kept_for(session, reading, server):
        _give_up(session, number)


def _kept_for(session: CephSession, reading: Reading, server: str) -> Iterator[tuple[int, str]]:
    """Numbers and the UUIDs of those that had them, the least first. One that somebody else has done away
    with, or uses, is kept no longer."""
    kept = {int(number): one for (number,), one in reading.documents("vacant").items()}
    for number, one in sorted(kept.items()):
        if one["server"] != server:
            continue
        if reading.is_destroyed(number):
            yield number, one["uuid"]
        else:
            session.remove(names.key("vacant", str(number)))


def _give_up(session: CephSession, number: int) -> None:
    purge(session, number, f"number {number} is being given up")
    session.remove(names.key("vacant", str(number)))


def _take_out(tell: Callable[[], object], waiting: str) -> None:
    try:
        tell()
    except CommandFailed as error:
        if error.number in (errno.EBUSY, errno.EAGAIN):
            raise NotYet(waiting) from None
        if error.number != errno.ENOENT:
            raise
