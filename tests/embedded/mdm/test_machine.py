"""The engine's state as the Raft log sees it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from artesian.embedded.mdm.machine import EngineMachine
from artesian.embedded.state import commands
from tests.embedded.mdm.engines import Engine, manager

BOOTSTRAP = {
    "name": "engine", "system_id": "0" * 16, "install_id": "1" * 16, "token_key": "00", "random": "2" * 8,
    "password_hash": "x", "managers": [manager(1)],
}  # fmt: skip


def command(name: str, /, **args: Any) -> str:
    return json.dumps({"name": name, "args": args})


def test_commands_change_the_state_and_are_told_of() -> None:
    told: list[int] = []
    machine = EngineMachine(lambda: told.append(machine.state.version))
    assert machine.system_id == ""
    assert machine.apply(command("bootstrap", **BOOTSTRAP)) == {"result": {"system_id": "0" * 16}}
    assert machine.system_id == "0" * 16
    assert told == [1]


def test_a_refusal_is_a_result_and_changes_nothing() -> None:
    machine = EngineMachine()
    machine.apply(command("bootstrap", **BOOTSTRAP))
    before = machine.capture()
    outcome = machine.apply(command("remove_volume", volume_id="nothing"))
    assert outcome["refused"] == [79, "Could not find the volume"]
    assert machine.capture() == before


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"name": 5, "args": {}}', '{"name": "add_volume", "args": 3}']
)
def test_a_command_that_makes_no_sense_stops_nobody(text: str) -> None:
    machine = EngineMachine()
    assert "refused" in machine.apply(text)
    assert machine.state.version == 0


def test_a_mistake_in_a_command_is_refused_on_every_manager_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(state: Any) -> dict[str, Any]:
        raise ZeroDivisionError("oh")

    monkeypatch.setitem(commands.COMMANDS, "broken", broken)
    outcomes = [EngineMachine().apply(command("broken")) for _ in range(3)]
    assert outcomes == [{"refused": [0, "the command failed: ZeroDivisionError: oh"]}] * 3


def test_a_manager_that_runs_out_of_memory_does_not_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def hungry(state: Any) -> dict[str, Any]:
        raise MemoryError

    monkeypatch.setitem(commands.COMMANDS, "hungry", hungry)
    with pytest.raises(MemoryError):
        EngineMachine().apply(command("hungry"))


def test_a_captured_state_is_installed_elsewhere_through_json() -> None:
    engine = Engine()
    engine.add_volume()
    first = EngineMachine()
    first.state = engine.state
    second = EngineMachine()
    second.install(json.loads(json.dumps(first.capture())))
    assert second.state == engine.state
