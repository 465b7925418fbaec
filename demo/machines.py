"""The machines under the story: folders of this one, or agents of a real Mesos on loopback addresses."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Protocol

import httpx

from artesian.clusters.local import LocalCluster
from artesian.host import processes
from artesian.host.files import locked
from artesian.mesos.access import MesosAccess
from artesian.mesos.operator import Operator
from demo.cluster import Cluster
from demo.engines import EngineKind

_KIT = Path(__file__).parent.parent / "tests" / "mesos" / "kit"
_MASTER_HOST = 250
_START_S = 20.0
_RESOURCES = "cpus:4;mem:4096;disk:512;ports:[31000-31099]"
_QUICK = (
    "--agent_ping_timeout=1secs",
    "--max_agent_ping_timeouts=3",
    "--allocation_interval=200ms",
)


class Machines(Protocol):
    """What only the owner of machines can do. Names are node-1, node-2, …"""

    up: tuple[str, ...]  # arguments of the `artesian up` that finds them
    new_disks: str  # whether disks are taken without a remedy, and
    provider: str  # where those of remedies come from, as a spec says it
    describes: str

    def dev(self, node: str) -> Path:
        """The folder that stands for a node's /dev."""

    def add(self, node: str) -> None:
        """Another bare machine, with disks as the engine wants them."""

    def off(self, node: str) -> None:
        """As if its power went, for certain."""

    def on(self, node: str) -> None:
        """Power again."""

    def put_in_spares(self) -> None:
        """Disks that nobody uses, if new ones come from nowhere else."""

    def agent_pid_files(self) -> list[Path]:
        """Where agents say which process they are."""

    def end(self) -> None:
        """Nothing is left of them but their folders."""


class LocalMachines:
    """Folders of the cluster's own folder; `artesian up` makes the first three."""

    new_disks = "ask"
    describes = "folders of this machine"

    def __init__(self, cluster: Cluster, engine: EngineKind) -> None:
        self._cluster = cluster
        size = f"{engine.disk_bytes >> 20}MiB"
        self._disks = str(engine.disks_per_node), "--disk-size", size
        self.provider = f"{{name: rack, kind: file, disk_size: {size}, lead_time: 1s}}"
        self.up: tuple[str, ...] = ("--engine", engine.name, "--nodes", "3", "--disks-per-node", *self._disks)

    def dev(self, node: str) -> Path:
        return self._cluster.folder / "nodes" / node / "dev"

    def add(self, node: str) -> None:
        self._cluster.run("local", "add", node, "--disks", *self._disks)

    def off(self, node: str) -> None:
        self._cluster.run("local", "off", node)

    def on(self, node: str) -> None:
        self._cluster.run("local", "on", node)

    def put_in_spares(self) -> None:
        """They are made when they are wanted."""

    def agent_pid_files(self) -> list[Path]:
        return list(self._cluster.folder.glob("nodes/*/agent/agent.pid"))

    def end(self) -> None:
        """`artesian down` has ended everything."""


class MesosMachines:
    """A real master, and a real agent for each machine; new disks are spares that somebody has put in."""

    new_disks = "never"  # they are spares
    provider = "{name: shelf, kind: spare}"
    describes = "agents of a real Mesos"

    def __init__(self, folder: Path, engine: EngineKind) -> None:
        """Builds Mesos if that was not done. Raises OSError, subprocess.CalledProcessError."""
        self._folder = folder
        self._engine = engine
        self._machines = LocalCluster(folder / "m")
        self._machines.create()
        self._network = self._machines.scheduler_address.rpartition(".")[0]
        self._master = f"{self._network}.{_MASTER_HOST}"
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.up: tuple[str, ...] = (
            "--engine", engine.name, "--substrate", "mesos", "--master", f"{self._master}:5050",
            "--address", self._machines.scheduler_address,
        )  # fmt: skip
        _build()
        self._start("master", "mesos-master", self._master, 5050, *_QUICK)
        self._operator = Operator(MesosAccess(f"{self._master}:5050"))
        _wait_for(f"http://{self._master}:5050/health")
        for number in (1, 2, 3):
            self.add(f"node-{number}")

    def dev(self, node: str) -> Path:
        return self._machines.dev(node)

    def add(self, node: str) -> None:
        self._machines.add_node(node, [(None, self._engine.disk_bytes)] * self._engine.disks_per_node)
        self._start_agent(node)

    def off(self, node: str) -> None:
        """Who takes a machine's power away for good tells Mesos that its agent is gone."""
        self._running.pop(node).kill()
        self._machines.switch_off(node)
        gone = [one for one in self._operator.agents() if one["agent_info"]["hostname"] == node]
        for one in gone:
            self._operator.mark_agent_gone(one["agent_info"]["id"]["value"])

    def on(self, node: str) -> None:
        """As Mesos wants it, an agent that was said to be gone comes back as another one."""
        self._machines.switch_on(node)
        (self._work(node) / "meta" / "slaves" / "latest").unlink(missing_ok=True)
        self._start_agent(node)

    def put_in_spares(self) -> None:
        for node in self._machines.nodes():
            for _ in range(2):
                self._machines.add_disk(node.name, self._engine.disk_bytes)

    def agent_pid_files(self) -> list[Path]:
        return list((self._folder / "m").glob("nodes/*/agent/agent.pid"))

    def end(self) -> None:
        for node in [one.name for one in self._machines.nodes()]:
            with contextlib.suppress(OSError):
                self._machines.switch_off(node)
        for process in self._running.values():
            process.kill()
            process.wait()
        self._operator.close()

    def _start_agent(self, node: str) -> None:
        address = next(one.address for one in self._machines.nodes() if one.name == node)
        folder = self._machines.agent_folder(node)
        self._start(
            node, "mesos-agent", address, 5051,
            f"--master={self._master}:5050", f"--hostname={node}", f"--resources={_RESOURCES}",
            f"--attributes=artesian-folder:{folder};artesian-disks:{self.dev(node)}",
            "--registration_backoff_factor=100ms",
        )  # fmt: skip

    def _start(self, name: str, program: str, address: str, port: int, *flags: str) -> None:
        self._work(name).mkdir(parents=True, exist_ok=True)
        command = [
            _KIT / "bin" / program,
            f"--ip={address}",
            f"--port={port}",
            f"--work_dir={self._work(name)}",
        ]
        with (self._folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [*map(str, command), *flags],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def _work(self, name: str) -> Path:
        return self._folder / "mesos" / name


def _build() -> None:
    with locked(_KIT):
        if not (_KIT / "bin" / ".built").exists():
            subprocess.run([sys.executable, str(_KIT / "build.py")], check=True, capture_output=True)
            (_KIT / "bin" / ".built").touch()


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        try:
            httpx.get(url, trust_env=False, verify=False).raise_for_status()
            return
        except httpx.HTTPError as error:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the Mesos master does not answer: {error}") from None
            time.sleep(0.1)


def choose_machines(cluster: Cluster, folder: Path, engine: EngineKind) -> Machines:
    """As SUBSTRATE says: local (what it is if nothing is said) or mesos. Raises ValueError."""
    match os.environ.get("SUBSTRATE") or "local":
        case "local":
            return LocalMachines(cluster, engine)
        case "mesos":
            return MesosMachines(folder, engine)
        case other:
            raise ValueError(f"SUBSTRATE is local or mesos, not {other!r}")


def kill(pid_file: Path) -> bool:
    """As a crash does; whether the process that the file names was alive."""
    identity = processes.running(pid_file)
    return identity is not None and processes.send(identity, signal.SIGKILL)
