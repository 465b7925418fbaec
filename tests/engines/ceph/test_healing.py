"""How much healing may disturb is read back as it was set, for each pool by itself."""

from __future__ import annotations

from typing import Any

import pytest

from artesian.engines.ceph.healing import healing_of, section, settings
from artesian.model.disk import PoolName
from artesian.model.engine import Healing

GOLD, SILVER = PoolName("main", "gold"), PoolName("main", "silver")


def entries(pool: PoolName, healing: Healing) -> list[dict[str, Any]]:
    """As the monitors tell them."""
    who, _, mask = section(pool).partition("/")
    return [
        {"section": who, "mask": mask, "name": name, "value": value, "level": "advanced"}
        for name, value in settings(healing).items()
    ]


@pytest.mark.parametrize("healing", Healing)
def test_what_was_set_is_seen_at_its_pool_only(healing: Healing) -> None:
    others = [{"section": "global", "mask": "", "name": "osd_max_backfills", "value": "9"}]
    found = others + entries(GOLD, healing)
    assert (healing_of(GOLD, found), healing_of(SILVER, found)) == (healing, None)


def test_what_somebody_else_has_set_is_none_of_ours() -> None:
    found = entries(GOLD, Healing.LIMITED)
    found[0]["value"] = "7"
    assert healing_of(GOLD, found) is None
    assert healing_of(GOLD, found[1:]) is None


def test_values_are_compared_as_numbers() -> None:
    found = [{**one, "value": f"{float(one['value']):.6f}"} for one in entries(GOLD, Healing.LIMITED)]
    assert healing_of(GOLD, found) is Healing.LIMITED
