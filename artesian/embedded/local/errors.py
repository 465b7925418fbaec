"""What can go wrong with an engine on this machine, beyond what the engine itself refuses.

EngineError
├── NotThere      a folder, volume, node or disk that does not exist
├── InTheWay      something is in use, exists already, or contradicts what is there
├── NotRunning    a process that is needed is not running
├── TookTooLong   something did not happen in time
└── RestRefused   the gateway answered with an error
"""

from __future__ import annotations

from artesian.embedded.errors import EngineError


class NotThere(EngineError):
    """A folder, volume, node or disk that does not exist."""


class InTheWay(EngineError):
    """Something is in use, exists already, or contradicts what is there."""


class NotRunning(EngineError):
    """A process that is needed is not running."""


class TookTooLong(EngineError):
    """Something did not happen in time."""


class RestRefused(EngineError):
    """The gateway's answer to a request that it did not carry out; PowerFlex' code and text."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
