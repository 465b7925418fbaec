"""What Mesos is told of our executor and its tasks."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from artesian.clusters.mesos.infos import executor_info, ordinary_task, role_task
from artesian.clusters.port import TaskWanted
from artesian.model.resources import Resources
from tests.clusters.mesos.situations import (
    AGENT,
    CONFIG,
    MIB,
    PROGRAM,
    RESERVER,
    SECRET,
    data_of,
    launched,
    offer,
    situation,
)  # fmt: skip


def test_the_executor_is_the_same_for_the_same_program() -> None:
    """All tasks of an executor have to name one and the same."""
    assert executor_info("alpha", PROGRAM, RESERVER) == executor_info("alpha", replace(PROGRAM), RESERVER)


@pytest.mark.parametrize(
    "other",
    [
        replace(PROGRAM, sha256="cd" * 32),
        replace(PROGRAM, url="http://10.0.0.1:8700/v1/agent"),
        replace(PROGRAM, python="/usr/bin/python3"),
        replace(PROGRAM, user="storage"),
    ],
)
def test_another_program_is_another_executor(other: object) -> None:
    before, after = executor_info("alpha", PROGRAM, RESERVER), executor_info("alpha", other, RESERVER)  # type: ignore[arg-type]
    assert before["executor_id"] != after["executor_id"]


def test_every_node_has_an_executor_of_its_own() -> None:
    one, two = executor_info("alpha", PROGRAM, RESERVER), executor_info("beta", PROGRAM, RESERVER)
    assert one["executor_id"] != two["executor_id"]


def test_an_executor_runs_as_whom_it_is_told_to() -> None:
    assert executor_info("alpha", replace(PROGRAM, user="storage"), RESERVER)["command"]["user"] == "storage"
    assert "user" not in executor_info("alpha", PROGRAM, RESERVER)["command"]


def test_secrets_are_in_the_data_of_the_agents_task_and_nowhere_else() -> None:
    from artesian.clusters.mesos.matching import decide

    asked = decide(situation(offers=(offer(),)))
    agent, server = launched(asked)
    assert data_of(agent)["config"]["engine_secret"] == SECRET
    assert SECRET not in json.dumps(server)
    assert SECRET not in json.dumps({key: value for key, value in agent.items() if key != "data"})
    assert SECRET not in json.dumps(asked.records[0].executor)
    assert SECRET not in repr(asked.records)


@pytest.fixture
def shell(tmp_path: Path) -> Path:
    """A sandbox in which a file has arrived."""
    (tmp_path / "agent.pyz").write_text("import sys; print(sys.argv[1:], sys.version_info[:2])")
    return tmp_path


def run(command: str, sandbox: Path) -> subprocess.CompletedProcess[str]:
    """As Mesos' agent does: with hardly any environment."""
    return subprocess.run(["/bin/sh", "-c", command], cwd=sandbox, env={}, capture_output=True, text=True)


def test_the_command_begins_the_file_once_it_is_seen_to_be_the_right_one(shell: Path) -> None:
    import hashlib
    import sys

    sha256 = hashlib.sha256((shell / "agent.pyz").read_bytes()).hexdigest()
    program = replace(PROGRAM, sha256=sha256, version="0.0", python=sys.executable)
    done = run(executor_info("alpha", program, RESERVER)["command"]["value"], shell)
    assert done.stdout.startswith("['--mesos']"), done.stderr


def test_the_command_begins_nothing_that_is_another_file(shell: Path) -> None:
    import sys

    program = replace(PROGRAM, sha256="0" * 64, version="0.0", python=sys.executable)
    done = run(executor_info("alpha", program, RESERVER)["command"]["value"], shell)
    assert done.returncode != 0
    assert "--mesos" not in done.stdout


def test_a_path_to_python_may_have_anything_in_it(shell: Path) -> None:
    import hashlib
    import os
    import sys

    odd = shell / "a folder; with $HOME"
    odd.mkdir()
    os.symlink(sys.executable, odd / "python")
    sha256 = hashlib.sha256((shell / "agent.pyz").read_bytes()).hexdigest()
    program = replace(PROGRAM, sha256=sha256, version="0.0", python=str(odd / "python"))
    done = run(executor_info("alpha", program, RESERVER)["command"]["value"], shell)
    assert done.stdout.startswith("['--mesos']"), done.stderr


def test_the_file_is_fetched_as_it_is() -> None:
    (uri,) = executor_info("alpha", PROGRAM, RESERVER)["command"]["uris"]
    assert uri == {"value": PROGRAM.url, "extract": False, "executable": False, "output_file": "agent.pyz"}


def test_a_task_of_a_role_takes_what_is_kept() -> None:
    executor = executor_info("alpha", PROGRAM, RESERVER)
    task = role_task("artesian.alpha.agent.1", "agent", "a1", AGENT, executor, RESERVER, CONFIG)
    assert task["executor"] == executor
    assert all(RESERVER.holds(one) for one in task["resources"])


def test_an_ordinary_task_is_a_program_with_its_arguments_and_no_shell() -> None:
    wanted = TaskWanted(
        "backup", "alpha", ("/bin/backup", "a; b"), Resources(1.0, MIB), {"LEVEL": "2", "COLOUR": "no"}
    )
    task = ordinary_task(wanted, "a1", RESERVER)
    assert task["command"]["shell"] is False
    assert task["command"]["value"] == "/bin/backup"
    assert task["command"]["arguments"] == ["/bin/backup", "a; b"]
    names = [one["name"] for one in task["command"]["environment"]["variables"]]
    assert names == ["COLOUR", "LEVEL"]
    assert "executor" not in task
