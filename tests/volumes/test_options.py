"""Options as REX-Ray's users write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from artesian.model.errors import NotPossible
from artesian.volumes.options import KNOWN, new_volume
from artesian.volumes.ports import NewVolume

GIB = 1 << 30


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, NewVolume(16 * GIB)),
        ({"size": "7"}, NewVolume(7 * GIB)),
        ({"size": "1.5"}, NewVolume(2 * GIB)),
        ({"Size": " 10GiB "}, NewVolume(10 * GIB)),
        ({"size": "10GB"}, NewVolume(10 * GIB)),
        ({"size": "512MiB"}, NewVolume(GIB)),
        ({"size": "1", "pool": "d/p"}, NewVolume(GIB, pool="d/p")),
        ({"size": "1", "storagePool": "p"}, NewVolume(GIB, pool="p")),
        ({"size": "1", "thick": ""}, NewVolume(GIB, thick=True)),
        ({"size": "1", "thin": "false"}, NewVolume(GIB, thick=True)),
        ({"size": "1", "thin": "true", "volumetype": "thin"}, NewVolume(GIB)),
        ({"size": "1", "fstype": "XFS", "newFsType": "xfs"}, NewVolume(GIB, fstype="xfs")),
        ({"size": "1", "iops": "100"}, NewVolume(GIB, limit_iops=100)),
        ({"size": "1", "bandwidth": "20MiB"}, NewVolume(GIB, limit_bandwidth_bytes_per_s=20 << 20)),
        ({"size": "1", "preempt": "True"}, NewVolume(GIB, preempt=True)),
        ({"size": "1", "overwritefs": "false"}, NewVolume(GIB)),
    ],
)
def test_what_options_mean(options: dict[str, str], wanted: NewVolume) -> None:
    assert new_volume(options) == wanted


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"size": "big"}, "option size: 'big' is no size like 20"),
        ({"size": "0"}, "1 GiB at least"),
        ({"size": "-1"}, "no size"),
        ({"fstype": "zfs"}, "neither ext4 nor xfs"),
        ({"iops": "many"}, "option iops: 'many' is no number"),
        ({"iops": "9" * 5000}, "9…' is no number"),
        ({"bandwidth": "x"}, "no size like 20MiB"),
        ({"thick": "perhaps"}, "neither true nor false"),
        ({"pool": ""}, "names no pool"),
        ({"volumetype": "gold"}, "neither thick nor thin"),
        ({"overwritefs": "true"}, "never overwritten"),
        ({"thick": "true", "thin": "true"}, "options thick and thin contradict each other"),
    ],
)
def test_what_makes_no_sense_is_explained(options: dict[str, str], reason: str) -> None:
    with pytest.raises(NotPossible, match=reason):
        new_volume(options)


def test_an_unknown_option_is_answered_with_the_known_ones() -> None:
    with pytest.raises(NotPossible, match="'sze', did you mean size") as refused:
        new_volume({"sze": "1"})
    assert all(name in str(refused.value) for name in KNOWN)


def test_the_documentation_lists_every_option() -> None:
    page = (Path(__file__).parents[2] / "docs" / "volume-plugin.md").read_text()
    table = page.split("<!-- options")[1]
    listed = [line.split("`")[1] for line in table.splitlines() if line.startswith("| `")]
    assert tuple(listed) == KNOWN
