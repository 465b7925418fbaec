"""The agent as Mesos' custom executor.

Its tasks stand for what the node does for the engine, and hold the resources for that: `agent` is the agent
itself, the others (`manager`, `server`, `client`) what it has been assigned. What runs on the node for the
engine, and what is mounted, outlives the executor: the next one adopts it.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol

import structlog

from artesian.agent.config import AgentConfig, load_config
from artesian.agent.loop import Agent
from artesian.host import outside
from artesian.host.files import write_durably
from artesian.host.logs import log_as_json
from artesian.host.single import Single
from artesian.mesos.errors import NotSubscribed
from artesian.mesos.executor import ExecutorClient
from artesian.model.errors import ArtesianError
from artesian.model.mesos_agent import AGENT_ROLE, config_digest

_LOCK_TIMEOUT_S = 20.0  # for the agent before us to end
_LETTING_GO_S = 600.0  # how long a node that is drained may take to let go of its volumes
_LOOK_S = 0.5
_STOPPING_S = 30.0  # then an agent is left to end with its process
_ACKNOWLEDGED_S = 5.0  # within which Mesos has heard how the last task ended
_NANOSECONDS = 1e9
_OTHER_AGENT = "only another agent can go on with another config"

log = structlog.get_logger()


class Runs(Protocol):
    """An agent in a thread of ours."""

    def run(self) -> None:
        """Until `stop`."""

    def stop(self) -> None:
        """End the loop; what runs on the node goes on."""

    def go_on_with(self, config: AgentConfig) -> bool:
        """Whether it can go on with another config, and does."""

    @property
    def holds_volumes(self) -> bool:
        """Whether a volume is attached here, or the scheduler has not heard yet that none is."""


MakeAgent = Callable[[Path, AgentConfig], Runs]


class MesosAgent:
    """Turns what Mesos tells its executor into an agent's life. One process has one agent, and ends with it:
    nothing that an agent has begun goes on beside the next one."""

    def __init__(
        self,
        client: ExecutorClient,
        make_agent: MakeAgent = Agent,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._make_agent = make_agent
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.RLock()
        self._tasks: dict[str, str] = {}  # task id → role
        self._letting_go: set[str] = set()  # tasks that end with the last volume
        self._config: dict[str, Any] = {}
        self._agent: Runs | None = None
        self._thread: threading.Thread | None = None
        self._has_ended = False
        self._holds_lock = False

    def handle(self, event: dict[str, Any]) -> None:
        """Whatever Mesos tells; for the client's thread."""
        match event["type"]:
            case "LAUNCH":
                self._launch(event["launch"]["task"])
            case "KILL":
                self._kill(event["kill"])
            case "MESSAGE":
                self._message(event["message"]["data"])
            case "SHUTDOWN":
                self._end_all("Mesos has ended the executor")

    # --- tasks

    def _launch(self, task: dict[str, Any]) -> None:
        task_id = str(task["task_id"]["value"])
        try:
            document = json.loads(base64.b64decode(task.get("data", "")))
            role = str(document["role"])
            if role == AGENT_ROLE:
                self._take(document["config"])
        except (ArtesianError, OSError, ValueError, KeyError, TypeError) as error:
            log.error("a task cannot be begun", task=task_id, reason=str(error))
            self._client.update(task_id, "TASK_FAILED", message=str(error))
            self._end_if_idle()
            return
        with self._lock:
            self._tasks[task_id] = role
        self._client.update(task_id, "TASK_RUNNING")

    def _kill(self, kill: dict[str, Any]) -> None:
        """An agent whose node is drained stays until no volume is attached any more, if it is given time."""
        task_id = str(kill["task_id"]["value"])
        grace = kill.get("kill_policy", {}).get("grace_period", {}).get("nanoseconds")
        grace_s = _LETTING_GO_S if grace is None else grace / _NANOSECONDS
        if task_id in self._letting_go and grace_s > 0:
            return  # that is under way
        if self._tasks.get(task_id) == AGENT_ROLE and self._holds_volumes() and grace_s > 0:
            self._letting_go.add(task_id)
            threading.Thread(target=self._let_go, args=(task_id, grace_s), daemon=True).start()
            return
        self._end(task_id, "it was asked to end")

    def _let_go(self, task_id: str, grace_s: float) -> None:
        deadline = self._clock() + grace_s
        while self._holds_volumes() and self._clock() < deadline:
            self._sleep(_LOOK_S)
        self._end(
            task_id, "no volume is attached here any more" if not self._holds_volumes() else "time is up"
        )

    def _holds_volumes(self) -> bool:
        with self._lock:
            return self._agent is not None and self._agent.holds_volumes

    def _end(self, task_id: str, because: str) -> None:
        with self._lock:
            role = self._tasks.pop(task_id, None)
            is_agents = role == AGENT_ROLE and AGENT_ROLE not in self._tasks.values()
        if role is None:
            return  # it has ended, and Mesos hears of it
        if is_agents:
            self._stop_agent()
        self._client.update(task_id, "TASK_KILLED", message=because)
        if is_agents:
            self._end_all("the agent that it stood for has ended")
        else:
            self._end_if_idle()

    def _end_all(self, because: str) -> None:
        self._stop_agent()
        with self._lock:
            ended, self._tasks = self._tasks, {}
        for task_id in ended:
            self._client.update(task_id, "TASK_KILLED", message=because)
        self._client.stop(_ACKNOWLEDGED_S)

    def _end_if_idle(self) -> None:
        """An executor without tasks holds resources for nothing."""
        with self._lock:
            idle = not self._tasks
        if idle:
            self._client.stop(_ACKNOWLEDGED_S)

    # --- the agent

    def _message(self, data: str) -> None:
        """The scheduler has another address, or the engine another secret."""
        try:
            self._take(json.loads(base64.b64decode(data))["config"])
        except (ArtesianError, OSError, ValueError, KeyError, TypeError) as error:
            log.error("a config cannot be taken", reason=str(error))

    def _take(self, config: dict[str, Any]) -> None:
        """Go on with this config, which counts once it is on the disk. Raises ArtesianError, OSError."""
        with self._lock:
            if self._has_ended:
                raise ArtesianError("the agent of this executor has ended; the next executor begins another")
            if self._agent is None or config != self._config:
                folder = Path(config["folder"])
                if self._agent is not None and config["folder"] != self._config["folder"]:
                    raise ArtesianError(
                        f"the agent keeps what it keeps in {self._config['folder']}, and goes on there: what "
                        f"it has started would not be known in {folder}"
                    )
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._be_it(folder)
                known = {field.name for field in fields(AgentConfig)}
                values = {key: value for key, value in config.items() if key in known}
                AgentConfig(**values)  # what lacks something takes no place of what was whole
                text = json.dumps(values)
                write_durably(folder / "config.json", text + "\n", 0o600)
                goes_on = self._go_on_in(folder)
                self._config = dict(config)
                if not goes_on:
                    threading.Thread(target=self._end_all, args=(_OTHER_AGENT,), daemon=True).start()
                    return
        with contextlib.suppress(NotSubscribed):  # we are told again until it was heard
            self._client.message(json.dumps({"config": config_digest(config)}).encode())

    def _be_it(self, folder: Path) -> None:
        """There is one agent in a folder. Raises ArtesianError while there is another."""
        single = Single(folder, "agent")
        deadline = self._clock() + _LOCK_TIMEOUT_S
        while not self._holds_lock:
            self._holds_lock = single.be_it()
            if self._holds_lock:
                single.name_it(os.getpid())
            if not self._holds_lock:
                if self._clock() > deadline:
                    raise ArtesianError(f"another agent runs in {folder}")
                self._sleep(_LOOK_S)

    def _go_on_in(self, folder: Path) -> bool:
        """Whether the agent that runs, or one that is begun now, goes on with the config in its folder."""
        config = load_config(folder)
        if self._agent is not None:
            return self._agent.go_on_with(config)
        agent = self._make_agent(folder, config)
        self._thread = threading.Thread(target=self._run, args=(agent,), name="agent", daemon=True)
        self._agent = agent
        self._thread.start()
        return True

    def _run(self, agent: Runs) -> None:
        """An agent that ends by a mistake is one that has failed, and is begun anew by whoever wants it."""
        try:
            agent.run()
        except Exception as error:
            log.exception("the agent has ended by a mistake in Artesian itself")
            self._fail(agent, error)

    def _fail(self, agent: Runs, error: Exception) -> None:
        with self._lock:
            if self._agent is not agent:
                return  # it was stopped anyway
            self._agent, self._has_ended = None, True
            ended, self._tasks = self._tasks, {}
        for task_id in ended:
            self._client.update(task_id, "TASK_FAILED", message=f"{type(error).__name__}: {error}")
        self._client.stop(_ACKNOWLEDGED_S)

    def _stop_agent(self) -> None:
        with self._lock:
            agent, thread = self._agent, self._thread
            self._agent, self._has_ended = None, True
        if agent is not None and thread is not None:
            agent.stop()
            thread.join(_STOPPING_S)
            if thread.is_alive():
                log.warning("the agent is busy, and ends with its process")


def main(environment: Mapping[str, str]) -> int:
    """Runs until Mesos, or the scheduler, ends it."""
    log_as_json(sys.stdout)
    for problem in (outside.join_mounts(), outside.leave_cgroups(os.environ)):
        if problem:
            log.warning("the node's storage is in a container", reason=problem)
    try:
        client = ExecutorClient(environment)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    because = client.run(MesosAgent(client).handle)
    log.info("the executor ends", because=because)
    return 0
