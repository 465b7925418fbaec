"""Processes outlive whoever has started them, and there is one of each."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from artesian.engines.ceph.launching import Launcher, Place, known, make_folders
from artesian.engines.ceph.process_config import ProcessConfig, Role
from artesian.host import processes
from tests.patience import eventually

WAITS_FOR = ("[v2:127.0.0.1:9/0]",)  # a monitor that is not there


def waiting(folder: Path, name: str = "client") -> Place:
    """A process that waits for monitors for ever."""
    config = ProcessConfig(Role.CLIENT, name, str(folder), "", WAITS_FOR, "n1", "127.0.0.1", guid="G")
    place = Place(folder, Role.CLIENT, name)
    place.write(config)
    return place


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    make_folders(tmp_path)
    (tmp_path / "secret").write_text("secret")
    yield tmp_path
    Launcher().stop(known(tmp_path))


def is_launched(place: Place) -> bool:
    """Whether it has begun to do what it is for."""
    identity = place.running
    return identity is not None and "launch" in Path(f"/proc/{identity.process_id}/cmdline").read_text()


def test_a_process_is_started_once_whoever_asks(folder: Path) -> None:
    place = waiting(folder)
    assert Launcher().start(place)
    first = place.running
    assert first is not None
    assert not Launcher().start(place)
    assert place.running == first


def test_it_is_its_own_leader_and_has_its_own_log(folder: Path) -> None:
    place = waiting(folder)
    Launcher().start(place)
    identity = place.running
    assert identity is not None
    assert os.getsid(identity.process_id) == identity.process_id
    assert place.log.exists()


def test_one_whose_name_was_never_written_down_says_it_itself(folder: Path) -> None:
    place = waiting(folder)
    Launcher().start(place)
    identity = place.running
    place.single.pid_file.unlink(missing_ok=True)
    eventually(lambda: place.running == identity)


def test_it_is_started_again_when_it_has_died(folder: Path) -> None:
    place, launcher = waiting(folder), Launcher()
    launcher.start(place)
    first = place.running
    assert first is not None
    processes.send(first, signal.SIGKILL)
    eventually(lambda: place.running is None)
    assert launcher.start(place)
    assert place.running not in (None, first)


def test_those_that_are_ended_are_named_and_forgotten(folder: Path) -> None:
    places = [waiting(folder, name) for name in ("a", "b", "c")]
    for place in places[:2]:
        Launcher().start(place)
        eventually(lambda place=place: is_launched(place))
    assert sorted(Launcher().stop(known(folder))) == ["a", "b"]
    assert known(folder) == []
    assert not any(place.running for place in places)


def test_what_is_no_config_of_ours_is_left_out(folder: Path) -> None:
    place = waiting(folder)
    for name in ("king~a.json", "mon.json", "osd~a.yaml"):
        (folder / name).touch()
    assert known(folder) == [place]


def test_a_config_is_written_when_it_says_something_new(folder: Path) -> None:
    place = waiting(folder)
    before = place.config.stat().st_ino
    waiting(folder)
    assert place.config.stat().st_ino == before
    document = json.loads(place.config.read_text())
    place.write(ProcessConfig(**{**document, "role": Role.CLIENT, "node": "n2"}))
    assert json.loads(place.config.read_text())["node"] == "n2"
