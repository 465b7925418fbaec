"""A cluster on a real Mesos, whose nodes have mounts of their own, as machines have."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from artesian.mesos.operator import Operator
from artesian.mesos.scheduler import MesosAccess
from tests.cluster import machine
from tests.cluster.cases import Cluster
from tests.cluster.mesos_cases import share_programs
from tests.mesos import real

# What is mounted below /tmp is other tests'. Kept here as well it would stay in use for ever.
MOUNTS_OF_ITS_OWN = (
    "unshare", "--mount", "--propagation", "private", "sh", "-c",
    "grep -o ' /tmp/[^ ]*' /proc/self/mounts | sort -r | xargs -r -n 1 umount -l; exec \"$@\"", "sh",
)  # fmt: skip
LIVE = ("TASK_STAGING", "TASK_STARTING", "TASK_RUNNING", "TASK_KILLING")


class MesosNodes(Cluster):
    """node-1 and so on are agents of Mesos; everything is below `home`, whose path is short."""

    def __init__(self, count: int, disk_bytes: int = 2 << 30) -> None:
        super().__init__()
        self.mesos = real.Cluster(self.home)
        self.master = self.mesos.master().ready()
        self.operator = Operator(MesosAccess(self.master.address))
        self._address = self.mesos.address()
        self.agents: dict[str, real.Daemon] = {}
        for number in range(1, count + 1):
            name = f"node-{number}"
            dev = self.home / name / "dev"
            dev.mkdir(parents=True)
            for disk in ("sdb", "sdc"):
                with (dev / disk).open("wb") as file:
                    file.truncate(disk_bytes)
            self.mesos.agent_prefix = self.prefix_of(name)
            share_programs(self.home / name / "a", self.home)
            self.agents[name] = self.mesos.agent(
                self.master.address,
                name,
                attributes=f"artesian-folder:{self.home / name}/a;artesian-disks:{dev}",
                resources="cpus:2;mem:2048;disk:512;ports:[31000-31099]",
                **self.flags_of(name),
            )

    def prefix_of(self, node: str) -> tuple[str, ...]:
        """Of the command that starts a node's agent of Mesos."""
        return MOUNTS_OF_ITS_OWN

    def flags_of(self, node: str) -> dict[str, Any]:
        """More flags of that agent."""
        return {}

    def up(self, spec: str) -> None:
        """The scheduler, and storage."""
        real.until(lambda: len(self.operator.agents()) == len(self.agents), "all agents are registered")
        written = self.home / "spec.yaml"
        written.write_text(spec)
        place = ("--substrate", "mesos", "--master", self.master.address, "--address", self._address)
        self.run("up", *place, "--spec", written, "--yes", "--timeout", "150")
        self.wait_healthy()

    # --- Mesos

    def agent_id(self, node: str) -> str:
        """What Mesos calls a node's agent."""
        agents = self.operator.agents()
        return next(
            str(one["agent_info"]["id"]["value"]) for one in agents if one["agent_info"]["hostname"] == node
        )

    def drain_state(self, node: str) -> str | None:
        """How far the draining of a node is; None if nobody drains it."""
        agents = self.operator.agents()
        found = next(one for one in agents if one["agent_info"]["hostname"] == node)
        return str(found["drain_info"]["state"]) if "drain_info" in found else None

    def tasks(self, node: str) -> list[str]:
        """The roles that have a task on a node that lives, as Mesos knows it."""
        answer = self.operator.call("GET_TASKS")["get_tasks"]
        agent_id = self.agent_id(node)
        return sorted(
            str(one["task_id"]["value"]).split(".")[2]
            for one in (*answer.get("tasks", ()), *answer.get("orphan_tasks", ()))
            if one["agent_id"]["value"] == agent_id and one["state"] in LIVE
        )

    def agent_task(self, node: str) -> str | None:
        """The id of the task that is a node's agent; None while there is none."""
        answer = self.operator.call("GET_TASKS")["get_tasks"]
        found = (
            str(one["task_id"]["value"])
            for one in answer.get("tasks", ())
            if one["task_id"]["value"].startswith(f"artesian.{node}.agent.") and one["state"] in LIVE
        )
        return next(found, None)

    def executors(self, node: str) -> list[int]:
        """The process ids of the executors on a node."""
        mark = f"MESOS_DIRECTORY={self.agents[node].folder}/"
        return [
            one.process_id
            for one in machine.running()
            if mark in one.environment and "--mesos" in one.command
        ]

    # --- a node as a machine

    def sh(self, node: str, command: str) -> str:
        """What a command says that runs where a node's mounts are."""
        done = subprocess.run(
            ["nsenter", f"--mount=/proc/{self.agents[node].pid}/ns/mnt", "sh", "-ec", command],
            capture_output=True,
            text=True,
            timeout=20,
        )
        assert done.returncode == 0, f"{node}: {command}: {done.stderr}"
        return done.stdout

    def mounts_of(self, node: str) -> str:
        """What of ours is mounted on a node; nothing is asked of any file system."""
        mounts = Path(f"/proc/{self.agents[node].pid}/mounts").read_text().splitlines()
        return "\n".join(one for one in mounts if f"{self.home}/" in one)

    def freeze(self, node: str) -> list[int]:
        """Let all that runs on a node stand still, Mesos' agent too; its processes."""
        found: list[int] = []
        while new := [one for one in self._all_of(node) if one not in found]:
            for one in new:
                os.kill(one, signal.SIGSTOP)
            found += new
        return found

    def _all_of(self, node: str) -> list[int]:
        marks = [f"{folder}/" for folder in (self.home / node, self.agents[node].folder)]
        return [
            one.process_id
            for one in machine.running()
            if one.process_id == self.agents[node].pid
            or any(mark in one.command or mark in one.environment for mark in marks)
        ]

    def view(self, name: str) -> dict[str, Any]:
        """A volume."""
        found: dict[str, Any] = self.get(f"/volumes/{name}")
        return found

    def destroy(self) -> None:
        for node in self.agents:
            machine.kill([one for one in self._all_of(node) if one != self.agents[node].pid])
        self.operator.close()
        self.mesos.stop()
        time.sleep(0.2)
        super().destroy()


def thaw(processes: list[int]) -> None:
    """Let them go on."""
    machine.send(processes, signal.SIGCONT)
