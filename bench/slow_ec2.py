"""The EC2 of the tests, as slow as Amazon's: calls take their time, and volumes take theirs to come about.

It knows when it was busy, so that what the cloud takes can be told from what we add to it.
"""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.providers.ec2 import _NAMESPACE, Attached, Ec2, Fault, Parameters


@dataclass(frozen=True, slots=True)
class Delays:
    """In seconds: of calls by their action, and how long volumes stay `creating` and `attaching`."""

    calls: Mapping[str, float] = field(
        default_factory=lambda: {
            "DescribeInstances": 0.2,
            "DescribeVolumes": 0.2,
            "CreateVolume": 0.8,
            "AttachVolume": 0.6,
        }
    )
    creating: float = 3.0
    attaching: float = 4.0


class SlowEc2(Ec2):
    """Slow from the beginning; `busy_s` tells how long something was asked of it or under way in it."""

    def __init__(self, delays: Delays | None = None) -> None:
        self._delays = delays or Delays()
        self._busy: list[tuple[float, float]] = []
        self._available: dict[str, float] = {}  # when volumes are, or will be
        self._there: dict[str, float] = {}  # when they are attached
        super().__init__()

    def busy_s(self, since: float, until: float) -> float:
        """For how long of this time (of the monotonic clock) at least one thing was under way."""
        total, at = 0.0, since
        for begin, end in sorted(self._busy):
            begin, end = max(begin, at), min(end, until)
            if end > begin:
                total += end - begin
                at = end
        return total

    def fault(self, action: str) -> Fault | None:
        """Every call waits here for as long as it is to take."""
        delay = self._delays.calls.get(action, 0.0)
        began = time.monotonic()
        time.sleep(delay)
        self._busy.append((began, time.monotonic()))
        return super().fault(action)

    def answer(self, action: str, parameters: Parameters, ask: Callable[[], bytes]) -> bytes:
        """What is made or attached by this takes a while to come about."""
        before = set(self._new)
        answer = super().answer(action, parameters, ask)
        now = time.monotonic()
        for volume in self._new - before if action == "CreateVolume" else ():
            self._available[volume] = now + self._delays.creating
            self._busy.append((now, self._available[volume]))
        if action == "AttachVolume":
            volume = parameters["VolumeId"]
            self._there[volume] = now + self._delays.attaching
            self._busy.append((now, self._there[volume]))
        return answer

    def attached(self) -> list[Attached]:
        """An instance sees a volume once it is attached."""
        now = time.monotonic()
        return [one for one in super().attached() if self._there.get(one.volume, 0.0) <= now]

    def _rewritten(self, answer: bytes) -> bytes:
        root, now = ET.fromstring(super()._rewritten(answer)), time.monotonic()
        listed = root.find(f"{{{_NAMESPACE}}}volumeSet")
        for item in listed if listed is not None else ():
            volume = item.findtext(f"{{{_NAMESPACE}}}volumeId") or ""
            status = item.find(f"{{{_NAMESPACE}}}status")
            if status is not None and self._available.get(volume, 0.0) > now:
                status.text = "creating"
            for one in item.findall(f".//{{{_NAMESPACE}}}attachmentSet//{{{_NAMESPACE}}}status"):
                if self._there.get(volume, 0.0) > now:
                    one.text = "attaching"
        return bytes(ET.tostring(root, encoding="utf-8"))
