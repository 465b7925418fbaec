"""A node's plugin: where it listens, what it says of itself, and that dvdcli finds it."""

from __future__ import annotations

import dataclasses
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from artesian.agent import plugin
from artesian.agent.config import AgentConfig
from artesian.agent.plugin import NodePlugin, socket_of
from artesian.attach.errors import ToolFailed
from artesian.model.assignment import AssignedVolume, Assignment
from tests.patience import eventually

CONFIG = AgentConfig("n1", "127.0.0.1", "http://127.0.0.1:9", "token", "secret", dev="/nowhere")


@pytest.fixture
def folder() -> Iterator[Path]:
    """With a short path, as sockets need one."""
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as made:
        yield Path(made)


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[[], NodePlugin]]:
    started: list[NodePlugin] = []

    def begin() -> NodePlugin:
        started.append(
            NodePlugin(folder, lambda: CONFIG, lambda: Assignment("n1", "127.0.0.1"), is_mute=lambda: True)
        )
        started[-1].start()
        return started[-1]

    yield begin
    for one in started:
        one.close()


def test_a_machine_is_asked_where_engines_look_and_a_folder_in_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, machine = Path("/n"), dataclasses.replace(CONFIG, dev=None)
    monkeypatch.setattr(plugin.os, "geteuid", lambda: 0)
    assert socket_of(folder, machine) == Path("/run/docker/plugins/artesian.sock")
    assert socket_of(folder, CONFIG) == Path("/n/plugins/artesian.sock")
    monkeypatch.setattr(plugin.os, "geteuid", lambda: 1000)
    assert socket_of(folder, machine) == Path("/n/plugins/artesian.sock")


def test_dvdcli_of_the_node_finds_it(folder: Path, start: Callable[[], NodePlugin]) -> None:
    node = start()
    eventually((folder / "plugins" / "artesian.sock").exists, 20.0)
    program = folder / "bin" / "dvdcli"
    done = subprocess.run([program, "list", "--volumedriver=artesian"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    done = subprocess.run(
        [program, "get", "--volumedriver=artesian", "--volumename=v"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no volume v, as far as this node knows: this node is cut off" in done.stderr
    assert node.problems() == ()
    node.close()
    assert not (folder / "plugins" / "artesian.sock").exists()


def test_a_second_one_says_that_there_is_one(folder: Path, start: Callable[[], NodePlugin]) -> None:
    first = start()
    eventually((folder / "plugins" / "artesian.sock").exists, 20.0)
    second = start()
    eventually(second.problems, 20.0)
    assert "another program serves" in second.problems()[0]
    first.close()
    eventually(lambda: not second.problems(), 20.0)


def test_a_volume_of_which_nothing_can_be_told_is_answered_for_as_one_that_is_not_mounted(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(kept: Path) -> None:
        raise ToolFailed("losetup took too long")

    volume = AssignedVolume("1" * 16, "data", 1 << 30, mount_path="/data")
    node = plugin._Node(folder, "n1", lambda: Assignment("n1", "127.0.0.1", volumes=(volume,)))
    monkeypatch.setattr(plugin.attaching, "find", fails)
    assert node.mounted("data") is None
