"""What is shown of disks and volumes: in few words, and nothing that is not known."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console, RenderableType

from artesian.cli.cluster.nodes import _node_text
from artesian.cli.cluster.tables import fill_text, health_text, node_table, plan_table, snapshot_table


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


def test_a_snapshot_says_what_was_made_of_it_or_what_is_wrong() -> None:
    there = {"volume": "data", "name": "kept", "taken_at_s": 0.0, "size_bytes": 2 << 30, "clones": ["a", "b"],
             "ready": True, "because": ""}  # fmt: skip
    lost = there | {"name": "lost", "taken_at_s": None, "size_bytes": None, "clones": [], "ready": False}
    text = _shown(snapshot_table([there, lost | {"because": "it is not in the engine any more"}]))
    assert "kept" in text and "2.0 GiB" in text and "a, b" in text and "19" in text
    assert "it is not in the engine any more" in text


def test_a_node_that_is_drained_says_so_and_why_it_is_not_used() -> None:
    node = {
        "name": "n1", "state": "silent", "leaving": False, "joined": True, "in_maintenance": True,
        "maintenance": {"done": True}, "problems": [], "problem": "nothing is begun there",
        "drained": True, "address": "10.0.0.1", "roles": ["client"],
    }  # fmt: skip
    text = _shown(node_table([node]))
    assert "silent, maintenance, drained" in text and "nothing is begun there" in text


def test_a_step_of_a_plan_says_what_speaks_against_it() -> None:
    step = {"change": "JoinNode", "arguments": {}, "because": "it is there", "destructive": False,
            "needs_approval": False}  # fmt: skip
    held = step | {"state": "held", "detail": "pool p is degraded"}
    waiting = step | {"state": "waiting", "detail": "it comes after 7f3a"}
    asks = step | {"state": "held", "detail": "somebody has to agree to it: artesian apply --approve abc"}
    text = _shown(plan_table({"id": "abc", "steps": [held, waiting, asks], "notes": []}))
    assert "held: pool p is degraded" in text and "7f3a" not in text and "held: somebody" not in text


def test_only_bytes_of_a_step_are_shown_as_a_size() -> None:
    arguments = {"number": 1795362000, "size_bytes": 4 << 30, "bandwidth_bytes_per_s": 20 << 20}
    step = {"id": "1", "change": "X", "arguments": arguments, "because": "it is so", "state": "ready",
            "destructive": False, "needs_approval": False, "detail": "", "after": []}  # fmt: skip
    text = " ".join(_shown(plan_table({"id": "abc", "steps": [step], "notes": []})).split())
    assert "number=1795362000" in text and "size_bytes=4.0GiB" in text and "20.0MiB" in text


def test_a_process_of_a_silent_node_is_not_said_to_run() -> None:
    node: dict[str, Any] = {
        "name": "n1", "state": "silent", "address": "10.0.0.1", "roles": [], "stale": True,
        "processes": [
            {"name": "sds", "running": True, "process_id": 17, "state": "unknown, ran when last heard of"}
        ],
        "attachments": [{"volume_id": "v1", "mounted_at": "/data", "device": "/dev/x", "problem": ""}],
        "attributes": {}, "problems": [],
    }  # fmt: skip
    text = _node_text(node)
    assert "process sds: unknown, ran when last heard of\n" in text and "17" not in text
    assert "volume v1 at /data (when last heard of)" in text
    runs = node | {"processes": [{"name": "sds", "running": True, "process_id": 17}], "stale": False}
    assert "process sds: runs, 17\n" in _node_text(runs)  # of an older scheduler


def _shown(table: RenderableType) -> str:
    console = Console(width=200, file=io.StringIO())
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()
