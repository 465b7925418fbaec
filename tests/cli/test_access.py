"""What is asked of the API is what was meant, or a message."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from artesian.cli.cluster.access import Api
from artesian.model.errors import NotPossible, NotThere


@pytest.fixture
def api(tmp_path: Path) -> Api:
    """Nobody listens: what is sent at all ends in another error."""
    (tmp_path / "scheduler").mkdir()
    access = {"url": "http://127.0.0.1:9", "token": "t"}
    (tmp_path / "scheduler" / "api.json").write_text(json.dumps(access))
    return Api(tmp_path)


@pytest.mark.parametrize("name", ["../nodes/n1", "..", "a?b", "a#b"])
def test_a_name_does_not_lead_elsewhere(api: Api, name: str) -> None:
    with pytest.raises(NotThere, match="not what was meant"):
        api.delete(f"/volumes/{name}")


@pytest.mark.parametrize("what", ["\udcff", math.nan])
def test_what_cannot_be_sent_is_said(api: Api, what: object) -> None:
    with pytest.raises(NotPossible, match="cannot be asked for"):
        api.post("/drills", {"node": what})


def test_a_name_that_no_address_can_hold_is_said(api: Api) -> None:
    with pytest.raises(NotPossible, match="cannot be asked for"):
        api.get("/drills/a\nb")
