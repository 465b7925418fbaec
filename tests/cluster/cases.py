"""A local cluster as a user has it: real processes, everything through the command line."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from artesian.attach import fuse, loop, tools
from artesian.cli.cluster.access import Api
from artesian.cli.outcome import ExitCode
from artesian.embedded.local.managers import query
from artesian.embedded.state.model import State
from artesian.engines.embedded_names import CONTROL_PORT
from tests import commands
from tests.cluster import machine
from tests.patience import PATIENCE

GIB = 1 << 30
COMMAND_TIMEOUT_S = 60.0 * PATIENCE
ANY_CODE = -1  # how a command ends does not matter


def unable_to_mount() -> str | None:
    """Why no volume can be mounted on this machine; None if it can."""
    if os.geteuid() != 0:
        return "mounts need root"
    return loop.available() or fuse.available() or tools.missing("mkfs.ext4")


class Cluster:
    """One cluster, in a folder whose path is short. As a context it is taken away at the end."""

    command_timeout_s = COMMAND_TIMEOUT_S

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
        self.folder = self.home / "c"
        self.mounts = self.home / "m"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.destroy()

    def bring_up(self, nodes: int, disk_size: str, spec: str | None = None) -> None:
        """From nothing to a healthy cluster of nodes with one disk each."""
        more: list[str | Path] = []
        if spec is not None:
            path = self.home / "spec.yaml"
            path.write_text(spec)
            more = ["--spec", path]
        of_each = ("--disks-per-node", "1", "--disk-size", disk_size)
        self.run("up", "--nodes", str(nodes), *of_each, *more, "--yes")
        self.wait_healthy()

    # --- commands

    def run(
        self, *arguments: str | Path, code: int = 0, timeout_s: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        """`artesian …`; it has to end with this exit code."""
        done = commands.run([*arguments, "--dir", self.folder], timeout_s or self.command_timeout_s)
        assert code in (ANY_CODE, done.returncode), (
            f"{arguments}: {done.returncode}: {done.stderr} {done.stdout}"
        )
        assert "Traceback" not in done.stderr
        return done

    def json(self, *arguments: str | Path) -> Any:
        return json.loads(self.run(*arguments, "--json").stdout)

    def error(self, code: ExitCode, *arguments: str | Path) -> str:
        """The one line that a command says when it fails."""
        done = self.run(*arguments, code=code)
        assert re.fullmatch(r"error: [^\n]+\n", done.stderr), done.stderr
        return done.stderr

    def get(self, path: str) -> Any:
        return Api(self.folder).get(path)

    def wait(self, what: str, condition: Callable[[], object], timeout_s: float = 30.0) -> float:
        """Until it is so, for as long as that takes on an idle machine; how long it took."""
        began = time.monotonic()
        while not condition():
            assert time.monotonic() - began < timeout_s * PATIENCE, (
                f"{what}: not in time; {self.get('/status')}"
            )
            time.sleep(min(0.05 + (time.monotonic() - began) / 20, 0.3))  # whoever is asked has work to do
        return time.monotonic() - began

    def wait_healthy(self) -> float:
        return self.wait("healthy", lambda: self.get("/status")["healthy"])

    def wait_calm(self) -> float:
        """Until nothing moves either, and a drill may begin."""
        return self.wait("calm", lambda: self.get("/drills")["refused"] is None)

    # --- what there is

    def disk(self, node: str, name: str) -> Path:
        return self.folder / "nodes" / node / "dev" / name

    def disks(self) -> dict[tuple[str, str], dict[str, Any]]:
        """By node and name."""
        return {(one["node"], Path(one["path"]).name): one for one in self.get("/disks")}

    def pool(self) -> dict[str, Any]:
        """The only pool."""
        found: dict[str, Any] = self.get("/pools")[0]
        return found

    def remedies(self, kind: str) -> list[dict[str, Any]]:
        """Those of a kind, open or over."""
        return [one for one in self.get("/remedies") if one["kind"] == kind]

    def node(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(one for one in self.get("/nodes") if one["name"] == name)
        return found

    def nodes(self) -> list[str]:
        return sorted(path.parent.name for path in (self.folder / "nodes").glob("*/node.json"))

    def engine_state(self) -> State:
        """What the embedded engine itself knows, by asking its managers."""
        addresses = {one["name"]: one["address"] for one in self.get("/nodes")}
        managers = [(addresses[one["node"]], CONTROL_PORT) for one in self.get("/status")["managers"]]
        secret = next(self.folder.glob("nodes/*/agent/engine/secret")).read_bytes().strip()
        return query(managers, secret, 10.0)[0]

    # --- force

    def kill_scheduler(self) -> None:
        _kill(self.folder / "scheduler" / "scheduler.pid")

    def agent(self, node: str) -> int:
        """The process id of a node's agent."""
        path = self.folder / "nodes" / node / "agent" / "agent.pid"
        return int(json.loads(path.read_text())["process_id"])

    def kill_agent(self, node: str) -> None:
        _kill(self.folder / "nodes" / node / "agent" / "agent.pid")

    def processes(self, node: str) -> dict[str, int]:
        """The engine's processes on a node."""
        return {one["name"]: one["process_id"] for one in self.node(node)["processes"]}

    # --- the end

    def destroy(self) -> None:
        """Take everything away, whatever a test has left."""
        machine.take_away(self.home)


def write_durably(path: Path, text: str) -> None:
    """Until it is on stable storage."""
    with path.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _kill(pid_file: Path) -> None:
    from artesian.host import processes

    identity = processes.running(pid_file)
    if identity is not None and processes.send(identity, signal.SIGKILL):
        processes.wait_until_ended([identity], 10.0)
