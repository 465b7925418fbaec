"""The command line as a user meets it: an error is one line, its kind is the exit code, no traceback ever."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from artesian.attach import errors as attach_errors
from artesian.cli import lifecycle, main, outcome
from artesian.cli.outcome import ExitCode
from artesian.embedded import errors as engine_errors
from artesian.embedded.local import errors as local_errors
from artesian.embedded.local import planning
from artesian.embedded.local.description import save
from artesian.embedded.local.layout import Layout, write_files
from artesian.embedded.local.planning import Wish

Captured = pytest.CaptureFixture[str]


def run(*arguments: str | Path) -> int:
    return main.main([str(argument) for argument in arguments])


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """The folder of an engine that does not run."""
    description = planning.make(Wish(nodes=2, disks_per_node=1, disk_size_bytes=64 << 20), tmp_path)
    save(tmp_path, description)
    write_files(Layout(tmp_path), description)
    return tmp_path


WRONG = [
    ("engine", "fly"),
    ("engine", "up"),
    ("engine", "up", "--dir", "x", "--nodes", "many"),
    ("engine", "up", "--dir", "x", "--nodes", "0"),
    ("engine", "up", "--dir", "x", "--managers", "2"),
    ("engine", "up", "--dir", "x", "--fault-sets", "2"),
    ("engine", "up", "--dir", "x", "--disk-size", "2X"),
    ("engine", "up", "--dir", "x", "--disk-size", "1MiB"),
    ("engine", "up", "--dir", "x", "--wings"),
    ("engine", "volume", "create", "v", "--dir", "x"),
    ("engine", "map", "v", "first", "--dir", "x"),
    ("engine", "mount", "v", "/mnt", "--node", "1", "--fstype", "ntfs", "--dir", "x"),
    ("engine", "sds", "--config", "/absent.yaml"),
]


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_usage_is_told_in_one_line(
    arguments: tuple[str, ...], capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ARTESIAN_DIR", raising=False)
    assert run(*arguments) == ExitCode.USAGE
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_without_a_command_there_is_help(capsys: Captured) -> None:
    assert run() == ExitCode.USAGE
    assert "engine" in capsys.readouterr().out


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        yield (*path, name), command
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))


def test_every_command_has_help_and_all_of_it_is_shown(capsys: Captured) -> None:
    found = list(commands(typer.main.get_command(main.make_app())))
    assert len(found) > 60
    for words, command in found:
        if words == ("dvdcli",):
            continue  # which says nothing where containers are
        assert run(*words, "--help") == 0, words
        assert "Usage" in capsys.readouterr().out
        for option in command.params:  # brackets would be taken for a style, and not be shown
            assert "[" not in (getattr(option, "help", None) or ""), (words, option.name)


@pytest.mark.parametrize(
    "arguments",
    [
        ("down",),
        ("status",),
        ("volume", "list"),
        ("volume", "create", "v", "1G"),
        ("map", "v", "1"),
        ("attach", "v", "--node", "1"),
        ("unmount", "v"),
        ("node", "kill", "1"),
        ("disk", "list"),
    ],
    ids=" ".join,
)
def test_a_folder_without_an_engine_is_named(
    arguments: tuple[str, ...], capsys: Captured, tmp_path: Path
) -> None:
    assert run("engine", *arguments, "--dir", tmp_path) == ExitCode.NOT_THERE
    assert capsys.readouterr().err == f"error: there is no engine in {tmp_path} (no engine.yaml)\n"
    assert list(tmp_path.iterdir()) == []


def test_the_folder_may_come_from_the_environment(
    stopped: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARTESIAN_DIR", str(stopped))
    assert run("engine", "down") == 0
    assert capsys.readouterr().out == "Nothing was running.\n"


def test_with_json_errors_are_json_too(stopped: Path, capsys: Captured) -> None:
    assert run("engine", "node", "kill", "7", "--dir", stopped, "--json") == ExitCode.NOT_THERE
    printed = capsys.readouterr()
    assert printed.out == ""
    assert json.loads(printed.err) == {"error": "there is no node 7; there are 1, 2", "exit_code": 4}


# --- an engine that does not run


def test_a_stopped_engine_is_seen_as_far_as_it_can_be(stopped: Path, capsys: Captured) -> None:
    assert run("engine", "status", "--dir", stopped, "--json") == 0
    seen = json.loads(capsys.readouterr().out)
    assert seen["problem"] == "no manager is running"
    assert [process["running"] for process in seen["processes"]] == [False] * 8
    assert seen["volumes"] == seen["mappings"] == seen["pools"] == []
    assert run("engine", "status", "--dir", stopped) == 0
    shown = capsys.readouterr().out
    assert "no manager is running" in shown
    assert "stopped" in shown


@pytest.mark.parametrize(
    "arguments",
    [("volume", "list"), ("volume", "create", "v", "1G"), ("map", "v", "1"), ("disk", "list")],
    ids=" ".join,
)
def test_what_needs_a_running_engine_says_so(
    arguments: tuple[str, ...], stopped: Path, capsys: Captured
) -> None:
    assert run("engine", *arguments, "--dir", stopped) == ExitCode.NOT_RUNNING
    assert capsys.readouterr().err.count("\n") == 1


def test_the_size_of_a_volume_is_on_the_grid(stopped: Path, capsys: Captured) -> None:
    assert run("engine", "volume", "create", "v", "1.5G", "--dir", stopped) == ExitCode.USAGE
    assert "multiple of 1 GiB; the next one is 2GiB" in capsys.readouterr().err


def test_nothing_is_destroyed_without_a_yes(stopped: Path, capsys: Captured) -> None:
    assert run("engine", "down", "--destroy", "--dir", stopped) == ExitCode.USAGE
    assert "--yes" in capsys.readouterr().err
    assert (stopped / "engine.yaml").exists()
    assert run("engine", "down", "--destroy", "--yes", "--dir", stopped, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer == {"stopped": [], "destroyed": True, "folder_removed": True}
    assert not stopped.exists()


def test_a_role_that_is_none(stopped: Path, capsys: Captured) -> None:
    assert run("engine", "node", "kill", "1", "--role", "king", "--dir", stopped) == ExitCode.USAGE
    assert "'king' is none of sds, sdc, mdm, all" in capsys.readouterr().err


# --- errors


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (engine_errors.ConfigError("x"), ExitCode.USAGE),
        (engine_errors.ManagersUnavailable("x"), ExitCode.NOT_RUNNING),
        (engine_errors.CommandRefused(99, "x"), ExitCode.REFUSED),
        (engine_errors.EngineError("x"), ExitCode.FAILED),
        (local_errors.NotThere("x"), ExitCode.NOT_THERE),
        (local_errors.InTheWay("x"), ExitCode.IN_THE_WAY),
        (local_errors.NotRunning("x"), ExitCode.NOT_RUNNING),
        (local_errors.TookTooLong("x"), ExitCode.TOOK_TOO_LONG),
        (local_errors.RestRefused(500, 99, "x"), ExitCode.REFUSED),
        (attach_errors.InUse("x"), ExitCode.IN_THE_WAY),
        (attach_errors.Broken("x"), ExitCode.IN_THE_WAY),
        (attach_errors.NotAttached("x"), ExitCode.NOT_THERE),
        (attach_errors.NoSuchExport("x"), ExitCode.NOT_THERE),
        (attach_errors.BadAddress("x"), ExitCode.NOT_RUNNING),
        (attach_errors.NotEmpty("x"), ExitCode.IN_THE_WAY),
        (attach_errors.Damaged("x"), ExitCode.FAILED),
        (attach_errors.NoDriver({"a": "b"}), ExitCode.NOT_POSSIBLE_HERE),
        (attach_errors.CannotGrow("x"), ExitCode.NOT_POSSIBLE_HERE),
        (PermissionError(13, "Permission denied", "/x"), ExitCode.NOT_POSSIBLE_HERE),
        (OSError(28, "No space left on device"), ExitCode.FAILED),
        (ZeroDivisionError("x"), ExitCode.INTERNAL),
    ],
)
def test_each_kind_of_error_has_its_exit_code(error: Exception, code: ExitCode) -> None:
    assert outcome.code_of(error) is code
    assert "\n" not in outcome.sentence(error)
    assert outcome.sentence(error)


def test_an_error_of_the_system_names_the_file() -> None:
    error = PermissionError(13, "Permission denied", "/some/file")
    assert outcome.sentence(error) == "/some/file: Permission denied"


def test_whatever_happens_there_is_no_traceback(
    stopped: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_folder: Path) -> None:
        raise ZeroDivisionError("oh\nno")

    monkeypatch.delenv("ARTESIAN_DEBUG", raising=False)
    monkeypatch.setattr(lifecycle, "LocalEngine", fail)
    assert run("engine", "status", "--dir", stopped) == ExitCode.INTERNAL
    expected = "error: a mistake in Artesian itself: ZeroDivisionError: oh no\n"
    assert capsys.readouterr().err == expected


def test_an_interrupted_command_says_so_by_its_exit_code(
    stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_folder: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(lifecycle, "LocalEngine", interrupt)
    assert run("engine", "status", "--dir", stopped) == ExitCode.INTERRUPTED


def test_for_us_there_is_one(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_folder: Path) -> None:
        raise ZeroDivisionError

    monkeypatch.setenv("ARTESIAN_DEBUG", "1")
    monkeypatch.setattr(lifecycle, "LocalEngine", fail)
    with pytest.raises(ZeroDivisionError):
        run("engine", "status", "--dir", stopped)
