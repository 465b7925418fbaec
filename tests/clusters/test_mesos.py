"""Mesos as a substrate: what every substrate has to do, on a real master and real agents."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from artesian.api.agent_file import AgentFile, AgentFiles
from artesian.clusters.mesos.agents import scalars
from artesian.clusters.mesos.infos import EXECUTOR
from artesian.clusters.mesos.settings import FOLDER_ATTRIBUTE, MesosSettings
from artesian.clusters.mesos.substrate import MesosCluster
from artesian.host import processes
from artesian.mesos.errors import MesosError
from artesian.mesos.operator import Operator
from artesian.mesos.scheduler import MesosAccess
from artesian.model.resources import Resources, total
from tests.clusters.conformance import CREDENTIALS, Handle, SubstrateConformance, begin, eventually
from tests.clusters.memory import Memory
from tests.clusters.task_conformance import TaskRunnerConformance
from tests.mesos.real import Cluster, Daemon

pytestmark = pytest.mark.slow


class FileServer:
    """Gives the agent's file to whoever asks."""

    def __init__(self, file: AgentFile) -> None:
        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(file.content)))
                self.end_headers()
                self.wfile.write(file.content)

            def log_message(self, *arguments: object) -> None:
                pass

        self.file = file
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Mesos:
    """A master for all tests, and what they share."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.cluster = Cluster(home / "mesos")
        (home / "mesos").mkdir()
        self.master = self.cluster.master().ready()
        self.operator = Operator(MesosAccess(self.master.address))
        self.files = FileServer(AgentFiles(home).get())

    def close(self) -> None:
        self.cluster.stop()
        self.operator.close()
        self.files.close()


@pytest.fixture(scope="module")
def mesos() -> Iterator[Mesos]:
    home = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))  # short, as sockets are made in it
    made = Mesos(home)
    yield made
    made.close()
    shutil.rmtree(home, ignore_errors=True)


class MesosHandle(Handle):
    """Agents of its own on the common master."""

    substrate: MesosCluster

    def __init__(self, mesos: Mesos) -> None:
        self.mesos = mesos
        self.folder = Path(tempfile.mkdtemp(prefix="c", dir=mesos.home))
        self.memory = Memory()
        self.daemons: dict[str, Daemon] = {}
        self.attributes: dict[str, dict[str, str]] = {}
        self.substrate = self._open()
        for name in ("alpha", "beta"):
            self._start(name)
        eventually("both agents are there", lambda: len(self.substrate.nodes()) == 2)

    def close(self) -> None:
        self.substrate.close()
        framework_id = self.memory.documents.get("framework")
        if framework_id is not None:
            self._try("TEARDOWN", {"framework_id": {"value": framework_id}})
        for one in self.mesos.operator.agents():
            self._try("MARK_AGENT_GONE", {"agent_id": one["agent_info"]["id"]})
        for daemon in self.daemons.values():
            daemon.stop()

    def _try(self, call: str, body: dict[str, Any]) -> None:
        try:
            self.mesos.operator.call(call, body)
        except MesosError:
            pass  # it is gone already

    def _open(self) -> MesosCluster:
        files = self.mesos.files
        settings = MesosSettings(self.mesos.master.address, node_folder=str(self.folder / "common"))
        return MesosCluster(settings, self.memory, files.url, lambda: files.file.sha256)

    def _start(self, node: str) -> None:
        attributes = self.attributes.setdefault(node, {FOLDER_ATTRIBUTE: str(self._agent_folder(node))})
        self.daemons[node] = self.mesos.cluster.agent(
            self.mesos.master.address,
            node,
            attributes=";".join(f"{key}:{value}" for key, value in attributes.items()),
            resources="cpus:4;mem:4096;disk:512;ports:[31000-31099]",
        ).ready()

    def _agent_folder(self, node: str) -> Path:
        return self.folder / node

    def _id(self, node: str) -> str:
        found = [one for one in self.mesos.operator.agents() if one["agent_info"]["hostname"] == node]
        return str(found[0]["agent_info"]["id"]["value"])

    def reopen(self) -> None:
        self.substrate.close()
        self.substrate = self._open()

    def switch_off(self, node: str) -> None:
        """And somebody says that it is off for good."""
        agent_id = self._id(node)
        self.daemons[node].stop()
        self.mesos.operator.call("MARK_AGENT_GONE", {"agent_id": {"value": agent_id}})

    def switch_on(self, node: str) -> None:
        self._start(node)
        eventually(f"{node} is registered", lambda: self._is_there(node))

    def add_node(self, node: str) -> None:
        self._start(node)

    def set_attribute(self, node: str, key: str, value: str) -> None:
        """Agents have those that they are started with."""
        self.switch_off(node)
        self.attributes[node][key] = value
        self.switch_on(node)

    def _is_there(self, node: str) -> bool:
        return any(one["agent_info"]["hostname"] == node for one in self.mesos.operator.agents())

    def agent(self, node: str) -> int | None:
        """Whoever has the lock of the node's folder."""
        folder = self._agent_folder(node)
        if not (folder / "agent.lock").exists():
            return None
        said = subprocess.run(["cat", "/proc/locks"], capture_output=True, text=True, check=True).stdout
        inode = str((folder / "agent.lock").stat().st_ino)
        for line in said.splitlines():
            parts = line.split()
            if "->" not in parts and parts[5].rpartition(":")[2] == inode:
                return int(parts[4]) if (folder / "config.json").exists() else None
        return None

    def secret_of_agent(self, node: str) -> str:
        return str(json.loads((self._agent_folder(node) / "config.json").read_text())["engine_secret"])

    def kill_agent(self, node: str) -> None:
        process = self.agent(node)
        assert process is not None
        identity = processes.ProcessIdentity.of(process)
        os.kill(process, signal.SIGKILL)
        assert not processes.wait_until_ended([identity], 10.0)

    def arguments_of_agent(self, node: str) -> str:
        found = Path(f"/proc/{self.agent(node)}")
        return (found / "cmdline").read_text() + (found / "environ").read_text()


@pytest.fixture
def handle(mesos: Mesos) -> Iterator[MesosHandle]:
    made = MesosHandle(mesos)
    yield made
    made.close()


class TestMesosCluster(SubstrateConformance):
    @pytest.fixture
    def handle(self, mesos: Mesos) -> Iterator[MesosHandle]:  # type: ignore[override]
        made = MesosHandle(mesos)
        yield made
        made.close()


def test_who_has_left_is_no_framework_any_more_whoever_looks(handle: MesosHandle) -> None:
    begin(handle, "alpha")
    handle.substrate.leave()
    for _ in range(3):
        assert len(handle.substrate.nodes()) == 2
        handle.substrate.hear({})
        assert handle.substrate.tasks() == ()
        assert not handle.substrate.stop_agent("alpha")
        handle.substrate.kill_task("task-1")
    assert handle.mesos.operator.call("GET_FRAMEWORKS").get("get_frameworks", {}).get("frameworks", []) == []
    assert "framework" not in handle.memory.documents


def test_what_roles_come_to_need_beside_their_tasks_is_kept_for_them(handle: MesosHandle) -> None:
    agent, server = Resources(0.1, 96 << 20), Resources(0.2, 128 << 20)
    twice = total([server, server])

    def has_kept(what: Resources) -> bool:
        """On alpha: beside what our executor takes."""
        agents = handle.mesos.operator.agents()
        found = [one for one in agents if one["agent_info"]["hostname"] == "alpha"]
        kept = [one for one in found[0]["total_resources"] if one.get("reservations")]
        return scalars(kept) == total([what, EXECUTOR])

    def needs(of_server: Resources) -> None:
        handle.substrate.ensure_agent("alpha", CREDENTIALS, {"agent": agent, "server": of_server})

    needs(server)
    eventually("its agent runs", lambda: handle.agent("alpha"))
    process = handle.agent("alpha")
    assert has_kept(total([agent, server]))
    needs(twice)
    eventually("more is kept", lambda: has_kept(total([agent, twice])))
    handle.reopen()
    needs(twice)
    time.sleep(3.0)  # longer than offers are refused for that something is wanted of
    assert has_kept(total([agent, twice]))
    needs(server)
    eventually("that is given back", lambda: has_kept(total([agent, server])))
    assert handle.agent("alpha") == process


class TestMesosTasks(TaskRunnerConformance):
    @pytest.fixture
    def handle(self, mesos: Mesos) -> Iterator[MesosHandle]:  # type: ignore[override]
        made = MesosHandle(mesos)
        yield made
        made.close()
