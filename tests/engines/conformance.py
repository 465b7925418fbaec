"""What every engine's adapter has to do. Put one through it by subclassing both classes of this module."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest

from artesian.engines.port import ChangeRefused, EngineUnreachable, NotYet
from artesian.model.changes import (
    AddDomain,
    CreateEngine,
    CreateVolume,
    DeleteSnapshot,
    DeleteVolume,
    UnmapVolume,
)
from tests.engines.arranging import ArrangementContract
from tests.engines.deployment import NODES, POOL, Deployment, Handle, shape, with_other_id
from tests.engines.failing import FailureContract
from tests.engines.snapshots import SnapshotContract
from tests.engines.volumes import GIB, VolumeContract

_NUMBERS = itertools.count(1)


class EngineMakingConformance:
    """Subclasses give a fixture `handle` of scope "class", with bare machines."""

    @pytest.fixture(scope="class")
    @classmethod
    def handle(cls) -> Handle:
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def bare(cls, handle: Handle) -> Deployment:
        """Nothing runs on any node."""
        return Deployment(handle)

    @pytest.fixture(scope="class")
    @classmethod
    def made(cls, handle: Handle) -> Iterator[Deployment]:
        """An engine with one manager."""
        deployment = Deployment(handle)
        deployment.make(CreateEngine((deployment.place("n1"),)))
        yield deployment
        deployment.stop()

    def test_managers_that_do_not_run_yet_are_waited_for(self, bare: Deployment, handle: Handle) -> None:
        place = bare.place("n4")
        engine = handle.connect(replace(bare.identity, managers=(place,)))
        with pytest.raises(EngineUnreachable, match=r"\w"):
            engine.observe()
        with pytest.raises((NotYet, EngineUnreachable), match=r"\w"):
            engine.carry_out(CreateEngine((place,)))
        with pytest.raises(EngineUnreachable, match=r"\w"):
            engine.carry_out(AddDomain("d"))
        engine.close()
        engine.close()

    def test_it_is_the_engine_that_was_decided_on(self, made: Deployment) -> None:
        seen = made.observe()
        assert seen.system_id == made.identity.system_id
        assert [one.host for one in seen.managers] == [made.handle.address("n1")]
        assert (seen.managers[0].healthy, seen.managers[0].leads) == (True, True)

    def test_another_engine_on_the_same_managers_is_refused(self, made: Deployment, handle: Handle) -> None:
        before = shape(made.observe())
        other = handle.connect(with_other_id(made.identity))
        for _ in range(2):
            with pytest.raises(ChangeRefused, match=r"\w"):
                other.carry_out(CreateEngine(made.identity.managers))
        other.close()
        assert shape(made.observe()) == before

    def test_it_is_the_same_engine_after_its_only_manager_died(self, made: Deployment) -> None:
        made.make(AddDomain("kept"))
        before = shape(made.observe())
        made.switch_off("n1")
        with pytest.raises(EngineUnreachable, match=r"\w"):
            made.engine.observe()
        made.switch_on("n1")
        made.until("it answers", lambda seen: seen.managers[0].healthy)
        assert shape(made.observe()) == before
        made.make(CreateEngine(made.identity.managers))
        assert shape(made.observe()) == before


class EngineConformance(ArrangementContract, VolumeContract, SnapshotContract, FailureContract):
    """Subclasses give a fixture `handle` of scope "class", with bare machines.

    All tests share one engine. Each begins with everything running and whole, and leaves what it was given.
    """

    @pytest.fixture(scope="class")
    @classmethod
    def handle(cls) -> Handle:
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def deployed(cls, handle: Handle) -> Iterator[Deployment]:
        deployment = Deployment(handle)
        deployment.deploy()
        yield deployment
        deployment.stop()

    @pytest.fixture
    def system(self, deployed: Deployment) -> Deployment:
        """The engine, whole, whatever tests before have done to it."""
        deployed.recover()
        return deployed

    @pytest.fixture
    def volume(self, system: Deployment) -> Iterator[str]:
        """The name of a volume of 1 GiB, which goes when the test has ended."""
        name = f"volume-{next(_NUMBERS)}"
        system.do(CreateVolume(name, POOL, GIB, False))
        yield name
        if system.off:
            system.recover()
        found = system.observe().volume(name)
        if found is not None:
            users = [node for node in NODES if system.guid(node) in found.mapped_to]
            snapshots = [DeleteSnapshot(name, one.name) for one in found.snapshots]
            system.do(*(UnmapVolume(name, node) for node in users), *snapshots, DeleteVolume(name))
