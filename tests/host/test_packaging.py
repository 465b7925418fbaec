"""Artesian as one file: everything of ours, and the libraries as an installer would leave them."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from artesian.host.packaging import Contents, build, ensure, everything

PYTHON = str(Path(sys.base_prefix) / "bin" / "python3")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("package") / "artesian.pyz"
    build(made, everything())
    return made


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def run(cache: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """As on a machine where nothing is installed."""
    return subprocess.run(
        [PYTHON, "-I", *map(str, arguments)],
        env={"ARTESIAN_CACHE": str(cache), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )


def test_it_is_the_command_line_where_nothing_is_installed(file: Path, cache: Path) -> None:
    done = run(cache, file, "--version")
    assert (done.stdout, done.stderr) == (f"artesian {metadata.version('artesian')}\n", "")


def test_it_unpacks_itself_once(file: Path, cache: Path) -> None:
    run(cache, file, "--version")
    before = [(path, path.stat().st_ino) for path in cache.iterdir()]
    run(cache, file, "--version")
    assert [(path, path.stat().st_ino) for path in cache.iterdir()] == before
    assert len(before) == 1


def test_errors_are_those_of_the_command_line(file: Path, cache: Path, tmp_path: Path) -> None:
    done = run(cache, file, "status", "--dir", tmp_path)
    assert done.returncode == 4 and done.stderr.startswith(f"error: there is no cluster in {tmp_path};")


def test_the_scheduler_in_it_makes_the_same_agent_as_this_one(
    file: Path, cache: Path, tmp_path: Path
) -> None:
    from artesian.api.agent_file import AGENT

    build(tmp_path / "here.pyz", AGENT)
    run(cache, file, "--version")
    (site,) = cache.iterdir()
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r})\n"
        "from pathlib import Path; from artesian.host.packaging import build\n"
        "from artesian.api.agent_file import AGENT\n"
        f"build(Path({str(tmp_path / 'there.pyz')!r}), AGENT)"
    )
    assert run(cache, "-c", code).stderr == ""
    assert (tmp_path / "there.pyz").read_bytes() == (tmp_path / "here.pyz").read_bytes()


def test_nothing_in_it_names_the_machine_that_made_it(file: Path) -> None:
    archive = zipfile.ZipFile(file)
    ours = [name for name in archive.namelist() if name.startswith("artesian-")]
    assert ours == [f"artesian-{metadata.version('artesian')}.dist-info/METADATA"]
    assert not [name for name in archive.namelist() if name.endswith((".pth", ".pyc"))]


def test_another_python_is_refused(file: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        main = archive.read("__main__.py").decode()
    wanted = f"sys.version_info[:2] != {tuple(sys.version_info[:2])}"
    assert wanted in main
    changed = tmp_path / "main.py"
    changed.write_text(main.replace(wanted, "sys.version_info[:2] != (2, 7)"))
    done = run(tmp_path, changed)
    assert done.returncode == 1
    assert done.stderr.startswith("error: Artesian in this file is for Python 3.") and "\n" in done.stderr


SMALL = Contents("nothing", "artesian.none", libraries=("typer",), left_out=frozenset({"embedded"}))


def test_it_is_made_once_for_what_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "small.pyz"
    ensure(path, SMALL)
    made = path.stat()
    ensure(path, SMALL)
    assert path.stat().st_ino == made.st_ino
    ensure(path, Contents("nothing", "artesian.other", SMALL.libraries, SMALL.left_out))
    assert path.stat().st_ino != made.st_ino
    assert b"artesian.other" in zipfile.ZipFile(path).read("__main__.py")


@pytest.mark.parametrize("lost", ["small.pyz", "small.pyz.of"])
def test_it_is_made_anew_when_a_part_of_it_is_lost(tmp_path: Path, lost: str) -> None:
    path = tmp_path / "small.pyz"
    ensure(path, SMALL)
    content = path.read_bytes()
    (tmp_path / lost).unlink()
    ensure(path, SMALL)
    assert path.read_bytes() == content
    assert (tmp_path / "small.pyz.of").exists()
