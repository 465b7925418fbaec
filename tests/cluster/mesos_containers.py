"""Nodes on a real Mesos whose agents give containers volumes, by the docker/volume isolator and dvdcli."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from artesian.volumes import dvdcli
from tests.cluster.mesos_namespaces import MOUNTS_OF_ITS_OWN, MesosNodes
from tests.mesos.kit.python.mesos_kit import Scheduler
from tests.mesos.real import until

Json = dict[str, Any]
_ENDED = ("TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_LOST", "TASK_GONE")
_CGROUPS = Path("/sys/fs/cgroup/freezer")


def unable_to_isolate() -> str | None:
    """Why Mesos' linux launcher cannot be used on this machine; None if it can."""
    if os.geteuid() != 0:
        return "containers need root"
    if not _CGROUPS.is_dir():
        return "Mesos' linux launcher needs the freezer cgroup of version 1"
    return None


class MesosContainers(MesosNodes):
    """Each node has mounts of its own that outlive the agent of Mesos, as on a machine."""

    def __init__(self, count: int) -> None:
        self._machines: dict[str, subprocess.Popen[bytes]] = {}
        super().__init__(count)
        self._tasks: Scheduler | None = None

    def prefix_of(self, node: str) -> tuple[str, ...]:
        stays = ("sh", "-c", "mount --make-rshared / && exec sleep infinity")  # as systemd mounts them
        self._machines[node] = subprocess.Popen([*MOUNTS_OF_ITS_OWN, *stays])
        machine = self._machines[node].pid
        until(
            lambda: Path(f"/proc/{machine}/comm").read_text() == "sleep\n", "a machine has mounts of its own"
        )
        bin_folder = self.home / node / "a" / "bin"
        bin_folder.mkdir(parents=True)
        (bin_folder / "dvdcli").write_text(
            dvdcli.program("#!/usr/bin/env python3")
        )  # as in its documentation
        (bin_folder / "dvdcli").chmod(0o755)
        path = f"PATH={self.home}/{node}/a/bin:{os.environ['PATH']}"
        return ("nsenter", f"--mount=/proc/{machine}/ns/mnt", "env", path)

    def flags_of(self, node: str) -> Json:
        return {
            "isolation": "docker/volume,filesystem/linux",
            "launcher": "linux",
            "cgroups_root": self._cgroup(node),
            "docker_volume_checkpoint_dir": self.home / node / "checkpoint",
        }

    def _cgroup(self, node: str) -> str:
        return f"mesos-{self.home.name}-{node}"

    # --- tasks

    @property
    def tasks_of_others(self) -> Scheduler:
        """A framework that is none of ours."""
        if self._tasks is None:
            info = {
                "user": "root", "name": "tasks", "roles": ["tasks"], "checkpoint": True,
                "failover_timeout": 3600.0, "capabilities": [{"type": "MULTI_ROLE"}],
            }  # fmt: skip
            self._tasks = Scheduler(self.master.address, info).subscribe()
        return self._tasks

    def launch(self, task_id: str, node: str, command: str, volume: str, **options: str) -> None:
        """A task that has a volume at `data` in its sandbox."""
        scheduler = self.tasks_of_others
        offer = scheduler.wait_offer(node, 60)
        pairs = [{"key": key, "value": value} for key, value in options.items()]
        docker = {"driver": "artesian", "name": volume, "driver_options": {"parameter": pairs}}
        source = {"type": "DOCKER_VOLUME", "docker_volume": docker}
        scheduler.launch(
            offer,
            {
                "name": task_id,
                "task_id": {"value": task_id},
                "resources": [
                    {
                        "name": name, "type": "SCALAR", "scalar": {"value": value},
                        "allocation_info": {"role": "tasks"},
                    }
                    for name, value in (("cpus", 0.1), ("mem", 64))
                ],
                "command": {"value": command},
                "container": {
                    "type": "MESOS",
                    "volumes": [{"container_path": "data", "mode": "RW", "source": source}],
                },
            },
        )  # fmt: skip

    def ended(self, task_id: str, timeout_s: float = 150) -> Json:
        """How a task has ended."""
        update = self.tasks_of_others.wait(
            "UPDATE",
            lambda event: (
                event["update"]["status"]["task_id"]["value"] == task_id
                and event["update"]["status"]["state"] in _ENDED
            ),
            timeout_s,
        )
        status: Json = update["update"]["status"]
        return status

    def output(self, task_id: str, node: str) -> str:
        """What a task has printed."""
        pattern = f"slaves/*/frameworks/*/executors/{task_id}/runs/latest/stdout"
        found = [one.read_text() for one in self.agents[node].folder.glob(pattern)]
        return "".join(found)

    def kill_process(self, process: int, number: int) -> None:
        """Of whatever runs on a node."""
        try:
            os.kill(process, number)
        except ProcessLookupError:
            pass

    # --- the end

    def destroy(self) -> None:
        self.mesos.stop()
        for node in self.agents:  # what Mesos has frozen in order to kill it cannot end
            for state in (_CGROUPS / self._cgroup(node)).glob("**/freezer.state"):
                state.write_text("THAWED")
        for machine in self._machines.values():
            machine.kill()
            machine.wait()
        super().destroy()
        for node in self.agents:
            for folder, _, _ in os.walk(_CGROUPS / self._cgroup(node), topdown=False):
                try:
                    Path(folder).rmdir()
                except OSError:
                    pass  # something is left in it, and the test has said so
