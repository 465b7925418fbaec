"""What `artesian remedies show` says of a machine that a remedy has got."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from artesian.cli.cluster.remedy_tables import remedy_details, remedy_table

MACHINE = {"name": "node-r1", "disks": 2, "disk_bytes": 1 << 30, "made_s": 0.0, "refused": False}


@pytest.mark.parametrize(
    ("more", "state"), [({}, "asked for"), ({"made_s": 5.0}, "made"), ({"refused": True}, "refused")]
)
def test_a_machine_and_how_far_it_is(more: dict[str, object], state: str) -> None:
    remedy = {
        "id": "r1", "kind": "add-node", "thing": "cluster", "title": "cluster", "state": "acting",
        "because": "it is full", "saw": {}, "rule": "more", "detail": "",
        "approved_by": "", "parts": [], "events": [],
        "machine": MACHINE | more,
    }  # fmt: skip
    console = Console(file=io.StringIO(), width=200)
    console.print(remedy_details(remedy))
    assert isinstance(console.file, io.StringIO)
    assert f"machine node-r1 with 2 disks of 1.0 GiB is {state}" in console.file.getvalue()


def test_people_see_the_disk_and_not_the_name_that_the_engine_has_for_it() -> None:
    remedy = {
        "id": "r1", "kind": "replace-device", "thing": "disk-0f0f0f", "title": "/dev/sdb of node n2",
        "state": "asking", "because": "it failed", "detail": "", "cost_per_month": 0.0,
    }  # fmt: skip
    console = Console(file=io.StringIO(), width=200)
    console.print(remedy_table([remedy]))
    assert isinstance(console.file, io.StringIO)
    assert "/dev/sdb of node n2" in console.file.getvalue()
    assert "0f0f0f" not in console.file.getvalue()
