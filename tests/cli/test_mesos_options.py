"""`artesian up` for nodes of Mesos: what can never be is refused before anything is begun."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from artesian.cli import main
from artesian.cli.cluster import mesos_options
from artesian.cli.outcome import ExitCode
from artesian.clusters.local import LocalCluster
from artesian.clusters.mesos.settings import FILE_NAME, MesosSettings, load, save
from artesian.model.errors import NotPossible

Captured = pytest.CaptureFixture[str]
MASTER = ("--master", "10.0.0.1:5050")
ON_MESOS = ("--substrate", "mesos", *MASTER)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, as sockets are made in it."""
    made = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
    yield made / "c"
    shutil.rmtree(made)


def refused(folder: Path, capsys: Captured, *arguments: str) -> tuple[int, str]:
    """The exit code and the one line that `up` says."""
    code = main.main(["up", *arguments, "--yes", "--dir", str(folder)])
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert not (folder / "scheduler").exists()
    return code, said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (MASTER, "--master is for nodes of Mesos: add --substrate mesos"),
        (("--role", "r"), "--role is for nodes of Mesos"),
        (("--principal", "p"), "--principal is for nodes of Mesos"),
        (("--secret-file", "f"), "--secret-file is for nodes of Mesos"),
        (("--ca-file", "f"), "--ca-file is for nodes of Mesos"),
        (("--user", "u"), "--user is for nodes of Mesos"),
        (("--node-folder", "/f"), "--node-folder is for nodes of Mesos"),
        (("--node-python", "p"), "--node-python is for nodes of Mesos"),
        (("--address", "10.0.0.2"), "--address is for nodes of Mesos"),
        (("--port", "8701"), "--port is for nodes of Mesos"),
        (("--substrate", "local", *MASTER), "--master is for nodes of Mesos"),
        (("--substrate", "mesos"), "--substrate mesos needs --master"),
        ((*ON_MESOS, "--nodes", "3"), "are for nodes made on this machine"),
        ((*ON_MESOS, "--disks-per-node", "3"), "are for nodes made on this machine"),
        ((*ON_MESOS, "--disk-size", "1G"), "are for nodes made on this machine"),
        ((*ON_MESOS, "--attributes", "/tmp"), "are for nodes made on this machine"),
        (("--substrate", "mesos", "--master", "host:port"), "--master: "),
        ((*ON_MESOS, "--role", "*"), "nothing can be kept for role *"),
        ((*ON_MESOS, "--principal", "p"), "--principal and --secret-file are given together"),
        ((*ON_MESOS, "--secret-file", "/etc/hostname"), "--principal and --secret-file are given together"),
        ((*ON_MESOS, "--principal", "p", "--secret-file", "/nowhere/s"), "/nowhere/s: No such file"),
        ((*ON_MESOS, "--ca-file", "/nowhere/ca"), "/nowhere/ca: No such file"),
        ((*ON_MESOS, "--node-folder", "here"), "--node-folder: here does not begin with a slash"),
        ((*ON_MESOS, "--port", "70000"), "--port: 70000 is no number of a port"),
        ((*ON_MESOS, "--address", "a b"), "--address: "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_can_never_be_is_refused_and_leaves_nothing(
    folder: Path, capsys: Captured, arguments: tuple[str, ...], said: str
) -> None:
    code, line = refused(folder, capsys, *arguments)
    assert code == ExitCode.REFUSED
    assert said in line
    assert not folder.exists()


@pytest.mark.parametrize("arguments", [("--substrate", "moon"), ("--port", "many")])
def test_what_is_no_value_is_wrong_usage(folder: Path, capsys: Captured, arguments: tuple[str, ...]) -> None:
    code, _ = refused(folder, capsys, *arguments)
    assert code == ExitCode.USAGE


def test_a_local_cluster_stays_local(folder: Path, capsys: Captured) -> None:
    LocalCluster(folder).create()
    code, said = refused(folder, capsys, *ON_MESOS)
    assert code == ExitCode.IN_THE_WAY
    assert "is one of this machine's own nodes; use another --dir" in said
    assert not (folder / FILE_NAME).exists()


def test_a_cluster_on_mesos_stays_there(folder: Path, capsys: Captured) -> None:
    folder.mkdir()
    save(folder, MesosSettings("10.0.0.1:5050"))
    code, said = refused(folder, capsys, "--substrate", "local")
    assert code == ExitCode.IN_THE_WAY
    assert "is on Mesos; use another --dir" in said


def test_nodes_are_not_made_in_a_cluster_on_mesos(folder: Path, capsys: Captured) -> None:
    folder.mkdir()
    save(folder, MesosSettings("10.0.0.1:5050"))
    assert refused(folder, capsys, "--nodes", "3")[0] == ExitCode.REFUSED


def test_a_folder_of_somebody_else_is_refused_and_left_alone(folder: Path, capsys: Captured) -> None:
    folder.mkdir()
    (folder / "letter.txt").write_text("mine")
    code, said = refused(folder, capsys, *ON_MESOS)
    assert code == ExitCode.REFUSED
    assert "is not empty, and there is no cluster in it" in said
    assert [path.name for path in folder.iterdir()] == ["letter.txt"]


def test_settings_that_cannot_be_read_are_named(folder: Path, capsys: Captured) -> None:
    folder.mkdir()
    (folder / FILE_NAME).write_text("{")
    code, said = refused(folder, capsys)
    assert code == ExitCode.REFUSED
    assert FILE_NAME in said


def test_what_was_kept_before_stays_beside_what_is_new(folder: Path) -> None:
    mesos_options.keep(folder, {"master": "10.0.0.1:5050", "role": "storage", "port": None})
    mesos_options.keep(folder, {"master": "10.0.0.2:5050", "role": None, "port": 8701})
    assert load(folder) == MesosSettings("10.0.0.2:5050", role="storage", port=8701)
    before = (folder / FILE_NAME).read_bytes()
    with pytest.raises(NotPossible):
        mesos_options.keep(folder, {"role": "*"})
    assert (folder / FILE_NAME).read_bytes() == before


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"role": "other"}, "--role: this cluster is up with artesian; take it down first"),
        ({"node_folder": "/srv/a"}, "--node-folder: this cluster is up with /var/lib/artesian"),
    ],
)
def test_what_stays_as_it_is_while_the_cluster_is_up_is_refused(
    folder: Path, asked: dict[str, str], said: str
) -> None:
    mesos_options.keep(folder, {"master": "10.0.0.1:5050"})
    before = (folder / FILE_NAME).read_bytes()
    with pytest.raises(NotPossible, match=said):
        mesos_options.keep(folder, asked, is_up=True)
    assert (folder / FILE_NAME).read_bytes() == before
    assert mesos_options.keep(folder, {"master": "10.0.0.2:5050"}, is_up=True)
    assert not mesos_options.keep(folder, {"master": "10.0.0.2:5050"}, is_up=True)
    assert mesos_options.keep(folder, asked)


def test_files_are_found_wherever_a_later_command_is_called(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("hush")
    monkeypatch.chdir(tmp_path)
    mesos_options.keep(folder, {"master": "m:5050", "principal": "p", "secret_file": "secret"})
    assert json.loads((folder / FILE_NAME).read_text())["secret_file"] == str(tmp_path / "secret")
    assert "hush" not in (folder / FILE_NAME).read_text()
