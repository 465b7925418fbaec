"""What every cluster substrate has to do. Put one through it by subclassing `SubstrateConformance`."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace

import pytest

from artesian.clusters.port import AgentCredentials, Substrate, SubstrateNode
from artesian.model.errors import ArtesianError

_PATIENCE_S = 30.0
CREDENTIALS = AgentCredentials("http://127.0.0.1:9", "token-of-the-agent", "secret-of-the-engine")


class Handle(ABC):
    """A substrate with the nodes "alpha" and "beta", and what only its machines' owner can do."""

    substrate: Substrate

    @abstractmethod
    def reopen(self) -> None:
        """Make `substrate` another one of the same cluster, as after a restart of ours."""

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
    def agent(self, node: str) -> int | None:
        """The process id of a node's agent; None while none runs."""

    @abstractmethod
    def secret_of_agent(self, node: str) -> str:
        """The engine's secret that a node's agent has."""

    @abstractmethod
    def kill_agent(self, node: str) -> None:
        """As a crash does."""

    @abstractmethod
    def arguments_of_agent(self, node: str) -> str:
        """What anybody on the machine can see of the agent's start."""


def eventually(what: str, condition: Callable[[], object]) -> None:
    """Many a substrate only begins what it is asked for."""
    end = time.monotonic() + _PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"not within {_PATIENCE_S:g} s: {what}"
        time.sleep(0.1)


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
        eventually("it is known", lambda: len(handle.substrate.nodes()) == 3)
        assert sorted(node.name for node in handle.substrate.nodes()) == ["alpha", "beta", "gamma"]

    def test_attributes_are_shown(self, handle: Handle) -> None:
        handle.set_attribute("alpha", "rack", "r1")
        eventually("it is shown", lambda: seen(handle, "alpha").attributes.get("rack") == "r1")
        assert "rack" not in seen(handle, "beta").attributes

    def test_a_node_that_is_off_is_gone_and_still_known(self, handle: Handle) -> None:
        begin(handle, "alpha")
        handle.switch_off("alpha")
        eventually("it is gone", lambda: seen(handle, "alpha").gone)
        assert not seen(handle, "beta").gone
        handle.switch_on("alpha")
        eventually("it is back", lambda: not seen(handle, "alpha").gone)

    def test_an_agent_is_started_once(self, handle: Handle) -> None:
        assert handle.substrate.ensure_agent("alpha", CREDENTIALS)
        eventually("it runs", lambda: handle.agent("alpha"))
        before = handle.agent("alpha")
        assert not handle.substrate.ensure_agent("alpha", CREDENTIALS)
        assert handle.agent("alpha") == before
        assert handle.agent("beta") is None

    def test_an_agent_that_died_is_started_again(self, handle: Handle) -> None:
        begin(handle, "alpha")
        before = handle.agent("alpha")
        handle.kill_agent("alpha")
        handle.substrate.ensure_agent("alpha", CREDENTIALS)
        eventually("another one runs", lambda: handle.agent("alpha") not in (None, before))

    def test_an_agent_gets_other_credentials(self, handle: Handle) -> None:
        begin(handle, "alpha")
        others = replace(CREDENTIALS, engine_secret="another-secret")
        assert handle.substrate.ensure_agent("alpha", others)
        eventually("it has them", lambda: handle.secret_of_agent("alpha") == "another-secret")
        eventually("it runs", lambda: handle.agent("alpha"))
        assert not handle.substrate.ensure_agent("alpha", others)

    def test_an_agent_is_ended_once(self, handle: Handle) -> None:
        assert not handle.substrate.stop_agent("alpha")
        begin(handle, "alpha")
        assert handle.substrate.stop_agent("alpha")
        eventually("it has ended", lambda: handle.agent("alpha") is None)
        eventually("that is known", lambda: not handle.substrate.stop_agent("alpha"))

    def test_an_agent_that_was_ended_may_run_again(self, handle: Handle) -> None:
        begin(handle, "alpha")
        handle.substrate.stop_agent("alpha")
        eventually("it has ended", lambda: handle.agent("alpha") is None)
        begin(handle, "alpha")

    def test_an_agent_outlives_whoever_has_started_it(self, handle: Handle) -> None:
        begin(handle, "alpha")
        before = handle.agent("alpha")
        handle.reopen()
        handle.substrate.ensure_agent("alpha", CREDENTIALS)
        handle.substrate.ensure_agent("beta", CREDENTIALS)
        eventually("another one runs", lambda: handle.agent("beta"))
        assert handle.agent("alpha") == before
        assert handle.substrate.stop_agent("alpha")
        eventually("it has ended", lambda: handle.agent("alpha") is None)

    def test_the_agent_of_a_node_that_goes_off_is_dead(self, handle: Handle) -> None:
        begin(handle, "alpha")
        handle.switch_off("alpha")
        eventually("it is gone", lambda: seen(handle, "alpha").gone)
        eventually("its agent has ended", lambda: handle.agent("alpha") is None)
        assert not handle.substrate.ensure_agent("alpha", CREDENTIALS)
        assert handle.agent("alpha") is None
        handle.switch_on("alpha")
        eventually("it is back", lambda: not seen(handle, "alpha").gone)
        begin(handle, "alpha")

    def test_credentials_are_nobody_elses_business(self, handle: Handle) -> None:
        begin(handle, "alpha")
        eventually("it shows what it was started with", lambda: handle.arguments_of_agent("alpha"))
        shown = handle.arguments_of_agent("alpha")
        assert CREDENTIALS.token not in shown
        assert CREDENTIALS.engine_secret not in shown

    def test_a_node_that_is_not_there_has_no_agent(self, handle: Handle) -> None:
        with pytest.raises(ArtesianError, match="omega"):
            handle.substrate.ensure_agent("omega", CREDENTIALS)

    def test_whoever_leaves_ends_all_agents(self, handle: Handle) -> None:
        for node in ("alpha", "beta"):
            begin(handle, node)
        assert len(handle.substrate.leave()) >= 2
        assert handle.agent("alpha") is handle.agent("beta") is None
        assert [node.name for node in handle.substrate.nodes()] == ["alpha", "beta"]
        begin(handle, "alpha")


def begin(handle: Handle, node: str) -> None:
    """Have a node's agent run."""
    handle.substrate.ensure_agent(node, CREDENTIALS)
    eventually(f"the agent of {node} runs", lambda: handle.agent(node))


def seen(handle: Handle, node: str) -> SubstrateNode:
    return next(one for one in handle.substrate.nodes() if one.name == node)
