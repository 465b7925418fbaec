"""What EC2 allows of each type of volume, and what volumes cost."""

from __future__ import annotations

from typing import Any

import pytest

from artesian.model.errors import SpecError
from artesian.providers.ebs_settings import GIB, VOLUME_TYPES, EbsSettings

TIB = 1 << 40


def settings(**values: Any) -> EbsSettings:
    return EbsSettings(**{"cluster": "one", "region": "eu-central-1", **values})


def test_by_default_volumes_are_encrypted() -> None:
    assert settings().encrypted


@pytest.mark.parametrize(
    ("kind", "asked_bytes", "gib"),
    [
        ("gp3", 1, 1),
        ("gp3", GIB, 1),
        ("gp3", GIB + 1, 2),
        ("gp3", 64 * TIB, 65536),
        ("gp2", 16 * TIB, 16384),
        ("io2", 1, 4),
        ("st1", 1, 125),
        ("sc1", 126 * GIB - 1, 126),
    ],
)
def test_sizes_are_whole_gibibytes_from_the_least_of_a_type_on(kind: str, asked_bytes: int, gib: int) -> None:
    iops = 100 if VOLUME_TYPES[kind].needs_iops else None
    assert settings(volume_type=kind, iops=iops).size_gib(asked_bytes) == gib


@pytest.mark.parametrize(
    ("kind", "most"), [("gp3", "64.0 TiB"), ("st1", "16.0 TiB"), ("standard", "1.0 TiB")]
)
def test_more_than_the_most_is_not_possible(kind: str, most: str) -> None:
    with pytest.raises(ValueError, match=f"type {kind} has at most {most}"):
        settings(volume_type=kind).size_gib(VOLUME_TYPES[kind].max_gib * GIB + 1)


@pytest.mark.parametrize(
    ("kind", "iops", "least_gib"),
    [("gp3", 3000, 1), ("gp3", 3500, 7), ("gp3", 80_000, 160), ("io1", 64_000, 1280), ("io2", 256_000, 256)],
)
def test_speed_needs_a_size(kind: str, iops: int, least_gib: int) -> None:
    wanted = settings(volume_type=kind, iops=iops)
    assert wanted.size_gib(least_gib * GIB) == least_gib
    if least_gib > VOLUME_TYPES[kind].min_gib:
        with pytest.raises(ValueError, match=f"{iops} iops need a volume of at least {least_gib} GiB"):
            wanted.size_gib((least_gib - 1) * GIB)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"volume_type": "gp4"}, "'gp4' is no type of EBS volumes: those are gp3, gp2"),
        ({"volume_type": "io2"}, "type io2 need iops"),
        ({"volume_type": "st1", "iops": 500}, "iops of EBS volumes of type st1 cannot be chosen"),
        ({"iops": 2999}, "3000 to 80000 iops, not 2999"),
        ({"volume_type": "io1", "iops": 64_001}, "100 to 64000 iops, not 64001"),
        (
            {"volume_type": "io1", "iops": 100, "throughput": 200},
            "throughput of EBS volumes of type io1 cannot",
        ),
        ({"throughput": 124}, "125 to 2000 MiB/s, not 124"),
        ({"throughput": 751}, "751 MiB/s needs at least 3004 iops"),
        ({"iops": 4000, "throughput": 1001}, "1001 MiB/s needs at least 4004 iops"),
        ({"kms_key_id": "alias/x", "encrypted": False}, "only for volumes that are encrypted"),
        ({"price_per_gib_month": -0.1}, "not negative"),
        ({"max_attachments": 0}, "max_attachments is at least 1"),
        ({"cluster": ""}, "name of their cluster"),
        ({"endpoint_url": "localhost:5000"}, "is a URL, not 'localhost:5000'"),
        ({"tags": {"artesian-token": "x"}}, "tag artesian-token is not free"),
        ({"tags": {"AWS:x": "x"}}, "tag AWS:x is not free"),
        ({"tags": {"x": "y" * 257}}, "too long"),
        ({"tags": {f"t{n}": "" for n in range(45)}}, "45 tags, and 44 are possible"),
    ],
)
def test_what_ec2_would_refuse_whatever_the_size(values: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        settings(**values)


@pytest.mark.parametrize(
    ("values", "known"),
    [
        ({}, False),
        ({"price_per_gib_month": 0.08}, True),
        ({"price_per_gib_month": 0.08, "iops": 3000, "throughput": 125}, True),
        ({"price_per_gib_month": 0.08, "iops": 4000}, False),
        ({"price_per_gib_month": 0.08, "throughput": 250}, False),
        ({"price_per_gib_month": 0.08, "volume_type": "io2", "iops": 100}, False),
        ({"price_per_gib_month": 0.08, "iops": 4000, "price_per_iops_month": 0.005}, True),
    ],
)
def test_a_price_is_known_when_every_part_of_it_is(values: dict[str, Any], known: bool) -> None:
    assert settings(**values).knows_price is known


def test_a_price_is_that_of_size_and_speed() -> None:
    prices = {"price_per_gib_month": 0.1, "price_per_iops_month": 0.01, "price_per_mib_s_month": 0.05}
    assert settings(**prices).cost_per_month(100, 3000, 125) == pytest.approx(10)
    fast = settings(iops=5000, throughput=325, **prices)
    assert fast.cost_per_month(100, 5000, 325) == pytest.approx(10 + 20 + 10)
    assert settings(volume_type="io2", iops=500, **prices).cost_per_month(100, 500, 0) == pytest.approx(15)
    assert settings().cost_per_month(100, 3000, 125) == 0
