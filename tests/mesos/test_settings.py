"""What an agent tells its executor, and how long to wait."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artesian.mesos.executor_settings import ExecutorSettings, duration_s, settings_of
from artesian.mesos.retrying import delay_s

_LEAST = {"MESOS_AGENT_ENDPOINT": "10.0.0.1:5051", "MESOS_FRAMEWORK_ID": "f", "MESOS_EXECUTOR_ID": "e"}


def test_an_environment_with_the_least() -> None:
    assert settings_of(_LEAST) == ExecutorSettings("10.0.0.1:5051", "f", "e")


def test_an_environment_with_everything() -> None:
    more = {
        "MESOS_CHECKPOINT": "1",
        "MESOS_RECOVERY_TIMEOUT": "15mins",
        "MESOS_SUBSCRIPTION_BACKOFF_MAX": "500ms",
        "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD": "1.5hrs",
        "MESOS_EXECUTOR_AUTHENTICATION_TOKEN": "t",
        "LIBPROCESS_SSL_ENABLED": "1",
        "LIBPROCESS_SSL_CA_FILE": "/ca",
    }
    expected = ExecutorSettings("10.0.0.1:5051", "f", "e", True, 900.0, 0.5, 5400.0, "t", True, "/ca")
    assert settings_of(_LEAST | more) == expected


@pytest.mark.parametrize("name", _LEAST)
def test_what_lacks_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        settings_of(_LEAST | {name: ""})


def test_what_makes_no_sense_is_named() -> None:
    with pytest.raises(ValueError, match="MESOS_SUBSCRIPTION_BACKOFF_MAX: 'soon' is no duration"):
        settings_of(_LEAST | {"MESOS_SUBSCRIPTION_BACKOFF_MAX": "soon"})


@pytest.mark.parametrize(
    ("text", "expected_s"),
    [
        ("15mins", 900.0),
        ("2secs", 2.0),
        ("250ms", 0.25),
        ("1weeks", 604800.0),
        ("3ns", 3e-9),
        ("0.5days", 43200),
    ],
)
def test_durations(text: str, expected_s: float) -> None:
    assert duration_s(text) == pytest.approx(expected_s)


@pytest.mark.parametrize("text", ["", "15", "mins", "15 mins", "-1secs", "15minutes", "1.2.3secs"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError):
        duration_s(text)


@given(failures=st.integers(0, 10_000), chance=st.floats(0, 1))
def test_a_delay_is_never_none_and_never_without_end(failures: int, chance: float) -> None:
    assert 0.25 <= delay_s(failures, chance, 0.5, 30.0) <= 30.0
    assert delay_s(failures, chance, 0.5, 30.0) <= delay_s(failures + 1, chance, 0.5, 30.0)
