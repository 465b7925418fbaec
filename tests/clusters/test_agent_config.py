"""What agents are told at their start."""

from __future__ import annotations

from artesian.clusters.agent_config import agent_config
from artesian.clusters.port import AgentCredentials

CREDENTIALS = AgentCredentials("http://10.0.0.253:8700", "token", "secret")


def test_an_agent_is_told_who_it_is_and_whom_to_believe() -> None:
    assert agent_config("alpha", "10.0.0.1", CREDENTIALS) == {
        "node": "alpha",
        "address": "10.0.0.1",
        "scheduler_url": "http://10.0.0.253:8700",
        "token": "token",
        "engine_secret": "secret",
    }


def test_files_that_stand_for_disks_are_named_only_if_there_are_some() -> None:
    assert agent_config("alpha", "10.0.0.1", CREDENTIALS, "/disks")["dev"] == "/disks"
