"""Reading a node's attributes."""

from __future__ import annotations

import pytest

from artesian.model.disk import PoolName
from artesian.model.errors import SpecError
from artesian.strategy.attributes import read_attributes
from tests.strategy.clusters import attributes


def test_one_pool() -> None:
    read = read_attributes("a", attributes("single-pool"))
    assert read.serves == ((PoolName("mydomain", "mypool"), ("/dev/xvdf",)),)
    assert read.uses == (PoolName("mydomain", "mypool"),)


def test_two_domains_with_three_pools() -> None:
    read = read_attributes("a", attributes("two-domains"))
    assert read.serves == (
        (PoolName("mydomain", "mypool"), ("/dev/xvdf",)),
        (PoolName("myotherdomain", "saltwaterpool"), ("/dev/xvdg", "/dev/xvdh")),
        (PoolName("myotherdomain", "freshwaterpool"), ("/dev/xvdi",)),
    )
    assert read.uses == (PoolName("mydomain", "mypool"),)


def test_left_out_attributes_say_nothing() -> None:
    assert read_attributes("a", attributes("agents-1-to-8")).uses is None
    assert read_attributes("a", {"rack": "7"}).serves is None


def test_a_domain_and_a_pool_may_share_a_name() -> None:
    read = read_attributes("a", {"scaleio-sds-domains": "x", "scaleio-sds-x": "x, /dev/sdb"})
    assert read.serves == ((PoolName("x", "x"), ("/dev/sdb",)),)


def test_persona_and_fault_set() -> None:
    read = read_attributes("a", {"scaleio-persona": "TieBreaker", "rack": "r1"}, "rack")
    assert (read.persona, read.fault_set) == ("tiebreaker", "r1")


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"scaleio-sds-domains": "d"}, "scaleio-sds-d is missing"),
        ({"scaleio-sds-domains": "d", "scaleio-sds-d": ""}, "names no pool"),
        ({"scaleio-sds-domains": "d", "scaleio-sds-d": "p"}, "scaleio-sds-p is missing"),
        ({"scaleio-sds-domains": "d", "scaleio-sds-d": "p", "scaleio-sds-p": "sdb"}, "names no disk"),
        (
            {"scaleio-sds-domains": "d", "scaleio-sds-d": "p,q", "scaleio-sds-p": "/dev/sdb",
             "scaleio-sds-q": "/dev/sdb"},
            "disk /dev/sdb is in pool d/p and in pool d/q",
        ),
        ({"scaleio-sds-domains": "d", "scaleio-sds-d": "p,p", "scaleio-sds-p": "/dev/sdb"}, "one pool twice"),
        ({"scaleio-sds-mypool": "/dev/sdb"}, "not reached"),
        ({"scaleio-sds-domans": "d"}, "is scaleio-sds-domains meant"),
        ({"scaleio-persona": "primry"}, "is primary meant"),
        ({"scaleio-fault-sets": "r1"}, "is scaleio-fault-set meant"),
        (
            {"scaleio-sds-domains": "d", "scaleio-sds-d": "pool", "scaleio-sds-pol": "/dev/sdb"},
            "is scaleio-sds-pol meant",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place(said: dict[str, str], complaint: str) -> None:
    with pytest.raises(SpecError, match="node a: ") as raised:
        read_attributes("a", said)
    assert complaint in str(raised.value)
