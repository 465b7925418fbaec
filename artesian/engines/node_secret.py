"""The secret that a node keeps for its engine, whatever the engine is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from artesian.host.files import write_durably
from artesian.model.assignment import Assignment
from artesian.model.names import secret_digest


def take_secret(
    file: Path, secret: str, assignment: Assignment, stop: Callable[[], list[str]], objections: list[str]
) -> list[str]:
    """Write the secret down if it is the engine's; processes that began with another one begin anew.

    The names of those that were ended by `stop`. What is wrong with it is added to the `objections`. Raises
    OSError.
    """
    known = file.read_text().strip() if file.exists() else None
    if known == secret:
        return []
    if assignment.secret_digest and secret_digest(secret) != assignment.secret_digest:
        objections.append(
            f"this agent was given another secret than that of engine {assignment.system_id}, and keeps "
            "it to itself: was the scheduler's store replaced?"
        )
        return []
    if not assignment.engine_kind:
        return []
    ended = stop() if known is not None else []
    write_durably(file, secret + "\n", 0o600)
    return ended
