"""What is shown of disks and volumes: in few words, and nothing that is not known."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console, RenderableType

from artesian.cli.cluster.tables import fill_text, health_text, node_table


@pytest.mark.parametrize(
    ("health", "smart", "text"),
    [
        ({}, None, ""),
        ({"error_count": 0}, None, "no errors"),
        ({"error_count": 1, "latency_s": 0.25}, None, "1 error, 250 ms"),
        (
            {"error_count": 31, "latency_s": 0.25, "peers_latency_s": 0.003},
            {"failing": False, "because": ""},
            "well by its own word, 31 errors, 250 ms (others 3 ms)",
        ),
        ({"smart_failing": 1}, {"failing": True, "because": "it is worn out"}, "will fail: it is worn out"),
        ({"smart_failing": 1}, None, "will fail, says the engine"),
    ],
)
def test_the_health_of_a_disk(health: dict[str, float], smart: Any, text: str) -> None:
    assert health_text({"health": health, "smart": smart}) == text


def test_how_full_a_volume_is() -> None:
    assert fill_text({"used_bytes": 92, "total_bytes": 100}) == "92 %"
    assert fill_text({"used_bytes": None, "total_bytes": None}) == ""


def test_a_node_that_is_drained_says_so_and_why_it_is_not_used() -> None:
    node = {
        "name": "n1", "state": "silent", "leaving": False, "joined": True, "in_maintenance": True,
        "maintenance": {"done": True}, "problems": [], "problem": "nothing is begun there",
        "drained": True, "address": "10.0.0.1", "roles": ["client"],
    }  # fmt: skip
    text = _shown(node_table([node]))
    assert "silent, maintenance, drained" in text and "nothing is begun there" in text


def _shown(table: RenderableType) -> str:
    console = Console(width=200, file=io.StringIO())
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()
