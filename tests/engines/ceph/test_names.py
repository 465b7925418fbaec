"""What is called otherwise here is called otherwise in Ceph."""

from __future__ import annotations

from itertools import combinations

from artesian.engines.ceph import names
from artesian.model.disk import PoolName

PAIRS = [
    ("a", "b.c"),
    ("a.b", "c"),
    ("a", "b_c"),
    ("a_b", "c"),
    ("a", "b/c"),
    ("a", "b c"),
    ("ä", "b"),
    ("a", "b"),
]


def test_two_pools_never_share_one_of_cephs() -> None:
    for made in (names.ceph_pool, names.device_class, names.rule_name):
        for one, other in combinations(PAIRS, 2):
            assert made(PoolName(*one)) != made(PoolName(*other))


def test_fault_sets_of_two_domains_never_share_a_bucket() -> None:
    for one, other in combinations(PAIRS, 2):
        assert names.fault_set_bucket(*one) != names.fault_set_bucket(*other)


def test_keys_are_taken_apart_into_what_they_were_made_of() -> None:
    for pair in PAIRS:
        assert names.parts(names.key("pools", *pair)) == ("pools", *pair)
