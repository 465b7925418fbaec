"""What an agent tells an executor that it starts, by its environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_UNITS_S = {
    "ns": 1e-9,
    "us": 1e-6,
    "ms": 1e-3,
    "secs": 1.0,
    "mins": 60.0,
    "hrs": 3600.0,
    "days": 86400.0,
    "weeks": 604800.0,
}
_DURATION = re.compile(r"([0-9.]+)([a-z]+)")
# What Mesos' agents have as their defaults.
_RECOVERY, _BACKOFF, _GRACE = "15mins", "2secs", "5secs"


@dataclass(frozen=True, slots=True)
class ExecutorSettings:
    """`endpoint` is the agent's host:port. `recovery_s`: how long the agent may be away; none without
    `checkpoints`. `backoff_s`: the most between two attempts. `grace_s`: from SHUTDOWN to the end."""

    endpoint: str
    framework_id: str
    executor_id: str
    checkpoints: bool = False
    recovery_s: float = 0.0
    backoff_s: float = 2.0
    grace_s: float = 5.0
    token: str | None = field(default=None, repr=False)
    tls: bool = False
    ca_file: str | None = None


def settings_of(environment: Mapping[str, str]) -> ExecutorSettings:
    """Raises ValueError with the name of the variable that lacks or makes no sense."""
    checkpoints = environment.get("MESOS_CHECKPOINT") == "1"
    return ExecutorSettings(
        endpoint=_needed(environment, "MESOS_AGENT_ENDPOINT"),
        framework_id=_needed(environment, "MESOS_FRAMEWORK_ID"),
        executor_id=_needed(environment, "MESOS_EXECUTOR_ID"),
        checkpoints=checkpoints,
        recovery_s=_duration(environment, "MESOS_RECOVERY_TIMEOUT", _RECOVERY) if checkpoints else 0.0,
        backoff_s=_duration(environment, "MESOS_SUBSCRIPTION_BACKOFF_MAX", _BACKOFF),
        grace_s=_duration(environment, "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", _GRACE),
        token=environment.get("MESOS_EXECUTOR_AUTHENTICATION_TOKEN") or None,
        tls=environment.get("LIBPROCESS_SSL_ENABLED") in ("1", "true"),
        ca_file=environment.get("LIBPROCESS_SSL_CA_FILE") or None,
    )


def duration_s(text: str) -> float:
    """The seconds of a Mesos duration such as "15mins". Raises ValueError."""
    found = _DURATION.fullmatch(text)
    if found is None or found[2] not in _UNITS_S:
        raise ValueError(f"{text!r} is no duration such as 15mins")
    return float(found[1]) * _UNITS_S[found[2]]


def _needed(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name)
    if not value:
        raise ValueError(f"{name} is not set: this program is to be started by a Mesos agent")
    return value


def _duration(environment: Mapping[str, str], name: str, default: str) -> float:
    try:
        return duration_s(environment.get(name) or default)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
