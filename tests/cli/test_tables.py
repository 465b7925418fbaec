"""The status as people see it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from rich.console import Console

from artesian.cli.tables import status_tables

GIB = 1 << 30


@pytest.fixture
def document() -> dict[str, Any]:
    """An engine whose second node has died while it was mounted on the first."""
    return {
        "engine": {"name": "artesian-x", "folder": "/srv/x", "gateway": "https://127.1.2.254:8443"},
        "problem": None,
        "processes": [
            {"name": "mdm-1", "node": 1, "running": True, "process_id": 4711, "log": "/srv/x/logs/mdm-1.log"},
            {
                "name": "sds-2",
                "node": 2,
                "running": False,
                "process_id": None,
                "log": "/srv/x/logs/sds-2.log",
            },
        ],
        "managers": [
            {
                "name": "mdm-1",
                "role": "Manager",
                "leader": True,
                "connected": True,
                "process_id": 4711,
                "node": 1,
                "address": "127.1.2.1:6611",
            }
        ],
        "servers": [
            {
                "name": "node-2",
                "connected": False,
                "lifecycle": "normal",
                "in_maintenance": False,
                "protection_domain": "default",
                "fault_set": None,
                "address": "127.1.2.2:7072",
                "process_id": None,
            }
        ],
        "devices": [
            {
                "id": "1",
                "name": "node-2-disk-1",
                "server": "node-2",
                "pool": "default",
                "condition": "failed",
                "used_bytes": None,
                "size_bytes": 2 * GIB,
                "path": "/srv/x/node-2/disk-1.img",
                "error": "Input/output error",
            }
        ],
        "pools": [
            {
                "name": "default",
                "healthy": False,
                "raw_bytes": 4 * GIB,
                "used_bytes": GIB,
                "free_bytes": 2 * GIB,
                "spare_bytes": GIB,
                "degraded_bytes": GIB // 2,
                "unavailable_bytes": 0,
                "sentences": ["512 slices have one good copy within reach."],
                "healing": [
                    {
                        "reason": "rebuild",
                        "under_way": 2,
                        "waiting": 40,
                        "left_bytes": 300 << 20,
                        "rate_bytes_per_s": 100 << 20,
                        "seconds_left": 3.0,
                    }
                ],
            }
        ],
        "volumes": [
            {
                "name": "orders",
                "pool": "default",
                "size_bytes": GIB,
                "used_bytes": GIB // 2,
                "thin": True,
                "lifecycle": "normal",
                "nodes": [1],
                "id": "00000000000000aa",
            }
        ],
        "mappings": [
            {
                "volume": "orders",
                "node": 1,
                "access_mode": "ReadWrite",
                "open": True,
                "nbd": "nbd+unix:///orders?socket=/s",
                "attached": {
                    "alive": True,
                    "device": "/dev/loop0",
                    "mounted_at": "/mnt/orders",
                    "fstype": "xfs",
                },
            }
        ],
    }


def shown(document: dict[str, Any], brief: bool = False) -> str:
    console = Console(width=200, force_terminal=False)
    with console.capture() as capture:
        console.print(status_tables(document, brief))
    return capture.get()


def row(text: str, *words: str) -> bool:
    """Whether one line has all the words, in this order."""
    pattern = re.compile(".*".join(map(re.escape, words)))
    return any(pattern.search(line) for line in text.splitlines())


def test_everything_that_matters_is_shown(document: dict[str, Any]) -> None:
    text = shown(document)
    assert row(text, "mdm-1", "1", "running", "4711", "logs/mdm-1.log")
    assert row(text, "sds-2", "2", "stopped", "-")
    assert row(text, "mdm-1", "Manager", "leads", "127.1.2.1:6611")
    assert row(text, "node-2", "away", "default", "127.1.2.2:7072")
    assert row(text, "node-2-disk-1", "failed", "?", "2.0 GiB", "node-2/disk-1.img  (Input/output error)")
    assert row(text, "default", "4.0 GiB", "1.0 GiB", "2.0 GiB", "1.0 GiB", "512 MiB")
    assert row(text, "512 slices have one good copy within reach.")
    assert row(text, "rebuild", "2", "40", "300 MiB", "100 MiB/s", "3 s")
    assert row(text, "orders", "default", "1.0 GiB", "512 MiB", "thin", "1", "00000000000000aa")
    assert row(
        text, "orders", "1", "ReadWrite", "open", "/dev/loop0 at /mnt/orders (xfs)", "nbd+unix:///orders"
    )


@pytest.mark.parametrize(("connected", "shows"), [(True, "in maintenance"), (False, "away, in maintenance")])
def test_a_server_in_maintenance_is_seen(document: dict[str, Any], connected: bool, shows: str) -> None:
    document["servers"][0] |= {"in_maintenance": True, "connected": connected}
    assert row(shown(document), "node-2", f" {shows} ", "default")


def test_a_watcher_sees_what_changes_first(document: dict[str, Any]) -> None:
    text = shown(document, brief=True)
    assert text.index("rebuild") < text.index("sds-2") < text.index("leads") < text.index("node-2-disk-1")
    assert "logs/mdm-1.log" not in text


def test_without_managers_only_processes_are_shown(document: dict[str, Any]) -> None:
    text = shown(document | {"problem": "no manager answered within 3 s"})
    assert "Only the processes are known: no manager answered within 3 s." in text
    assert "stopped" in text
    assert "orders" not in text


def test_a_dead_attachment_is_seen(document: dict[str, Any]) -> None:
    document["mappings"][0]["attached"]["alive"] = False
    assert row(shown(document), "orders", "ReadWrite", "dead")
