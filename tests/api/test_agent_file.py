"""The agent as one file: the same every time, and all that a node needs beside Python."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from artesian.api.agent_file import AgentFiles


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> AgentFiles:
    return AgentFiles(tmp_path_factory.mktemp("agent"))


def test_the_checksum_is_the_files(files: AgentFiles) -> None:
    made = files.get()
    assert hashlib.sha256(made.content).hexdigest() == made.sha256


def test_the_same_versions_make_the_same_file(files: AgentFiles, tmp_path: Path) -> None:
    assert AgentFiles(tmp_path).get().sha256 == files.get().sha256


def test_it_runs_where_nothing_is_installed(files: AgentFiles, tmp_path: Path) -> None:
    file = tmp_path / "agent.pyz"
    file.write_bytes(files.get().content)
    done = subprocess.run(
        [str(Path(sys.base_prefix) / "bin" / "python3"), "-I", str(file), str(tmp_path)],
        env={"ARTESIAN_CACHE": str(tmp_path / "cache"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path}/config.json: No such file or directory\n"


def test_it_holds_no_more_of_ours_than_nodes_need(files: AgentFiles, tmp_path: Path) -> None:
    import io
    import zipfile

    names = zipfile.ZipFile(io.BytesIO(files.get().content)).namelist()
    assert "artesian/agent/loop.py" in names
    assert not [name for name in names if name.startswith(("artesian/scheduler/", "artesian/cli/"))]
