"""How a command ends: one line that says what is wrong, and an exit code that says of which kind it is."""

from __future__ import annotations

from enum import IntEnum

from artesian.attach import errors as attach_errors
from artesian.embedded import errors as engine_errors
from artesian.embedded.local import errors as local_errors
from artesian.model import errors as model_errors
from artesian.model.errors import NeedsApproval
from artesian.store.port import NotLeading, StoreUnusable


class ExitCode(IntEnum):
    OK = 0
    FAILED = 1
    USAGE = 2  # options or a config file that cannot be right
    NOT_RUNNING = 3  # what is needed does not run, or does not answer
    NOT_THERE = 4
    IN_THE_WAY = 5  # in use, exists already, or contradicts what is there
    TOOK_TOO_LONG = 6
    NOT_POSSIBLE_HERE = 7  # a tool, a right or a kernel feature is missing on this machine
    REFUSED = 8  # the engine said no
    NEEDS_APPROVAL = 9  # somebody has to agree to the plan first
    INTERNAL = 70  # a mistake of ours
    INTERRUPTED = 130


_CODES: tuple[tuple[type[Exception], ExitCode], ...] = (
    (engine_errors.ConfigError, ExitCode.USAGE),
    (local_errors.NotThere, ExitCode.NOT_THERE),
    (attach_errors.NotAttached, ExitCode.NOT_THERE),
    (attach_errors.NoSuchExport, ExitCode.NOT_THERE),
    (local_errors.InTheWay, ExitCode.IN_THE_WAY),
    (attach_errors.InUse, ExitCode.IN_THE_WAY),
    (attach_errors.NotEmpty, ExitCode.IN_THE_WAY),
    (attach_errors.Broken, ExitCode.IN_THE_WAY),
    (local_errors.NotRunning, ExitCode.NOT_RUNNING),
    (engine_errors.ManagersUnavailable, ExitCode.NOT_RUNNING),
    (engine_errors.NotLeader, ExitCode.NOT_RUNNING),
    (attach_errors.BadAddress, ExitCode.NOT_RUNNING),
    (local_errors.TookTooLong, ExitCode.TOOK_TOO_LONG),
    (attach_errors.NoDriver, ExitCode.NOT_POSSIBLE_HERE),
    (attach_errors.CannotGrow, ExitCode.NOT_POSSIBLE_HERE),
    (local_errors.RestRefused, ExitCode.REFUSED),
    (engine_errors.CommandRefused, ExitCode.REFUSED),
    (engine_errors.EngineError, ExitCode.FAILED),
    (NeedsApproval, ExitCode.NEEDS_APPROVAL),
    (model_errors.SpecError, ExitCode.USAGE),
    (model_errors.NotThere, ExitCode.NOT_THERE),
    (model_errors.Conflict, ExitCode.IN_THE_WAY),
    (model_errors.NotPossible, ExitCode.REFUSED),
    (StoreUnusable, ExitCode.NOT_RUNNING),
    (NotLeading, ExitCode.IN_THE_WAY),
    (model_errors.ArtesianError, ExitCode.FAILED),
    (attach_errors.AttachError, ExitCode.FAILED),
    (PermissionError, ExitCode.NOT_POSSIBLE_HERE),
    (OSError, ExitCode.FAILED),
)


def code_of(error: BaseException) -> ExitCode:
    """The exit code for an error; INTERNAL for one that nobody foresaw."""
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    return ExitCode.INTERNAL


def sentence(error: BaseException) -> str:
    """What to tell the user, in one line."""
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    else:
        text = str(error)
    if code_of(error) is ExitCode.INTERNAL:
        text = f"a mistake in Artesian itself: {type(error).__name__}: {text}"
    return " ".join(text.split()) or type(error).__name__
