"""A node's volumes: what is adopted, what is taken away first, and what is said of it meanwhile."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from artesian.agent.volumes import NodeVolumes
from artesian.attach import attaching, daemons, filesystem, mounting, mounts
from artesian.attach.errors import FilesystemError
from artesian.model.assignment import AssignedVolume
from artesian.model.observation import SeenAttachment
from tests.attach.conftest import MIB, NbdServer, require_loop, serve
from tests.patience import eventually

__all__ = ["serve"]

SIZE_BYTES = 64 * MIB


class Node:
    """An agent's volumes over one NBD server."""

    def __init__(self, folder: Path, server: NbdServer) -> None:
        self.folder = folder
        self.server = server
        self.path = folder / "mounted"
        self.volumes = self.restarted()

    def restarted(self) -> NodeVolumes:
        self.volumes = NodeVolumes(self.folder / "volumes", "node-1", lambda _: self.server.uri)
        return self.volumes

    def assigned(self, generation: int) -> AssignedVolume:
        return AssignedVolume("v1", "data", SIZE_BYTES, str(self.path), None, generation)

    def ensure(self, *volumes: AssignedVolume) -> None:
        """Once, to its end."""
        self.volumes.ensure(volumes)
        deadline = time.monotonic() + 60
        while self.volumes.is_working:
            assert time.monotonic() < deadline
            time.sleep(0.05)
            self.volumes.seen()

    def bridges(self) -> list[int]:
        return daemons.find(str((self.folder / "volumes" / "v1").resolve()))

    def offer(self, offered: bool) -> None:
        """The volume is mapped to this node, or no longer."""
        folder = self.server.socket.parent
        away = folder.with_name(folder.name + "-away")
        if offered:
            away.rename(folder)
            self.server.file = folder / self.server.file.name
            self.server.start()
        elif not offered:
            self.server.kill()  # what is connected is cut off
            folder.rename(away)
            self.server.file = away / self.server.file.name


@pytest.fixture
def node(tmp_path: Path, serve: Callable[..., NbdServer]) -> Iterator[Node]:
    require_loop()
    made = Node(tmp_path, serve(SIZE_BYTES))
    yield made
    attaching.detach(tmp_path / "volumes" / "v1", discard=True)


def only(node: Node) -> SeenAttachment:
    (seen,) = node.volumes.seen()
    return seen


def test_an_agent_that_is_started_again_adopts_what_it_has_attached(node: Node) -> None:
    node.ensure(node.assigned(3))
    eventually(lambda: only(node).total_bytes)  # how full it is takes a moment
    before, seen = node.bridges(), only(node)
    assert (seen.mounted_at, seen.problem) == (str(node.path), "")
    (node.path / "file").write_text("kept")
    node.restarted()
    node.ensure(node.assigned(3))
    eventually(lambda: only(node).total_bytes)
    assert (node.bridges(), replace(only(node), used_bytes=seen.used_bytes)) == (before, seen)


def test_what_is_left_of_an_earlier_attachment_is_not_adopted(node: Node) -> None:
    """It is still offered, so nothing of it is lost."""
    node.ensure(node.assigned(1))
    before = node.bridges()
    (node.path / "file").write_text("not synced")
    node.volumes.ensure([node.assigned(3)])
    node.ensure(node.assigned(3))
    assert attaching.generation_of(node.folder / "volumes" / "v1") == 3
    assert node.bridges() and not set(before) & set(node.bridges())
    assert (node.path / "file").read_text() == "not synced"
    assert only(node).device is not None


def test_what_is_left_is_shown_without_a_device(node: Node) -> None:
    node.ensure(node.assigned(1))
    with (node.path / "open").open("w") as file:
        file.write("written")
        file.flush()
        node.ensure(node.assigned(3))
        seen = only(node)
        assert (seen.device, seen.mounted_at) == (None, None)
        assert f"({os.getpid()})" in seen.problem
        assert mounts.mounted_at(node.path) is not None
    node.ensure(node.assigned(3))
    assert only(node).mounted_at == str(node.path)


def test_what_is_left_is_thrown_away_where_the_volume_is_not_offered_any_more(node: Node) -> None:
    """Also while a process uses it; nothing of it is written when the volume is offered again."""
    node.ensure(node.assigned(1))
    (node.path / "synced").write_text("synced")
    mounting.flush(node.folder / "volumes" / "v1")
    with (node.path / "open").open("w") as file:
        file.write("x" * MIB)
        file.flush()
        node.offer(False)
        before = node.server.file.read_bytes()
        node.ensure(node.assigned(3))
        assert not node.bridges()
        assert mounts.mounted_at(node.path) is None
        assert node.volumes.seen() == ()  # nothing is left: it may be mapped
        assert "is gone" in node.volumes.problems()[0]
        assert node.server.file.read_bytes() == before
        node.offer(True)
        node.ensure(node.assigned(3))
    assert only(node).problem == ""
    assert [one.name for one in sorted(node.path.iterdir()) if one.name != "lost+found"] == ["synced"]


def test_a_volume_whose_storage_hangs_is_cut_off_when_that_is_asked_for(node: Node) -> None:
    """Also while an attempt to let go of it in good order waits for ever."""
    node.ensure(node.assigned(1))
    (node.path / "file").write_text("not synced")
    node.server.hang()
    node.volumes.ensure([])
    time.sleep(0.2)
    assert node.volumes.is_working or node.volumes.problems()
    deadline = time.monotonic() + 60
    while node.volumes.seen():
        assert time.monotonic() < deadline
        node.volumes.ensure([], discard=True)
        time.sleep(0.05)
    assert not node.bridges()
    assert mounts.mounted_at(node.path) is None
    assert node.volumes.problems() == ()


def test_what_is_assigned_is_not_discarded(node: Node) -> None:
    node.ensure(node.assigned(1))
    before = only(node)
    node.volumes.ensure([node.assigned(1)], discard=True)
    assert only(node) == before


def test_waiting_for_the_engine_is_not_told_of(node: Node) -> None:
    """The engine maps a volume when nothing of it is left on the node; letting go of it is told of."""
    node.offer(False)
    node.volumes.ensure([node.assigned(1)])
    assert node.volumes.seen() == ()
    node.volumes.ensure([node.assigned(2)])
    node.volumes.ensure([])
    node.ensure()
    assert node.volumes.seen() == ()


def test_work_for_an_older_assignment_is_told_of(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def bring(*_: object) -> str:
        time.sleep(0.5)
        return ""

    monkeypatch.setattr(NodeVolumes, "_bring", bring)
    node.volumes.ensure([node.assigned(1)])
    assert node.volumes.seen() == ()
    node.volumes.ensure([node.assigned(2)])
    assert only(node).device is None
    node.volumes.ensure([])
    assert only(node).device is None


def test_what_nobody_has_thought_of_is_a_problem_and_not_the_end(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> str:
        raise RuntimeError("the moon\nis full")

    monkeypatch.setattr(NodeVolumes, "_bring", fail)
    node.ensure(node.assigned(1))
    assert node.volumes.problems() == ("volume v1: unexpected: RuntimeError: the moon is full",)
    monkeypatch.undo()
    node.ensure(node.assigned(1))
    assert node.volumes.problems() == ()


def test_a_file_system_that_may_not_grow_is_told_of_and_tried_again(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The volume can be used meanwhile, so that nothing is wrong with the attachment."""
    node.ensure(node.assigned(1))
    node.server.grow(2 * SIZE_BYTES)

    def refuse(*_: object) -> None:
        raise FilesystemError("a mounted ext4 may not be grown here")

    monkeypatch.setattr(filesystem, "grow_mounted", refuse)
    larger = replace(node.assigned(1), size_bytes=2 * SIZE_BYTES)
    node.ensure(larger)
    said = "its file system does not grow: a mounted ext4 may not be grown here"
    assert (only(node).problem, only(node).note) == ("", said)
    assert node.volumes.problems() == (f"volume v1: {said}",)
    node.volumes.ensure([larger])
    assert not node.volumes.is_working, "it is not tried all the time"
    node.restarted()
    node.ensure(larger)
    assert only(node).note == said, "a restarted agent does not think that all is well"
    monkeypatch.setattr(filesystem, "grow_mounted", lambda *_: None)
    monkeypatch.setattr("artesian.agent.volumes._GROW_AGAIN_S", 0.0)
    node.restarted()
    node.ensure(larger)
    assert (only(node).note, node.volumes.problems()) == ("", ())


def test_how_full_a_mounted_file_system_is(node: Node) -> None:
    node.ensure(node.assigned(1))
    deadline = time.monotonic() + 10
    while only(node).used_bytes is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    seen, status = only(node), os.statvfs(node.path)
    assert seen.total_bytes is not None
    assert 0 < seen.total_bytes <= status.f_blocks * status.f_frsize < SIZE_BYTES
