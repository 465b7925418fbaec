"""What is said when a volume takes longer to be as wished than somebody waits."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from artesian.cli.cluster import volumes
from artesian.cli.cluster.access import Api
from artesian.cli.cluster.volumes import finish
from artesian.cli.output import Output
from artesian.embedded.local.errors import TookTooLong


class NeverReady:
    """An API whose volume waits for something."""

    def get(self, path: str) -> dict[str, Any]:
        assert path == "/volumes/data"
        return {"name": "data", "ready": False, "because": "node n1 is silent"}


def test_whoever_has_waited_for_too_long_hears_that_it_stays_wanted() -> None:
    with pytest.raises(TookTooLong) as raised:
        finish(cast(Api, NeverReady()), Output(True), "data", no_wait=False, timeout_s=0.0)
    assert str(raised.value) == (
        "after 0 s: volume data: node n1 is silent; it stays wanted, and is done as soon as it can be: "
        "artesian volume show data"
    )


class Growing:
    """An API whose mounted volume says this of itself, one after the other, and the last for ever."""

    def __init__(self, *seen: dict[str, Any]) -> None:
        self.seen = list(seen)

    def get(self, path: str) -> dict[str, Any]:
        assert path == "/volumes/data"
        return VOLUME | (self.seen.pop(0) if len(self.seen) > 1 else self.seen[0])


VOLUME: dict[str, Any] = {
    "name": "data", "ready": True, "because": "", "total_bytes": 100, "note": "", "size_bytes": 1 << 30,
    "pool": "default/default", "mounted_at": None, "device": None, "node": None, "limit_iops": 0,
    "limit_bandwidth_bytes_per_s": 0, "iops": None, "used_bytes": 10,
}  # fmt: skip
NOT_GROWN = "its file system does not grow: it is full"


@pytest.mark.parametrize("end", [{"total_bytes": 200}, {"note": NOT_GROWN}])
def test_a_volume_that_grew_is_shown_with_what_became_of_its_file_system(
    capsys: pytest.CaptureFixture[str], end: dict[str, Any]
) -> None:
    api = Growing({}, {}, {}, end)
    finish(cast(Api, api), Output(True), "data", no_wait=False, timeout_s=5.0, larger_than=VOLUME)
    assert json.loads(capsys.readouterr().out) == VOLUME | end | {"warnings": []}


@pytest.mark.parametrize("mounted", [True, False])
def test_a_node_that_says_nothing_of_it_is_not_waited_for_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, mounted: bool
) -> None:
    monkeypatch.setattr(volumes, "_FILE_SYSTEM_TIMEOUT_S", 0.1)
    before = VOLUME if mounted else VOLUME | {"total_bytes": None}
    finish(cast(Api, Growing(before)), Output(True), "data", no_wait=False, timeout_s=5.0, larger_than=before)
    assert json.loads(capsys.readouterr().out) == before | {"warnings": []}
