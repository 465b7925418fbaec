"""What a scheduler is given by whoever starts it: a token that becomes the stored one, and a spec."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from artesian.api import __main__ as process
from artesian.api.given import Given
from artesian.scheduler.loop import Scheduler
from artesian.scheduler.memory import Memory
from artesian.store.port import NotLeading
from tests.scheduler.cases import FakeSubstrate, MemoryStore

TOKEN = "0123456789abcdef"
SPEC = "new_disks: take\n"


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def scheduler(store: MemoryStore, tmp_path: Path) -> Scheduler:
    return Scheduler(store, FakeSubstrate("n1"), tmp_path, "http://127.0.0.1:9")


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    (tmp_path / "spec.yaml").write_text(SPEC)
    return tmp_path / "spec.yaml"


def told(store: MemoryStore) -> list[str]:
    return [event.because for event in store.kept if event.kind == "spec"]


def test_a_token_that_was_chosen_is_the_stored_one(store: MemoryStore) -> None:
    Given(token=TOKEN).keep_token(store)
    assert Memory(store).secrets.api_token == TOKEN


def test_another_token_takes_the_place_of_the_one_before_and_nothing_else(store: MemoryStore) -> None:
    before = Memory(store).secrets
    store.led = False
    Given(token=TOKEN).keep_token(store)
    after = Memory(store).secrets
    assert (after.api_token, after.agents_key) == (TOKEN, before.agents_key)


def test_what_is_stored_already_is_not_stored_again(store: MemoryStore) -> None:
    Given(token=TOKEN).keep_token(store)
    commits = len(store.commits)
    Given(token=TOKEN).keep_token(store)
    Given().keep_token(store)
    assert len(store.commits) == commits
    assert store.load()["secrets/api_token"] == TOKEN


def test_who_does_not_lead_changes_no_token(store: MemoryStore) -> None:
    store.lost = NotLeading("another scheduler leads")
    with pytest.raises(NotLeading):
        Given(token=TOKEN).keep_token(store)


@pytest.mark.parametrize(
    ("given", "key", "value"),
    [
        (Given(), "token", "stored"),
        (Given(token=TOKEN, token_file="/t"), "token_file", "/t"),
        (Given(token=TOKEN), "token", None),
    ],
)
def test_a_token_that_is_kept_elsewhere_is_not_written_down(
    given: Given, key: str, value: str | None
) -> None:
    access = given.access("http://h:1", "stored")
    assert access.get(key) == value and TOKEN not in str(access)
    assert TOKEN not in repr(given)


def test_a_spec_is_taken_before_the_first_pass(scheduler: Scheduler, store: MemoryStore, spec: Path) -> None:
    Given(spec).take_spec(scheduler)
    assert scheduler.memory.state.spec_text == SPEC
    assert told(store) == ["the scheduler was started with spec.yaml"]


def test_a_spec_that_is_stored_already_is_not_told_of_again(
    scheduler: Scheduler, store: MemoryStore, spec: Path
) -> None:
    for _ in range(2):
        Given(spec).take_spec(scheduler)
    assert len(told(store)) == 1


def test_without_a_spec_the_stored_one_stays(scheduler: Scheduler, spec: Path) -> None:
    Given(spec).take_spec(scheduler)
    Given().take_spec(scheduler)
    assert scheduler.memory.state.spec_text == SPEC


@pytest.mark.parametrize("text", ["new_disk: take\n", None])
def test_with_a_spec_that_is_refused_the_cluster_goes_on_as_it_was(
    scheduler: Scheduler, store: MemoryStore, spec: Path, tmp_path: Path, text: str | None
) -> None:
    Given(spec).take_spec(scheduler)
    other = tmp_path / "other.yaml"
    if text is not None:
        other.write_text(text)
    with capture_logs() as logs:
        Given(other).take_spec(scheduler)
    assert scheduler.memory.state.spec_text == SPEC
    assert [one["log_level"] for one in logs] == ["error"]
    assert "other.yaml" in told(store)[-1] and "is not taken" in told(store)[-1]


@pytest.mark.parametrize("arguments", [[], ["c", "0"], ["c", "x"], ["c", "--sp", "f"], ["c", "1", "2"]])
def test_what_the_process_does_not_understand_is_said(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert process.main(arguments) == 2
    assert "usage: python -m artesian.api" in capsys.readouterr().err


def test_a_token_that_is_none_ends_the_process_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ARTESIAN_TOKEN", "short")
    assert process.main([str(tmp_path)]) == 1
    assert "ARTESIAN_TOKEN: a token is 16" in capsys.readouterr().err
