"""The commands of `artesian engine` on a real engine, from up to down --destroy."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from artesian.attach import fuse, loop, mounts, tools
from artesian.cli.outcome import ExitCode
from tests import commands

pytestmark = pytest.mark.slow

GIB = 1 << 30


class Commands:
    """`artesian engine … --dir FOLDER`, in a process of its own as a user has it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"ARTESIAN_DIR": str(self.folder)}
        done = commands.run(["engine", *arguments], 120.0, environment)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done

    def json(self, *arguments: str | Path) -> Any:
        return json.loads(self.run(*arguments, "--json").stdout)

    def error(self, code: ExitCode, *arguments: str | Path) -> str:
        done = self.run(*arguments, code=code)
        assert done.stdout == ""
        assert re.fullmatch(r"error: [^\n]+\n", done.stderr)
        return done.stderr

    def wait_until(self, what: str, condition: Any) -> Any:
        deadline = time.monotonic() + 60
        while not condition(status := self.json("status")):
            assert time.monotonic() < deadline, f"{what}: not within 60 s, but {status}"
            time.sleep(0.5)  # each look is a command, which takes much longer than what is looked at
        return status


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """One engine for all tests of this file, which leave it as they found it."""
    commands = Commands(tmp_path_factory.mktemp("commands") / "engine")
    yield commands
    if (commands.folder / "engine.yaml").exists():
        commands.run("down", "--destroy", "--force", "--yes")


@pytest.fixture(autouse=True)
def left_as_found(engine: Commands) -> Iterator[None]:
    """Whatever a test leaves is taken away, even when it failed."""
    up(engine)
    yield
    up(engine)
    status = engine.json("status")
    for found in status["attachments"]:
        engine.json("unmount", found["volume_id"], "--node", str(found["node"]), "--force")
    for mapping in status["mappings"]:
        engine.json("unmap", mapping["volume_id"], str(mapping["node"]))
    for volume in status["volumes"]:
        engine.json("volume", "delete", volume["id"])


def up(engine: Commands, **more: str) -> Any:
    options = {"nodes": "2", "disks-per-node": "1", "disk-size": "1GiB", "managers": "1"} | more
    return engine.json("up", *(part for key, value in options.items() for part in (f"--{key}", value)))


def test_up_prints_what_is_needed_to_use_it(engine: Commands) -> None:
    answer = up(engine)
    assert not answer["made"]
    assert answer["gateway"].startswith("https://127.")
    password_file = Path(answer["password_file"])
    assert password_file.read_text().strip() == answer["password"]
    assert stat.S_IMODE(password_file.stat().st_mode) == 0o600
    assert [node["name"] for node in answer["nodes"]] == ["node-1", "node-2"]
    again = engine.run("up").stdout
    assert "was running already" in again
    for text in (answer["gateway"], answer["user"], answer["password"], "node-1", "node-2"):
        assert text in again
    status = engine.json("status")
    assert all(process["running"] for process in status["processes"])
    shown = engine.run("status").stdout
    for text in ("mdm-1", "leads", "node-2", "node-2-disk-1", "default", "everything has two good copies"):
        assert text in shown


def test_down_and_up_again(engine: Commands) -> None:
    engine.json("volume", "create", "kept", "2GiB")
    assert len(engine.json("down")["stopped"]) == 6
    assert engine.json("down")["stopped"] == []
    assert not any(process["running"] for process in engine.json("status")["processes"])
    assert not up(engine)["made"]
    assert [volume["name"] for volume in engine.json("volume", "list")] == ["kept"]
    assert "has 2 nodes; it cannot be started with 1" in engine.error(
        ExitCode.IN_THE_WAY, "up", "--nodes", "1"
    )


def test_what_the_engine_refuses_is_told_in_its_words(engine: Commands) -> None:
    engine.json("volume", "create", "v", "1GiB")
    assert "already in use" in engine.error(ExitCode.REFUSED, "volume", "create", "v", "1GiB")
    engine.json("map", "v", "1")
    assert "already mapped" in engine.error(ExitCode.REFUSED, "map", "v", "1")
    assert "for writing" in engine.error(ExitCode.REFUSED, "map", "v", "2")
    assert "mapped" in engine.error(ExitCode.REFUSED, "volume", "delete", "v")
    assert "no volume named 'w'" in engine.error(ExitCode.NOT_THERE, "map", "w", "1")
    assert "not mapped to node 2" in engine.error(ExitCode.NOT_THERE, "unmap", "v", "2")
    assert "not mapped to node 2" in engine.error(ExitCode.NOT_THERE, "attach", "v", "--node", "2")
    assert engine.json("map", "v", "node-2", "--read-only")["node"] == 2
    modes = {found["node"]: found["access_mode"] for found in engine.json("status")["mappings"]}
    assert modes == {1: "ReadWrite", 2: "ReadOnly"}
    for node in ("1", "2"):
        engine.json("unmap", "v", node)
    engine.json("volume", "delete", "v")
    assert engine.json("volume", "list") == []


def test_a_killed_server_is_seen_and_comes_back(engine: Commands) -> None:
    assert engine.json("node", "kill", "2", "--role", "sds") == {"killed": ["sds-2"]}
    status = engine.wait_until("node-2 away", lambda seen: not seen["servers"][1]["connected"])
    assert status["devices"][1]["condition"] == "away"
    assert [process["name"] for process in status["processes"] if not process["running"]] == ["sds-2"]
    assert engine.json("node", "start", "2") == {"started": ["sds-2"]}
    engine.wait_until("a healthy pool", lambda seen: seen["pools"][0]["healthy"])
    assert engine.json("node", "stop", "2", "--role", "sdc") == {"stopped": ["sdc-2"]}
    assert engine.json("node", "start", "2") == {"started": ["sdc-2"]}


def test_disks_come_and_go(engine: Commands) -> None:
    added = engine.json("disk", "add", "--node", "2", "--size", "512MiB")
    assert (added["node"], added["disk"], added["size_bytes"]) == (2, 2, GIB // 2)
    disks = engine.json("disk", "list")
    assert [(row["node"], row["disk"], row["device"]["condition"]) for row in disks] == [
        (1, 1, "normal"),
        (2, 1, "normal"),
        (2, 2, "normal"),
    ]
    engine.json("disk", "remove", "2", "--node", "2")
    assert len(engine.json("disk", "list")) == 2
    engine.error(ExitCode.NOT_THERE, "disk", "remove", "2", "--node", "2")


def test_one_process_in_the_foreground(engine: Commands) -> None:
    engine.json("node", "stop", "1", "--role", "sds")
    config = engine.folder / "node-1" / "sds-1.yaml"
    process = subprocess.Popen(
        [sys.executable, "-m", "artesian.cli.main", "engine", "sds", "--config", str(config)],
        stderr=subprocess.PIPE,
    )
    try:
        engine.wait_until("node-1 connected", lambda seen: seen["servers"][0]["connected"])
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.communicate()


# --- mounted


@pytest.fixture
def mounting(engine: Commands) -> Commands:
    reason = loop.available() or fuse.available() or tools.missing("mkfs.ext4", "mkfs.xfs")
    if reason:
        pytest.skip(f"no block device can be made on this machine: {reason}")
    engine.json("volume", "create", "data", "1GiB")
    engine.json("map", "data", "1")
    return engine


@pytest.mark.parametrize("fstype", ["ext4", "xfs"])
def test_a_mounted_volume_moves_to_another_node(mounting: Commands, tmp_path: Path, fstype: str) -> None:
    engine, path = mounting, tmp_path / "mounted"
    answer = engine.json("mount", "data", path, "--node", "1", "--fstype", fstype)
    assert (answer["path"], answer["fstype"], answer["made"]) == (str(path), fstype, True)
    (path / "file").write_text("carried over")
    mapping = engine.json("status")["mappings"][0]
    assert mapping["attached"]["mounted_at"] == str(path)
    assert mapping["attached"]["process_ids"]
    assert "mounted" in engine.error(ExitCode.IN_THE_WAY, "detach", "data", "--node", "1")
    assert "attached" in engine.error(ExitCode.IN_THE_WAY, "unmap", "data", "1")
    assert str(path) in engine.error(ExitCode.IN_THE_WAY, "down")
    assert engine.json("unmount", path) == {
        "volume_id": mapping["volume_id"],
        "node": 1,
        "path": str(path),
    }
    engine.json("unmap", "data", "1")
    engine.json("map", "data", "2")
    assert not engine.json("mount", "data", path, "--node", "2")["made"]
    assert (path / "file").read_text() == "carried over"
    engine.json("down", "--force")
    assert mounts.mounted_at(path) is None
    up(engine)
    engine.json("mount", "data", path, "--node", "2")
    assert (path / "file").read_text() == "carried over"
    engine.json("unmount", "data")


def test_a_mount_outlives_its_client_and_a_server(mounting: Commands, tmp_path: Path) -> None:
    engine, path = mounting, tmp_path / "mounted"
    engine.json("mount", "data", path, "--node", "1")
    (path / "before").write_text("1")
    engine.json("node", "kill", "2")
    engine.json("node", "kill", "1", "--role", "sdc")
    writer = subprocess.Popen(["sh", "-c", f"echo 2 > {path}/during && sync {path}/during"])
    engine.json("node", "start", "1")
    assert writer.wait(60) == 0
    engine.json("node", "start", "2")
    assert [(path / name).read_text().strip() for name in ("before", "during")] == ["1", "2"]
    engine.json("unmount", "data")
    engine.wait_until("a healthy pool", lambda seen: seen["pools"][0]["healthy"])


def test_a_volume_grows_with_its_mounted_file_system(mounting: Commands, tmp_path: Path) -> None:
    engine, path = mounting, tmp_path / "mounted"
    engine.json("mount", "data", path, "--node", "1", "--fstype", "xfs")
    answer = engine.json("volume", "grow", "data", "3GiB")
    assert answer["attachments"] == [{"node": 1, "problem": None}]
    assert os.statvfs(path).f_blocks * os.statvfs(path).f_frsize > 2.5 * GIB
    assert engine.json("volume", "rename", "data", "other")["name"] == "other"
    (path / "file").write_text("written under another name")
    engine.json("unmount", "other")


def test_attaching_says_how_and_why_not_otherwise(mounting: Commands) -> None:
    engine = mounting
    answer = engine.json("attach", "data", "--node", "1")
    assert answer["block_device"]
    assert all(answer["passed_over"].values())
    assert engine.json("attach", "data", "--node", "1")["device"] == answer["device"]
    assert engine.json("detach", "data", "--node", "1") == {"detached": True}
    assert engine.json("detach", "data", "--node", "1") == {"detached": False}
    assert engine.json("status")["attachments"] == []
