"""The number of a disk that died waits for the next disk of its server, and for no other."""

from __future__ import annotations

import errno
from typing import Any, cast

import pytest

from artesian.engines.ceph import vacancies
from artesian.engines.ceph.errors import CommandFailed
from artesian.engines.ceph.reading import Reading
from artesian.engines.ceph.session import CephSession
from artesian.engines.port import NotYet

OLD, NEW = "uuid-of-the-dead", "uuid-of-the-next"


class Session:
    """What it was told; `answers` are the numbers of errors by command."""

    def __init__(self, **answers: int) -> None:
        self.told: list[str] = []
        self._answers = {name.replace("_", " "): number for name, number in answers.items()}

    def command(self, prefix: str, **arguments: Any) -> None:
        if number := self._answers.get(prefix):
            raise CommandFailed(prefix, number, "no")
        self.told.append(f"{prefix} {arguments.get('id', arguments.get('name'))}")

    def set(self, key: str, value: object) -> None:
        self.told.append(f"set {key}")

    def remove(self, key: str) -> None:
        self.told.append(f"remove {key}")


class Look:
    """`vacant` are servers and UUIDs by number; all numbers in `destroyed` are of OSDs that are gone."""

    def __init__(self, vacant: dict[int, tuple[str, str]], destroyed: set[int]) -> None:
        self._vacant, self._destroyed = vacant, destroyed

    def documents(self, kind: str) -> Any:
        assert kind == "vacant"
        return {(str(osd),): {"server": one[0], "uuid": one[1]} for osd, one in self._vacant.items()}

    def is_destroyed(self, osd: int) -> bool:
        return osd in self._destroyed


def number_for(session: Session, look: Look, uuid: str, server: str) -> int | None:
    return vacancies.number_for(cast(CephSession, session), cast(Reading, look), uuid, server)


def test_the_next_disk_of_the_server_gets_the_least_number() -> None:
    look = Look({10: ("n1", OLD), 9: ("n1", "another"), 2: ("n2", OLD)}, {2, 9, 10})
    assert number_for(Session(), look, NEW, "n1") == 9
    assert number_for(Session(), look, NEW, "n3") is None


def test_the_dead_disk_itself_begins_anew() -> None:
    session = Session()
    assert number_for(session, Look({4: ("n1", OLD)}, {4}), OLD, "n1") is None
    assert session.told == ["osd purge 4", "remove artesian/vacant/4"]


def test_a_number_that_somebody_uses_by_now_is_left_to_him() -> None:
    session = Session()
    assert number_for(session, Look({4: ("n1", OLD)}, set()), NEW, "n1") is None
    assert session.told == ["remove artesian/vacant/4"]


def test_that_a_number_is_kept_is_written_down_before_its_disk_is_done_away_with() -> None:
    session = Session(osd_crush_rm=errno.ENOENT)  # it was done before a crash
    vacancies.vacate(cast(CephSession, session), OLD, {"osd": 4, "server": "n1"}, "serial")
    assert session.told == ["set artesian/vacant/4", "osd destroy 4"]


def test_one_that_has_not_ended_yet_is_waited_for() -> None:
    session = Session(osd_destroy=errno.EBUSY)
    with pytest.raises(NotYet, match="disk serial is being taken out"):
        vacancies.vacate(cast(CephSession, session), OLD, {"osd": 4, "server": "n1"}, "serial")


def test_a_server_that_goes_gives_its_numbers_up() -> None:
    session = Session()
    look = Look({4: ("n1", OLD), 5: ("n1", NEW), 6: ("n2", OLD)}, {4, 6})
    vacancies.give_up_all(cast(CephSession, session), cast(Reading, look), "n1")
    assert session.told == ["osd purge 4", "remove artesian/vacant/4", "remove artesian/vacant/5"]
