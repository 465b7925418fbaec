"""An engine as a user has it: everything through the command line, answers as JSON."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


class EngineFailed(RuntimeError):
    """A command of `artesian engine` failed; the text is what it said."""


class Engine:
    """The engine in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *arguments: str) -> Any:
        """`artesian engine …`; the answer, parsed. Raises EngineFailed."""
        command = [
            sys.executable,
            "-m",
            "artesian.cli.main",
            "engine",
            *arguments,
            "--dir",
            str(self.folder),
            "--json",
        ]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise EngineFailed(
                f"artesian engine {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}"
            )
        return json.loads(done.stdout) if done.stdout.strip() else None

    def up(self, *, nodes: int = 3, disks_per_node: int = 2, disk_size: str = "2GiB", managers: int = 3,
           **options: str) -> Any:  # fmt: skip
        """Start it, from nothing or with all its data."""
        more = [part for key, value in options.items() for part in (f"--{key.replace('_', '-')}", value)]
        return self.run(
            "up", "--nodes", str(nodes), "--disks-per-node", str(disks_per_node), "--disk-size", disk_size,
            "--managers", str(managers), *more,
        )  # fmt: skip

    def down(self, *, destroy: bool = False) -> None:
        """Stop it; with `destroy` its folder goes too."""
        self.run("down", *(["--force", "--destroy", "--yes"] if destroy else []))

    def status(self) -> Any:
        """Everything that `artesian engine status --json` knows."""
        return self.run("status")

    def wait_until(self, what: str, condition: Any, timeout_s: float) -> float:
        """Poll the status until the condition holds; how long it took. Raises TimeoutError."""
        began = time.monotonic()
        while True:
            status = self.status()
            if condition(status):
                return time.monotonic() - began
            if time.monotonic() - began > timeout_s:
                raise TimeoutError(f"{what}: not within {timeout_s:.0f} s; the pools: {status.get('pools')}")
            time.sleep(0.2)

    def wait_healthy(self, timeout_s: float = 180.0) -> float:
        """Until every slice has its copies again."""
        return self.wait_until("a healthy pool", is_healthy, timeout_s)

    def nbd_uri(self, volume: str, node: int) -> str:
        """The NBD address of a mapped volume, once its client has opened it."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            for mapping in self.status()["mappings"]:
                if (
                    mapping["volume"] == volume
                    and mapping["node"] in (node, f"node-{node}")
                    and mapping["nbd"]
                ):
                    return str(mapping["nbd"])
            time.sleep(0.1)
        raise TimeoutError(f"volume {volume} is not open on node {node}")

    def process_ids(self, role: str, node: int | None = None) -> list[int]:
        """Process ids of the running processes of a role ("mdm", "sds", "sdc", "gateway")."""
        return [
            process["process_id"]
            for process in self.status()["processes"]
            if process["role"] == role and process["process_id"]
            and (node is None or process["node"] in (node, f"node-{node}"))
        ]  # fmt: skip

    def kill(self, role: str, node: int) -> None:
        """kill -9 of one process."""
        for process_id in self.process_ids(role, node):
            os.kill(process_id, signal.SIGKILL)


def is_healthy(status: Any) -> bool:
    """Whether every pool has all its copies and nothing is being healed."""
    return all(pool["healthy"] for pool in status["pools"])
