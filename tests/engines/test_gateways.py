"""Who is asked first, of several gateways."""

from __future__ import annotations

from typing import cast

import pytest

from artesian.engines.gateways import Gateways
from artesian.engines.port import EngineUnreachable
from artesian.engines.powerflex import PowerFlexEngine


class Cluster:
    """Gateways that take their time. `costs`: how long one takes to fail; others answer at once."""

    def __init__(self, *names: str) -> None:
        self.now_s = 0.0
        self.costs: dict[str, float] = {}
        self.asked: list[str] = []
        self.gateways = Gateways(names, self.connect, lambda: self.now_s)

    def connect(self, name: str) -> PowerFlexEngine:
        return cast(PowerFlexEngine, name)

    def question(self, gateway: PowerFlexEngine) -> str:
        name = cast(str, gateway)
        self.asked.append(name)
        if name in self.costs:
            self.now_s += self.costs[name]
            raise EngineUnreachable(f"{name} is away")
        return name

    def ask(self) -> list[str]:
        """Who was asked."""
        self.asked.clear()
        self.gateways.ask(self.question)
        return list(self.asked)


def test_who_answered_last_is_asked_first() -> None:
    cluster = Cluster("a", "b")
    cluster.costs["a"] = 0.0
    assert cluster.ask() == ["a", "b"]
    del cluster.costs["a"]
    assert cluster.ask() == ["b"]


def test_one_that_hangs_is_asked_last_for_a_while() -> None:
    cluster = Cluster("a", "b", "c")
    cluster.costs["a"] = 10.0
    assert cluster.ask() == ["a", "b"]
    cluster.costs["b"] = 0.001
    assert cluster.ask() == ["b", "c"]
    cluster.costs["c"] = 0.002
    with pytest.raises(EngineUnreachable, match="c is away; b is away; a is away"):
        cluster.ask()
    cluster.now_s += 30.0
    cluster.costs.clear()
    assert cluster.ask() == ["c"]  # which answered last of all


def test_when_none_answers_all_have_been_asked() -> None:
    cluster = Cluster("a", "b")
    cluster.costs = {"a": 10.0, "b": 10.0}
    for _ in range(2):
        with pytest.raises(EngineUnreachable, match="a is away; b is away"):
            cluster.ask()
    with pytest.raises(EngineUnreachable, match="no gateway"):
        Cluster().ask()
