"""A cluster whose nodes are agents of a real Mesos, as a user has it: everything through the command line."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from artesian.attach import attaching
from artesian.attach.errors import AttachError
from artesian.mesos.errors import MasterUnreachable
from artesian.mesos.masters import leader_in_zookeeper, parse_master
from artesian.mesos.operator import Operator
from artesian.mesos.scheduler import MesosAccess
from tests.cluster import machine
from tests.cluster.cases import GIB, Cluster
from tests.cluster.writing import Writer
from tests.mesos import real
from tests.mesos.real import Daemon, until
from tests.patience import PATIENCE

NODE_RESOURCES = "cpus:2;mem:2048;disk:512;ports:[31000-31099]"
_DEPLOYED_S = 150.0 * PATIENCE
Json = dict[str, Any]


class MesosMachines(Cluster):
    """A master, agents that come when they are added, and one cluster of ours on them."""

    def __init__(self, masters: int = 1, **master: Any) -> None:
        real.need_mesos()
        super().__init__()
        (self.home / "z").mkdir()
        self.mesos = real.Cluster(self.home / "z")
        # The first is the scheduler's address.
        self.address = self.mesos.spare_address()
        if masters > 1:
            self.master_url = f"zk://{self.mesos.zookeeper()}/mesos"
            master |= {"zk": self.master_url, "quorum": masters // 2 + 1}
        self.masters = [self.mesos.master(max_agent_ping_timeouts=2, **master) for _ in range(masters)]
        self.master = self.masters[0].ready()  # the only one, in most tests
        if masters == 1:
            self.master_url = self.master.address
        self.operator = Operator(MesosAccess(self.master_url))
        self.agents: dict[str, Daemon] = {}
        self._writers: list[Writer] = []

    # --- machines

    def dev(self, node: str) -> Path:
        return self.home / "n" / node / "dev"

    def disk(self, node: str, name: str) -> Path:
        return self.dev(node) / name

    def kept(self, node: str) -> Path:
        """The folder of a node's agent."""
        return self.home / "n" / node / "a"

    def add(
        self,
        node: str,
        attributes: Mapping[str, str] | None = None,
        disks: tuple[str, ...] = ("sdb",),
        resources: str = NODE_RESOURCES,
    ) -> None:
        """A bare machine with an agent of Mesos."""
        self.dev(node).mkdir(parents=True, exist_ok=True)
        for disk in disks:
            with (self.dev(node) / disk).open("ab") as file:
                file.truncate(GIB)
        share_programs(self.kept(node), self.home)
        given = {"artesian-folder": self.kept(node), "artesian-disks": self.dev(node), **(attributes or {})}
        self.agents[node] = self.mesos.agent(
            self.master_url,
            node,
            attributes=";".join(f"{key}:{value}" for key, value in given.items()),
            resources=resources,
        )

    def power_off(self, node: str) -> None:
        """Everything that runs there is dead at once."""
        self.agents[node].kill()
        machine.kill(machine.below(self.home / "n" / node) + self._sandboxed(node))
        for attachment in sorted((self.kept(node) / "volumes").glob("*")):
            try:
                attaching.detach(attachment, force=True)  # a machine without power has no mounts
            except AttachError:
                pass

    def _sandboxed(self, node: str) -> list[int]:
        mark = f"MESOS_DIRECTORY={self.agents[node].folder}/"
        return [one.process_id for one in machine.running() if mark in one.environment]

    def executors(self, node: str) -> list[int]:
        """The processes that are our agent on a node."""
        return [
            one.process_id
            for one in machine.running()
            if "--mesos" in one.command
            and "agent.pyz" in one.command
            and f"MESOS_DIRECTORY={self.agents[node].folder}/" in one.environment
            and "sh\0-c" not in one.command
        ]

    # --- commands

    def up(self, *more: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        """The first time, and whenever it is up to date, with all that it has to be told."""
        return self.run(
            "up", *self.options(), *more, code=code, timeout_s=_DEPLOYED_S,
        )  # fmt: skip

    def options(self) -> tuple[str, ...]:
        """Of `up`, that say where all this is."""
        return (
            "--substrate", "mesos", "--master", self.master_url, "--address", self.address,
            "--node-folder", str(self.home / "common"), "--yes",
        )  # fmt: skip

    def leader(self) -> Daemon | None:
        """The master of several that leads, and answers."""
        place = parse_master(self.master_url).zookeeper
        assert place is not None
        try:
            url = leader_in_zookeeper(place)
            self.frameworks()
        except MasterUnreachable:
            return None
        return next((one for one in self.masters if url == f"http://{one.address}"), None)

    # --- what Mesos says

    def tasks(self, *states: str) -> dict[str, str]:
        """The ids of tasks of ours that Mesos says to be in these states, by name of node and role."""
        found = self.operator.call("GET_TASKS").get("get_tasks", {})
        listed = [one for key in ("tasks", "unreachable_tasks") for one in found.get(key, [])]
        wanted = states or ("TASK_RUNNING",)
        return {
            one["task_id"]["value"].removeprefix("artesian.").rpartition(".")[0]: one["task_id"]["value"]
            for one in listed
            if one["state"] in wanted and one["task_id"]["value"].startswith("artesian.")
        }

    def frameworks(self) -> list[str]:
        """The ids of those that the master has."""
        found = self.operator.call("GET_FRAMEWORKS").get("get_frameworks", {})
        return [one["framework_info"]["id"]["value"] for one in found.get("frameworks", [])]

    def framework_id(self) -> str:
        (found,) = [one for one in self.frameworks() if one.startswith("artesian-")]
        return found

    def reservations(self) -> list[Json]:
        """Everything that is kept for anybody."""
        return [
            resource
            for one in self.operator.agents()
            for resource in one.get("total_resources", [])
            if resource.get("reservations")
        ]

    def agent_id(self, node: str) -> str:
        found = [one for one in self.operator.agents() if one["agent_info"]["hostname"] == node]
        return str(found[0]["agent_info"]["id"]["value"])

    def wait_registered(self, *nodes: str) -> None:
        def names() -> set[str]:
            try:
                answers = self.operator.agents()
            except MasterUnreachable:
                return set()  # a master that was just started recovers first
            return {one["agent_info"]["hostname"] for one in answers if one.get("active", True)}

        until(lambda: set(nodes) <= names(), f"{nodes} are registered")

    def tasks_run(self, expected: Mapping[str, str]) -> None:
        """Until exactly these run."""
        until(lambda: self.tasks() == dict(expected), f"tasks {sorted(expected)} run as before", 60.0)

    # --- writers

    def writer(self, folder: Path, name: str = "w") -> Writer:
        self._writers.append(Writer(folder, self.home / f"{name}.progress"))
        return self._writers[-1]

    # --- the end

    def destroy(self) -> None:
        for writer in self._writers:
            writer.stop()
        self.mesos.stop()
        self.operator.close()
        machine.take_away(self.home)


def share_programs(kept: Path, home: Path) -> None:
    """A machine unpacks what it runs, and compiles it: here once for all, as they are one machine."""
    (home / "programs").mkdir(exist_ok=True)
    kept.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (kept / "cache").exists():
        (kept / "cache").symlink_to(home / "programs")
