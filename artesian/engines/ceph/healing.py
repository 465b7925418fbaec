"""How much healing may disturb a pool's applications, as settings of the pool's OSDs. Pure.

They are in the monitors' own store of settings, for the device class of the pool, and take effect at once.
What is in the file of a node would count for more, so nothing of this is there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from artesian.engines.ceph import names
from artesian.model.disk import PoolName
from artesian.model.engine import Healing

_BACKFILLS, _RECOVERIES, _PAUSE = "osd_max_backfills", "osd_recovery_max_active", "osd_recovery_sleep"
_SETTINGS = {
    Healing.UNLIMITED: {_BACKFILLS: 16, _RECOVERIES: 16, _PAUSE: 0.0},
    Healing.LIMITED: {_BACKFILLS: 4, _RECOVERIES: 4, _PAUSE: 0.0},
    Healing.FAVOR_APPLICATIONS: {_BACKFILLS: 1, _RECOVERIES: 1, _PAUSE: 0.1},
}


def section(pool: PoolName) -> str:
    """Whom the settings of a pool are for."""
    return f"osd/class:{names.device_class(pool)}"


def settings(healing: Healing) -> dict[str, str]:
    """By their names."""
    return {name: f"{value:g}" for name, value in _SETTINGS[healing].items()}


def healing_of(pool: PoolName, entries: Iterable[dict[str, Any]]) -> Healing | None:
    """By all that is set in the monitors' store; None if somebody has set something else."""
    mask = section(pool).partition("/")[2]
    found: dict[str, float] = {}
    for one in entries:
        if (one["section"], one["mask"]) == ("osd", mask) and one["name"] in _SETTINGS[Healing.LIMITED]:
            found[one["name"]] = float(one["value"])
    return next((healing for healing, wanted in _SETTINGS.items() if wanted == found), None)
