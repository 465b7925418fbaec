"""Commands speak to the cluster that was meant: the folder's own, or one whose scheduler runs elsewhere."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from artesian.cli.cluster import connection
from artesian.cli.cluster.access import Api
from artesian.cli.cluster.connection import Connection, find, read_urls
from artesian.cli.cluster.options import DEFAULT_FOLDER
from artesian.cli.main import main
from artesian.cli.outcome import ExitCode
from artesian.model.errors import Conflict, NotPossible
from tests.cli.test_access import Scheduler

TOKEN = "0123456789abcdef"
GOOD, WRONG = (200, {"text": ""}), (401, {"title": "unauthorized", "detail": "a valid token is needed"})


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ARTESIAN_URL", "ARTESIAN_TOKEN_FILE", "ARTESIAN_TOKEN", "ARTESIAN_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text(TOKEN)
    return tmp_path / "token"


@pytest.fixture
def far() -> Iterator[list[Scheduler]]:
    """Schedulers that end with the test."""
    made: list[Scheduler] = []
    yield made
    for one in made:
        one.close()


def scheduler(far: list[Scheduler], answer: tuple[int, object]) -> Scheduler:
    far.append(Scheduler(*answer))
    return far[-1]


def connect(url: str, token_file: Path, folder: Path) -> int:
    return main(["connect", url, "--token-file", str(token_file), "--dir", str(folder)])


def test_a_folder_that_is_connected_speaks_to_the_scheduler_far_away(
    far: list[Scheduler], token_file: Path, tmp_path: Path
) -> None:
    one = scheduler(far, GOOD)
    assert connect(one.url, token_file, tmp_path / "far") == 0
    assert Api(tmp_path / "far").get("/spec") == {"text": ""}
    assert one.asked == ["GET /v1/spec"] * 2
    kept = tmp_path / "far" / "connection.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600 and TOKEN not in kept.read_text()


def test_a_wrong_token_is_said_with_its_file_and_nothing_is_kept(
    far: list[Scheduler], token_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = scheduler(far, WRONG)
    assert connect(one.url, token_file, tmp_path / "far") == ExitCode.REFUSED
    said = f"error: the scheduler at {one.url} does not take the token in {token_file}\n"
    assert capsys.readouterr().err == said
    assert not (tmp_path / "far").exists()


def test_a_url_where_nobody_answers_is_said(
    token_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert connect("http://127.0.0.1:9", token_file, tmp_path / "far") == ExitCode.NOT_RUNNING
    assert "the scheduler at http://127.0.0.1:9 does not answer" in capsys.readouterr().err


@pytest.mark.parametrize("answer", [(200, "hello"), (200, {}), (404, {"detail": "Not Found"})])
def test_what_is_no_scheduler_is_said(
    far: list[Scheduler], token_file: Path, tmp_path: Path, answer: tuple[int, object]
) -> None:
    assert connect(scheduler(far, answer).url, token_file, tmp_path / "far") != 0
    assert not (tmp_path / "far").exists()


@pytest.mark.parametrize(
    "url",
    ["10.0.0.7:8700", "ftp://h", "http://", "http://u:p@h", "http://h?x=1", "http://h:x", "http://h:0", ""],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(NotPossible, match="URL"):
        read_urls(url)


def test_several_urls_are_asked_in_turn() -> None:
    assert read_urls("http://a:1/, https://b/x/v1") == ("http://a:1", "https://b/x")


def test_a_token_is_needed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["connect", "http://h:1", "--dir", str(tmp_path)]) == ExitCode.REFUSED
    assert "--token-file FILE, or ARTESIAN_TOKEN_FILE" in capsys.readouterr().err


def test_a_folder_with_a_cluster_is_not_connected_elsewhere(token_file: Path, tmp_path: Path) -> None:
    (tmp_path / "mesos.json").write_text("{}")
    assert connect("http://127.0.0.1:9", token_file, tmp_path) == ExitCode.IN_THE_WAY


@pytest.mark.parametrize("command", [["up"], ["down"]])
def test_what_works_only_where_the_scheduler_runs_is_refused(
    command: list[str], token_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    connection.save(tmp_path, Connection(("http://h:1",), str(token_file)))
    assert main([*command, "--dir", str(tmp_path)]) == ExitCode.IN_THE_WAY
    assert "http://h:1, whose scheduler runs elsewhere" in capsys.readouterr().err
    assert not (tmp_path / "cluster.json").exists()


def test_the_environment_names_a_cluster_for_every_command(token_file: Path) -> None:
    environment = {"ARTESIAN_URL": "http://h:1", "ARTESIAN_TOKEN_FILE": str(token_file)}
    assert find(DEFAULT_FOLDER, environment) == Connection(("http://h:1",), str(token_file))


def test_the_environment_and_a_folder_are_two_clusters(tmp_path: Path) -> None:
    with pytest.raises(Conflict, match="give one"):
        find(tmp_path, {"ARTESIAN_URL": "http://h:1", "ARTESIAN_TOKEN_FILE": "t"})


def test_a_url_without_a_token_is_refused() -> None:
    with pytest.raises(NotPossible, match="needs ARTESIAN_TOKEN_FILE"):
        find(DEFAULT_FOLDER, {"ARTESIAN_URL": "http://h:1"})


def access_file(folder: Path, **document: str) -> None:
    (folder / "scheduler").mkdir()
    (folder / "scheduler" / "api.json").write_text(json.dumps({"url": "http://127.0.0.1:9", **document}))


def test_a_scheduler_that_was_given_a_token_in_a_file_is_asked_with_that(
    tmp_path: Path, token_file: Path
) -> None:
    access_file(tmp_path, token_file=str(token_file))
    assert [one.token for one in connection.accesses(tmp_path)] == [TOKEN]


def test_a_token_that_is_kept_nowhere_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    access_file(tmp_path)
    with pytest.raises(NotPossible, match="set it here"):
        connection.accesses(tmp_path)
    monkeypatch.setenv("ARTESIAN_TOKEN", TOKEN)
    assert [one.token for one in connection.accesses(tmp_path)] == [TOKEN]


def test_what_is_not_shown_is_the_token() -> None:
    assert TOKEN not in repr(connection.Access("http://h", TOKEN, "f", ""))


def test_a_connection_that_cannot_be_read_says_how_to_make_it_anew(tmp_path: Path) -> None:
    (tmp_path / "connection.json").write_text("{")
    with pytest.raises(NotPossible, match="artesian connect"):
        Api(tmp_path)


def test_a_token_file_that_is_gone_is_named(tmp_path: Path) -> None:
    connection.save(tmp_path, Connection(("http://127.0.0.1:9",), str(tmp_path / "gone")))
    with pytest.raises(NotPossible, match="gone: No such file"):
        Api(tmp_path)
