"""dvdcli: what it prints and how it ends, against the real plugin and against one that says odd things."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any

import pytest
from structlog.testing import capture_logs

from artesian.volumes import dvdcli, shim
from artesian.volumes.protocol import VolumeDriver
from artesian.volumes.server import PluginServer
from tests.volumes.cases import NODE, Machine

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    made.cluster.put("v")
    server = PluginServer(tmp_path / "artesian.sock", VolumeDriver(made.service))
    with capture_logs():  # standard output is to be the command's alone
        assert server.ensure() == ""
        yield made
        server.close()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Exit code, standard output and standard error of a command."""
    monkeypatch.setenv("ARTESIAN_PLUGINS", str(tmp_path))

    def command(*arguments: str) -> tuple[int, str, str]:
        code = dvdcli.main(list(arguments), connecting_s=0.0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


def test_mesos_isolator_mounts_as_often_as_it_likes_and_unmounts_once(machine: Machine, run: Run) -> None:
    mount = ("mount", "--volumedriver=artesian", "--volumename=m", "--volumeopts=size=2")
    for _ in range(2):
        code, out, _ = run(*mount, "--volumeopts=fstype=xfs")
        assert (code, out) == (0, f"{machine.path('m')}\n")
    assert machine.cluster.volumes["m"].size_bytes == 2 << 30
    assert run("unmount", "--volumedriver=artesian", "--volumename=m")[:2] == (0, "")
    assert machine.where("m") is None


@pytest.mark.parametrize(
    "flags",
    [
        ("--volumedriver=artesian", "--volumename=v"),
        ("--volumedriver", "artesian", "--volumename", "v"),
        ("--volumename=v", "--volumedriver=artesian", "--explicitcreate"),
        ("--volumedriver=artesian", "--volumename=v", "--explicitCreate=true"),
        (
            "--volumedriver=artesian",
            "--volumename=v",
            "--explicitcreate=false",
            "--volumeopts=size=1,iops=20",
        ),
    ],
)
def test_a_mount_prints_the_path_and_nothing_else(machine: Machine, run: Run, flags: tuple[str, ...]) -> None:
    assert run("mount", *flags)[:2] == (0, f"{machine.path('v')}\n")
    assert run(*flags, "mount")[:2] == (0, f"{machine.path('v')}\n")


@pytest.mark.parametrize("flag", ["--explicitcreate", "--explicitcreate=true", "--explicitCreate=true"])
def test_with_explicit_create_nothing_is_made(machine: Machine, run: Run, flag: str) -> None:
    code, out, err = run("mount", "--volumedriver=artesian", "--volumename=nope", flag)
    assert (code, out) == (1, "")
    assert "there is no volume nope" in err
    assert "nope" not in machine.cluster.volumes


def test_a_refused_mount_fails_with_the_reason_on_standard_error(machine: Machine, run: Run) -> None:
    machine.cluster.put("v", node="n2", mount_path="/data")
    code, out, err = run("mount", "--volumedriver=artesian", "--volumename=v")
    assert (code, out) == (1, "")
    assert "volume v is mounted at /data of node n2" in err
    assert err.count("\n") == 1
    code, out, _ = run("mount", "--volumedriver=artesian", "--volumename=v", "--volumeopts=preempt=true")
    assert (code, out) == (0, f"{machine.path('v')}\n")


def test_the_other_commands(machine: Machine, run: Run) -> None:
    driver = "--volumedriver=artesian"
    assert run("create", driver, "--volumename=w", "--volumeopts=size=1")[:2] == (0, "")
    assert run("create", driver, "--volumename=w")[:2] == (0, "")
    assert run("list", driver)[:2] == (0, "v\nw\n")
    assert run("get", driver, "--volumename=w")[:2] == (0, "w\n")
    assert run("path", driver, "--volumename=w")[:2] == (0, "")
    run("mount", driver, "--volumename=w")
    assert run("path", driver, "--volumename=w")[:2] == (0, f"{machine.path('w')}\n")
    assert machine.where("w") == NODE
    assert run("remove", driver, "--volumename=w")[:2] == (0, "")
    for command in ("get", "path", "unmount", "remove"):
        code, out, err = run(command, driver, "--volumename=w")
        assert (code, out) == (1, "")
        assert 'level=error msg="there is no volume w" volumeName=w' in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "say which command"),
        (("mount",), "Missing volume driver name"),
        (("mount", "--volumedriver=artesian"), "Missing volume name"),
        (("mount", "--volumedriver=artesian", "--volumename="), "Missing volume name"),
        (("mount", "--volumedriver=nobody", "--volumename=v"), "there is no volume driver nobody"),
        (("mount", "--volumedriver=../x", "--volumename=v"), "no name of a volume driver"),
        (("mount", "--volumedriver=artesian", "--volumename=v", "--volumeopts=alone"), "not KEY=VALUE"),
        (("mount", "--volumedriver=artesian", "--volumename=v", "--colour=red"), "no option --colour"),
        (("mount", "--volumename"), "needs a value"),
        (("paint", "--volumedriver=artesian"), "no command 'paint'"),
        (("mount", "unmount"), "one word too many"),
        (("mount", "--explicitcreate=perhaps"), "neither true nor false"),
    ],
)
def test_what_is_wrong_is_never_taken_for_a_mount(
    machine: Machine, run: Run, arguments: tuple[str, ...], words: str
) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (1, "")
    assert words in err


def test_help_and_version(run: Run) -> None:
    code, out, err = run("--help")
    assert (code, out) == (0, "")
    assert err.startswith("usage: dvdcli")
    assert run("version")[:2] == (0, "dvdcli of Artesian 0.1.0\n")


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, b'{"Err": "no room"}', "no room"),
        (500, b'{"Err": "no room"}', "no room"),
        (200, b"<html>", "answers 200"),
        (404, b"", "answers 404"),
        (200, b'{"Implements": ["NetworkDriver"]}', "gives no volumes"),
        (200, b'{"Implements": ["VolumeDriver"], "Mountpoint": ""}', "does not say where"),
        (200, b"[]", "answers 200"),
    ],
)
def test_odd_answers_of_other_plugins(tmp_path: Path, run: Run, status: int, body: bytes, words: str) -> None:
    class Odd(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

        def address_string(self) -> str:
            return ""

    server = ThreadingUnixStreamServer(str(tmp_path / "odd.sock"), Odd)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    code, out, err = run("mount", "--volumedriver=odd", "--volumename=v")
    server.shutdown()
    server.server_close()
    assert (code, out) == (1, "")
    assert words in err


def test_the_shim_needs_nothing_but_python_and_copies_itself(machine: Machine, tmp_path: Path) -> None:
    path = tmp_path / "bin" / "dvdcli"
    shim.write_shim(path)
    before = path.stat()
    shim.write_shim(path)
    assert path.stat().st_ino == before.st_ino
    assert before.st_mode & 0o777 == 0o755
    (tmp_path / "plugins").symlink_to(tmp_path)  # where it finds the plugin of its own node
    (tmp_path / "elsewhere").symlink_to(path)
    done = subprocess.run(
        [str(tmp_path / "elsewhere"), "mount", "--volumedriver=artesian", "--volumename=v"],
        capture_output=True, text=True, env={"PATH": os.environ["PATH"]}, timeout=30, check=True,
    )  # fmt: skip
    assert done.stdout == f"{machine.path('v')}\n"
    copied = subprocess.run([str(path), "program"], capture_output=True, text=True, check=True).stdout
    assert copied == dvdcli.program("#!/usr/bin/env python3")
    assert copied.startswith('#!/usr/bin/env python3\n"""`dvdcli`')


def test_it_is_a_command_of_artesian_that_loads_nothing_else(machine: Machine, tmp_path: Path) -> None:
    program = (
        "import sys, json; sys.argv[1:] = json.loads(sys.argv[1])\n"
        "from artesian.cli.start import main\n"
        "code = main()\n"
        "assert not {'typer', 'rich', 'httpx', 'structlog', 'asyncio'} & set(sys.modules), sys.modules\n"
        "sys.exit(code)"
    )
    arguments = ["dvdcli", "mount", "--volumedriver=artesian", "--volumename=v"]
    environment = {**os.environ, "ARTESIAN_PLUGINS": str(tmp_path)}
    for command in (
        [sys.executable, "-c", program, json.dumps(arguments)],
        [sys.executable, "-m", "artesian.cli.main", *arguments],
    ):
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
        assert (done.returncode, done.stdout) == (0, f"{machine.path('v')}\n"), done.stderr
    done = subprocess.run(
        [sys.executable, "-m", "artesian.cli.main", "dvdcli", "get", "--volumename=v"],
        capture_output=True, text=True, env=environment, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert "Missing volume driver name" in done.stderr
