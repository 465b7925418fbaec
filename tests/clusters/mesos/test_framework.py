"""The framework's thread, as others see it."""

from __future__ import annotations

import threading

import pytest

from artesian.clusters.mesos.desk import Desk
from artesian.clusters.mesos.framework import MesosFramework
from artesian.clusters.port import SubstrateUnusable
from artesian.mesos.access import MesosAccess
from tests.clusters.mesos.situations import PROGRAM, RESERVER


def test_one_whose_thread_has_ended_by_itself_says_that_it_cannot_be_torn_down() -> None:
    """As when another scheduler has taken its place while everything was being let go of."""
    access, info = MesosAccess("http://127.0.0.1:9"), {"id": {"value": "framework-1"}}
    ended = threading.Event()
    one = MesosFramework(access, info, Desk(RESERVER, PROGRAM, {}, {}), None, ended.set)  # type: ignore[arg-type]
    one._answer = _fail  # type: ignore[method-assign]
    one.start()
    assert ended.wait(10.0)
    one._thread.join(10.0)
    with pytest.raises(SubstrateUnusable, match="framework ends: a mistake in Artesian"):
        one.tear_down()
    one.poke()
    one.stop()


async def _fail() -> None:
    raise ValueError("what nobody understands")
