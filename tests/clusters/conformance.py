"""What every cluster substrate has to do. Put one through it by subclassing `SubstrateConformance`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace

import pytest

from artesian.clusters.port import AgentCredentials, Substrate
from artesian.model.errors import ArtesianError

CREDENTIALS = AgentCredentials("http://127.0.0.1:9", "token-of-the-agent", "secret-of-the-engine")


class Handle(ABC):
    """A substrate with the nodes "alpha" and "beta", and what only its machines' owner can do."""

    substrate: Substrate

    @abstractmethod
    def switch_off(self, node: str) -> None:
        """Take a node's power away."""

    @abstractmethod
    def switch_on(self, node: str) -> None:
        """Give it back."""

    @abstractmethod
    def add_node(self, node: str) -> None:
        """Put another machine there."""

    @abstractmethod
    def set_attribute(self, node: str, key: str, value: str) -> None:
        """Say something about a node."""

    @abstractmethod
    def agent_runs(self, node: str) -> bool:
        """Whether a node's agent runs."""

    @abstractmethod
    def kill_agent(self, node: str) -> None:
        """As a crash does."""

    @abstractmethod
    def arguments_of_agent(self, node: str) -> str:
        """What anybody on the machine can see of the agent's start."""


class SubstrateConformance:
    """Subclasses give a fixture `handle`."""

    @pytest.fixture
    def handle(self) -> Handle:
        raise NotImplementedError

    def test_it_knows_every_node(self, handle: Handle) -> None:
        found = handle.substrate.nodes()
        assert sorted(node.name for node in found) == ["alpha", "beta"]
        assert not any(node.gone for node in found)

    def test_every_node_has_an_address_of_its_own(self, handle: Handle) -> None:
        addresses = [node.address for node in handle.substrate.nodes()]
        assert all(addresses)
        assert len(set(addresses)) == len(addresses)

    def test_the_same_question_has_the_same_answer(self, handle: Handle) -> None:
        assert handle.substrate.nodes() == handle.substrate.nodes()

    def test_it_says_what_may_be_used_of_a_node(self, handle: Handle) -> None:
        for node in handle.substrate.nodes():
            assert node.cpus >= 0
            assert node.memory_bytes >= 0

    def test_a_new_node_is_there(self, handle: Handle) -> None:
        handle.add_node("gamma")
        assert sorted(node.name for node in handle.substrate.nodes()) == ["alpha", "beta", "gamma"]

    def test_attributes_are_shown(self, handle: Handle) -> None:
        handle.set_attribute("alpha", "rack", "r1")
        found = {node.name: dict(node.attributes) for node in handle.substrate.nodes()}
        assert found["alpha"].get("rack") == "r1"
        assert "rack" not in found["beta"]

    def test_a_node_that_is_off_is_gone_and_still_known(self, handle: Handle) -> None:
        handle.switch_off("alpha")
        assert {node.name: node.gone for node in handle.substrate.nodes()} == {"alpha": True, "beta": False}
        handle.switch_on("alpha")
        assert not any(node.gone for node in handle.substrate.nodes())

    def test_an_agent_is_started_once(self, handle: Handle) -> None:
        assert handle.substrate.ensure_agent("alpha", CREDENTIALS)
        assert handle.agent_runs("alpha")
        assert not handle.substrate.ensure_agent("alpha", CREDENTIALS)
        assert not handle.agent_runs("beta")

    def test_an_agent_that_died_is_started_again(self, handle: Handle) -> None:
        handle.substrate.ensure_agent("alpha", CREDENTIALS)
        handle.kill_agent("alpha")
        assert not handle.agent_runs("alpha")
        assert handle.substrate.ensure_agent("alpha", CREDENTIALS)
        assert handle.agent_runs("alpha")

    def test_an_agent_with_other_credentials_is_started_anew(self, handle: Handle) -> None:
        handle.substrate.ensure_agent("alpha", CREDENTIALS)
        others = replace(CREDENTIALS, engine_secret="another-secret")
        assert handle.substrate.ensure_agent("alpha", others)
        assert handle.agent_runs("alpha")
        assert not handle.substrate.ensure_agent("alpha", others)

    def test_an_agent_is_ended_once(self, handle: Handle) -> None:
        assert not handle.substrate.stop_agent("alpha")
        handle.substrate.ensure_agent("alpha", CREDENTIALS)
        assert handle.substrate.stop_agent("alpha")
        assert not handle.agent_runs("alpha")
        assert not handle.substrate.stop_agent("alpha")

    def test_no_agent_is_started_on_a_node_that_is_off(self, handle: Handle) -> None:
        handle.switch_off("alpha")
        assert not handle.substrate.ensure_agent("alpha", CREDENTIALS)
        assert not handle.agent_runs("alpha")

    def test_the_agent_of_a_node_that_goes_off_is_dead(self, handle: Handle) -> None:
        handle.substrate.ensure_agent("alpha", CREDENTIALS)
        handle.switch_off("alpha")
        assert not handle.agent_runs("alpha")
        handle.switch_on("alpha")
        assert handle.substrate.ensure_agent("alpha", CREDENTIALS)

    def test_credentials_are_nobody_elses_business(self, handle: Handle) -> None:
        handle.substrate.ensure_agent("alpha", CREDENTIALS)
        shown = handle.arguments_of_agent("alpha")
        assert shown
        assert CREDENTIALS.token not in shown
        assert CREDENTIALS.engine_secret not in shown

    def test_a_node_that_is_not_there_has_no_agent(self, handle: Handle) -> None:
        with pytest.raises(ArtesianError, match="omega"):
            handle.substrate.ensure_agent("omega", CREDENTIALS)
