"""The engine's state as the Raft log's state machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import structlog

from artesian.embedded.errors import CommandRefused
from artesian.embedded.state import commands
from artesian.embedded.state.codec import state_from_json, state_to_json
from artesian.embedded.state.model import State

log = structlog.get_logger()


class EngineMachine:
    """Holds the state. `on_applied` is called after every command that changed it, and when it is replaced.

    `state` may be read at any time from the event loop's thread; nobody but `apply` changes it.
    """

    def __init__(self, on_applied: Callable[[], None] = lambda: None) -> None:
        self.state = State()
        self._on_applied = on_applied

    @property
    def system_id(self) -> str:
        """Empty until the engine is bootstrapped."""
        return self.state.system_id

    def apply(self, command: str) -> dict[str, Any]:
        """Carry out a proposed command: {"result": …} or {"refused": [code, message]}, the same everywhere.

        A command that fails by a mistake of ours counts as refused: it fails alike on every manager, and
        none may stop at it for ever. Running out of memory is this manager's own and is raised.
        """
        try:
            call = json.loads(command)
            result = commands.apply(self.state, call["name"], call["args"])
        except CommandRefused as refusal:
            return {"refused": [refusal.code, refusal.message]}
        except (MemoryError, RecursionError):
            raise
        except Exception as error:
            log.exception("state.command_failed", command=command[:1000])
            return {"refused": [0, f"the command failed: {type(error).__name__}: {error}"]}
        self._on_applied()
        return {"result": result}

    def capture(self) -> dict[str, Any]:
        return state_to_json(self.state)

    def install(self, state: dict[str, Any]) -> None:
        self.state = state_from_json(state)
        self._on_applied()
