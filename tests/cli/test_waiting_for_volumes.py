"""What is said when a volume takes longer to be as wished than somebody waits."""

from __future__ import annotations

from typing import Any, cast

import pytest

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
