"""`artesian scheduler run` before it becomes the scheduler: what it refuses, what it leaves in the folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import pytest

from artesian.cli.cluster import scheduler_process, schedulers
from artesian.cli.cluster.placing import cluster_name, placed
from artesian.cli.main import main
from artesian.cli.outcome import ExitCode
from artesian.clusters.mesos import settings as mesos_settings
from artesian.model.errors import NotPossible
from artesian.scheduler.settings import changed_settings, load_settings

MASTER = ("--master", "10.0.0.1:5050")
STORE = "zk://10.0.0.1/artesian"
ASKED: Mapping[str, Any] = dict.fromkeys(("role", "address", "port"))
Started = list[tuple[Path, list[str]]]


class Became(Exception):
    """Instead of becoming another program."""


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """What would have been run."""
    found: Started = []

    def become(folder: Path, arguments: list[str]) -> NoReturn:
        found.append((folder, arguments))
        raise Became

    monkeypatch.setattr(scheduler_process, "become", become)
    monkeypatch.setattr(schedulers, "wanted_store", lambda store: store)
    for name in ("HOST", "PORT0", "LIBPROCESS_IP", "ARTESIAN_TOKEN", "ARTESIAN_TOKEN_FILE", "ARTESIAN_STORE"):
        monkeypatch.delenv(name, raising=False)
    return found


def run(folder: Path, *options: object) -> int:
    return main(["scheduler", "run", "--dir", str(folder), *map(str, options)])


def test_a_folder_that_is_new_becomes_the_cluster_of_its_store(started: Started, tmp_path: Path) -> None:
    for folder in (tmp_path / "a", tmp_path / "b"):
        assert run(folder, *MASTER, "--store", STORE) == ExitCode.INTERNAL  # as nothing is run here
        settings = load_settings(folder)
        assert (settings.store, settings.cluster) == (STORE, "mesos artesian artesian")
    assert started == [(tmp_path / "a", []), (tmp_path / "b", [])]


def test_another_role_is_another_cluster(tmp_path: Path) -> None:
    assert cluster_name(tmp_path, {**ASKED, "role": "gold"}) == "mesos gold artesian"
    mesos_settings.save(tmp_path, mesos_settings.MesosSettings("m:5050", role="silver"))
    assert cluster_name(tmp_path, ASKED) == "mesos silver artesian"


def test_a_name_that_a_folder_has_stays(tmp_path: Path) -> None:
    (tmp_path / "schedulers.json").write_text(json.dumps({"store": STORE, "count": 1, "cluster": "old"}))
    assert changed_settings(tmp_path, None, None, "new").cluster == "old"


def test_it_is_put_where_marathon_says(
    started: Started, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIBPROCESS_IP", "10.0.0.9")
    monkeypatch.setenv("PORT0", "31005")
    run(tmp_path, *MASTER)
    found = mesos_settings.load(tmp_path)
    assert found is not None and (found.address, found.port) == ("10.0.0.9", 31005)
    run(tmp_path, *MASTER, "--address", "10.0.0.8", "--port", 8701)
    found = mesos_settings.load(tmp_path)
    assert found is not None and (found.address, found.port) == ("10.0.0.8", 8701)


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({"LIBPROCESS_IP": "10.0.0.9", "HOST": "10.0.0.8"}, "10.0.0.9"),
        ({"LIBPROCESS_IP": "0.0.0.0", "HOST": "10.0.0.8"}, "10.0.0.8"),
        ({"HOST": "localhost"}, None),
        ({"HOST": "no-such-machine.invalid"}, None),
        ({}, None),
    ],
)
def test_an_address_that_leads_nowhere_is_not_taken(
    environment: Mapping[str, str], address: str | None
) -> None:
    assert placed(ASKED, environment)["address"] == address


def test_a_port_that_is_none_is_refused() -> None:
    with pytest.raises(NotPossible, match="PORT0 is 'x'"):
        placed(ASKED, {"PORT0": "x"})


def test_spec_and_token_are_found_right_and_handed_on(started: Started, tmp_path: Path) -> None:
    spec, token = tmp_path / "spec.yaml", tmp_path / "token"
    spec.write_text("new_disks: take\n")
    token.write_text("0123456789abcdef\n")
    folder = tmp_path / "c"
    run(folder, *MASTER, "--spec", spec, "--token-file", token)
    assert started == [(folder, ["--spec", str(spec), "--token-file", str(token)])]


def test_a_spec_that_is_wrong_is_refused_at_once(
    started: Started, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "spec.yaml").write_text("new_disk: take\n")
    assert run(tmp_path / "c", *MASTER, "--spec", tmp_path / "spec.yaml") == ExitCode.USAGE
    assert f"{tmp_path}/spec.yaml" in capsys.readouterr().err
    assert started == [] and not (tmp_path / "c").exists()


def test_a_token_that_is_too_short_is_refused_at_once(
    started: Started, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ARTESIAN_TOKEN", "short")
    assert run(tmp_path, *MASTER) == ExitCode.REFUSED
    assert "ARTESIAN_TOKEN: a token is 16" in capsys.readouterr().err
    assert started == []


def test_without_a_master_it_is_said_what_to_do(
    started: Started, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path) == ExitCode.REFUSED
    assert "--master" in capsys.readouterr().err
    assert started == []


def test_there_is_one_scheduler_in_a_folder(tmp_path: Path) -> None:
    import os

    from artesian.host import processes
    from artesian.model.errors import Conflict

    (tmp_path / "scheduler").mkdir()
    identity = processes.ProcessIdentity.of(os.getppid())
    processes.write_pid_file(tmp_path / "scheduler" / "scheduler.pid", identity)
    with pytest.raises(Conflict, match="runs already"):
        scheduler_process.become(tmp_path, [])
