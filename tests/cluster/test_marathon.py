"""The app of deploy/marathon.json on a real Mesos: from one file to storage, and from node to node."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from artesian.cli.cluster.access import Api
from artesian.embedded.local.errors import NotRunning
from artesian.mesos import calls
from artesian.mesos.operator import Operator
from artesian.mesos.scheduler import MesosAccess
from artesian.model.errors import ArtesianError
from tests.mesos import real
from tests.mesos.framework import Framework

pytestmark = pytest.mark.slow

APP = Path(__file__).parents[2] / "deploy" / "marathon.json"
SPEC = "new_nodes: take\nnew_disks: take\n"
TOKEN = "chosen-by-the-operator-0123456789"
NODES = ("node-1", "node-2", "node-3")
DISK_BYTES = 1 << 30
MESOS_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def no_python() -> str | None:
    """Why no task of Mesos here could run a file that is made by this Python."""
    python = shutil.which("python3", path=MESOS_PATH)
    if python is None:
        return f"there is no python3 in {MESOS_PATH}"
    asked = [python, "-c", "import sys; print(sys.version_info[:2])"]
    version = subprocess.run(asked, capture_output=True, text=True).stdout.strip()
    return None if version == str(sys.version_info[:2]) else f"{python} is another version than this one"


class Marathon:
    """As much of Marathon as starts a task of an app where it is told to."""

    def __init__(self, master: str) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._framework = Framework(master, f"marathon-{uuid.uuid4()}", roles=["marathon"], name="marathon")
        self._wait(self._framework.__aenter__())

    def start(self, app: dict[str, Any], task_id: str, hostname: str) -> None:
        """Until its task runs."""
        self._wait(self._start(app, task_id, hostname))

    def wait_until_it_has_failed(self, task_id: str) -> None:
        self._wait(self._framework.state(task_id, "TASK_FAILED"))

    def end(self, task_id: str) -> None:
        """As for an upgrade, once the next one is healthy."""
        self._wait(self._framework.client.call(*calls.kill(task_id, grace_s=20.0)))
        self._wait(self._framework.state(task_id, "TASK_KILLED", 30.0))

    def close(self) -> None:
        self._wait(self._framework.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _start(self, app: dict[str, Any], task_id: str, hostname: str) -> None:
        framework = self._framework
        await framework.client.call(*calls.revive())
        offer = await framework.offer(hostname)
        ranges = next(one["ranges"]["range"] for one in offer["resources"] if one["name"] == "ports")
        port = ranges[0]["begin"]
        environment = app["env"] | {"HOST": hostname, "PORT0": str(port), "PORT": str(port)}
        task = {
            "name": "artesian",
            "task_id": {"value": task_id},
            "agent_id": offer["agent_id"],
            "resources": [
                {"name": "cpus", "type": "SCALAR", "scalar": {"value": app["cpus"]}},
                {"name": "mem", "type": "SCALAR", "scalar": {"value": app["mem"]}},
                {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": port, "end": port}]}},
            ],
            "command": {
                "shell": True,
                "value": app["cmd"],
                "uris": [{"value": one["uri"], "extract": one["extract"]} for one in app["fetch"]],
                "environment": {
                    "variables": [{"name": name, "value": value} for name, value in environment.items()]
                },
            },
        }
        await framework.client.call(*calls.accept([offer["id"]["value"]], [calls.launch([task])], 3600.0))
        if framework.offers:
            await framework.client.call(*calls.decline(framework.offers, 3600.0))
            framework.offers.clear()
        await framework.client.call(*calls.suppress())  # the framework under test wants offers too
        await framework.state(task_id, "TASK_RUNNING", 40.0)

    def _wait(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60.0)


class Here:
    """A Mesos of three agents with disks, a ZooKeeper, a server of files, and what starts apps."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
        self.mesos = real.Cluster(self.home)
        self.package = self.home / "files" / "artesian.pyz"
        self.token_file = self.home / "token"
        self.connected = self.home / "far"
        self._ends: list[Callable[[], object]] = [self.mesos.stop]

    def start(self) -> None:
        self.master = self.mesos.master()
        zookeeper = self.mesos.zookeeper()
        self.master.ready()
        self.agents = {name: self._agent(name) for name in NODES}
        self.operator = Operator(MesosAccess(self.master.address))
        self.marathon = Marathon(self.master.address)
        self._ends += [self.operator.close, self.marathon.close]
        files = self.package.parent
        run(sys.executable, "-m", "artesian.cli.main", "scheduler", "package", self.package)
        (files / "spec.yaml").write_text(SPEC)
        self.token_file.write_text(TOKEN + "\n")
        server = ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(SimpleHTTPRequestHandler, directory=str(files))
        )
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self._ends.append(server.shutdown)
        port = server.server_address[1]
        text = APP.read_text().replace("http://files.example.com", f"http://127.0.0.1:{port}")
        self.app: dict[str, Any] = json.loads(text)
        self.app["env"] |= {
            "ARTESIAN_MASTER": self.master.address,
            "ARTESIAN_STORE": f"zk://{zookeeper}/artesian?session_s=4",
            "ARTESIAN_TOKEN_FILE": str(self.token_file),
        }

    def _agent(self, name: str) -> real.Daemon:
        dev = self.home / name / "dev"
        dev.mkdir(parents=True)
        for disk in ("sdb", "sdc"):
            with (dev / disk).open("wb") as file:
                file.truncate(DISK_BYTES)
        attributes = f"artesian-folder:{self.home / name}/a;artesian-disks:{dev}"
        return self.mesos.agent(self.master.address, name, attributes=attributes)

    def framework(self) -> dict[str, Any]:
        """Ours, as Mesos shows it; empty while there is none."""
        found = [one for one in self.operator.frameworks() if one["framework_info"]["name"] == "artesian"]
        assert len(found) < 2
        return found[0]["framework_info"] if found else {}

    def tasks(self) -> dict[str, str]:
        """Of our framework: those that live, and in what state they are."""
        answer = self.operator.call("GET_TASKS")["get_tasks"]
        return {
            one["task_id"]["value"]: one["state"]
            for one in answer.get("tasks", ())
            if one["framework_id"] == self.framework()["id"]
        }

    def ended(self) -> list[str]:
        """Tasks of our framework that have ended."""
        answer = self.operator.call("GET_TASKS")["get_tasks"]
        ours = self.framework()["id"]
        return [
            one["task_id"]["value"]
            for one in answer.get("completed_tasks", ())
            if one["framework_id"] == ours
        ]

    def connect(self, after: str = "") -> Api:
        """By the file that is the whole of Artesian, to the URL that Mesos shows once that is not `after`."""

        def url() -> str:
            found = str(self.framework().get("webui_url", ""))
            return found if found != after else ""

        found = real.until(url, "Mesos shows where the scheduler is", 60.0)
        python = shutil.which("python3", path=MESOS_PATH)
        given = ("--token-file", self.token_file, "--dir", self.connected)
        run(python, self.package, "connect", found, *given, ARTESIAN_CACHE=str(self.home / "cache"))
        return Api(self.connected)

    def close(self) -> None:
        for end in reversed(self._ends):
            end()
        mark = f"{self.home}/".encode()
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if mark in path.read_bytes() and int(path.parent.name) != os.getpid():
                    os.kill(int(path.parent.name), signal.SIGKILL)
            except OSError:
                pass  # it has ended
        time.sleep(0.2)
        shutil.rmtree(self.home, ignore_errors=True)


def run(*command: object, **environment: str) -> str:
    done = subprocess.run(
        [str(one) for one in command],
        capture_output=True, text=True, timeout=120, env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def here() -> Iterator[Here]:
    if (reason := no_python()) is not None:
        pytest.skip(reason)
    made = Here()
    try:
        made.start()
        yield made
    finally:
        made.close()


def ask(question: Callable[[], Any]) -> Any:
    """What is answered; nothing while the scheduler cannot answer yet."""
    try:
        return question()
    except (NotRunning, ArtesianError):
        return None


def all_is_well(api: Api) -> bool:
    status = ask(lambda: api.get("/status"))
    nodes = ask(lambda: api.get("/nodes")) or []
    alive = [one["name"] for one in nodes if one["state"] == "alive"]
    return bool(status and status["healthy"] and status["pools"] and sorted(alive) == sorted(NODES))


def processes(api: Api) -> dict[tuple[str, str], int]:
    """Of the storage: what runs where, as which process."""
    return {
        (node["name"], one["name"]): one["process_id"]
        for node in api.get("/nodes")
        for one in node["processes"]
    }


def scheduler_process(here: Here, node: str) -> int:
    """The scheduler that runs as a task on a node."""
    pattern = "slaves/*/frameworks/*/executors/*/runs/latest/cluster/scheduler/api.json"
    found = [json.loads(path.read_bytes()) for path in here.agents[node].folder.glob(pattern)]
    assert len(found) == 1
    assert "token" not in found[0]  # whoever may look into sandboxes must not find it
    return int(found[0]["process_id"])


def test_the_app_makes_storage_and_goes_on_elsewhere_as_the_same_framework(here: Here) -> None:
    here.marathon.start(here.app, "artesian.1", "node-1")
    api = here.connect()
    real.until(lambda: all_is_well(api), "storage on three nodes", 60.0)
    assert [(pool["name"], pool["devices"]) for pool in api.get("/pools")] == [("default/default", 6)]
    framework, tasks, running = here.framework(), here.tasks(), processes(api)
    assert len(tasks) >= len(NODES) and set(tasks.values()) == {"TASK_RUNNING"}

    os.kill(scheduler_process(here, "node-1"), signal.SIGKILL)
    here.marathon.wait_until_it_has_failed("artesian.1")
    here.marathon.start(here.app, "artesian.2", "node-2")
    api = here.connect(after=framework["webui_url"])
    real.until(lambda: all_is_well(api), "the next scheduler knows all", 40.0)
    for _ in range(3):
        api.post("/passes")  # nothing follows from the move either
    assert here.framework()["id"] == framework["id"]
    assert here.tasks() == tasks and here.ended() == []
    assert processes(api) == running
    assert api.get("/plan")["steps"] == []


def where_it_waits(here: Here, node: str) -> str:
    """The URL of the scheduler that waits as a task on a node; empty before it does."""
    for path in here.agents[node].folder.glob("slaves/*/frameworks/*/executors/*/runs/latest/stdout"):
        for line in path.read_text().splitlines():
            if line.startswith("{") and '"scheduler waits"' in line:
                return str(json.loads(line)["url"])
    return ""


def test_the_next_version_waits_beside_this_one_and_leads_once_it_has_ended(here: Here) -> None:
    framework, tasks, api = here.framework(), here.tasks(), Api(here.connected)
    here.marathon.start(here.app, "artesian.3", "node-3")
    waiting = real.until(lambda: where_it_waits(here, "node-3"), "the next one waits", 40.0)
    health = real.until(lambda: ask_health(waiting), "it answers")
    assert (health["alive"], health["leading"], health["leader"]) == (True, False, framework["webui_url"])
    assert all_is_well(api) and here.framework() == framework  # this one still leads

    here.marathon.end("artesian.2")
    api = here.connect(after=framework["webui_url"])
    assert here.framework()["webui_url"] == waiting
    real.until(lambda: all_is_well(api), "the next one knows all", 40.0)
    api.post("/passes")
    assert here.framework()["id"] == framework["id"]
    assert here.tasks() == tasks and here.ended() == []


def ask_health(url: str) -> Any:
    """What /healthz says, if that is what Marathon takes for health."""
    try:
        answer = httpx.get(f"{url}/healthz", timeout=5.0, trust_env=False, verify=False)
    except httpx.TransportError:
        return None
    return answer.json() if answer.status_code == 200 else None
