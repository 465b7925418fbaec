"""One look at everything: measured, forecast and judged, with what is remembered from the looks before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from artesian.model.disk import PoolName
from artesian.model.observation import Observation
from artesian.model.spec import Spec
from artesian.model.state import FrameworkState
from artesian.model.topology import DiskVerdict
from artesian.remedy.capacity import capacities
from artesian.remedy.defaults import expansion_lead_s
from artesian.remedy.firing import Firing, FiringMemory, Key, evaluate
from artesian.remedy.forecast import Forecast, History, forecasts, remember
from artesian.remedy.measuring import Absences, Known, Measured, Values, measure, note_absences


@dataclass(frozen=True, slots=True)
class Look:
    """What one look has led to, and all that the next one needs of it. A new one knows of no other."""

    history: History = field(default_factory=History)
    absences: Absences = field(default_factory=Absences)
    memory: FiringMemory = field(default_factory=FiringMemory)
    forecasts: Mapping[PoolName, Forecast] = field(default_factory=lambda: MappingProxyType({}))
    measured: tuple[Measured, ...] = ()
    firings: Mapping[Key, Firing] = field(default_factory=lambda: MappingProxyType({}))


def look(
    before: Look,
    spec: Spec,
    seen: Observation,
    state: FrameworkState,
    now_s: float,
    *,
    verdicts: tuple[DiskVerdict, ...] | None = None,
    device_health: Mapping[str, Values] | None = None,
) -> Look:
    """Look at everything. `spec` has its default rules; `now_s` is Unix time.

    Raises ConditionError for conditions that were not checked.
    """
    history = remember(before.history, seen, now_s)
    absences = note_absences(before.absences, seen, state, now_s)
    capacity = capacities(seen.engine) if seen.engine is not None else {}
    expected = MappingProxyType(forecasts(history, seen, capacity, now_s))
    known = Known(expected, absences, expansion_lead_s(spec), device_health or {}, verdicts, capacity)
    measured = measure(seen, state, known)
    firings, memory = evaluate(spec.rules, measured, before.memory, now_s)
    by_key = {(one.rule, one.thing): one for one in firings}
    return Look(history, absences, memory, expected, measured, MappingProxyType(by_key))
