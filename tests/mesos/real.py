"""Real Mesos masters and agents on this machine, each with a loopback address of its own."""

from __future__ import annotations

import functools
import itertools
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from artesian.host.files import locked
from tests.patience import PATIENCE

_KIT = Path(__file__).parent / "kit"
_BUILT, _FAILED = _KIT / "bin" / ".built", _KIT / "bin" / ".failed"
_ZOOKEEPER = Path("/usr/share/zookeeper/bin/zkServer.sh")
_BUILDING_S = 120
_JSON = {"Content-Type": "application/json", "Accept": "application/json"}
# The same in all processes of one run of the tests: what one could not build, others do not try again.
_RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
_ROOT = Path(__file__).parents[2]


@functools.cache
def _lacking() -> str | None:
    """Why there is no Mesos here; None if there is. Built once in a checkout, by whoever comes first."""
    with locked(_KIT):
        if _BUILT.exists():
            return None
        if _FAILED.exists():
            run, _, reason = _FAILED.read_text().partition("\n")
            if run == _RUN:
                return reason
        reason = _build()
        (_BUILT if reason is None else _FAILED).write_text(f"{_RUN}\n{reason}")
        return reason


def _build() -> str | None:
    """Why Mesos could not be built; None if it was."""
    try:
        done = subprocess.run(
            [sys.executable, str(_KIT / "build.py")],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_BUILDING_S,
        )
    except subprocess.TimeoutExpired:
        return f"Mesos could not be built within {_BUILDING_S} s"
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        return f"Mesos could not be built: {said[-1] if said else 'without a reason'}"
    return None


def need_mesos() -> None:
    """Skip the test, and say why, if there can be no Mesos."""
    if (reason := _lacking()) is not None:
        pytest.skip(reason)


def until(condition: Callable[[], Any], what: str, timeout_s: float = 60.0) -> Any:
    """Wait for what the condition gives once it is true, for as long as that takes on an idle machine."""
    end = time.monotonic() + timeout_s * PATIENCE
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.1)
    raise AssertionError(f"not within {timeout_s:g} s: {what}")


class Addresses:
    """Loopback addresses that hardly anything else on this machine has."""

    def __init__(self) -> None:
        middle = f"{secrets.randbelow(100) + 101}.{secrets.randbelow(254) + 1}"
        self._addresses = (f"127.{middle}.{last}" for last in itertools.count(1))

    def next(self) -> str:
        return next(self._addresses)


class Daemon:
    """A master or an agent. Its log is beside its folder."""

    def __init__(
        self,
        program: str,
        folder: Path,
        ip: str,
        port: int,
        flags: dict[str, Any],
        prefix: tuple[str, ...] = (),
    ) -> None:
        self.folder, self.ip, self.address = folder, ip, f"{ip}:{port}"
        given = {"ip": ip, "port": port, "work_dir": folder, "hostname": ip, **flags}
        self._command = [*prefix, str(_KIT / "bin" / program), *(f"--{name}={given[name]}" for name in given)]
        self._is_one_of_several = "zk" in flags
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        with open(f"{self.folder}.log", "ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )

    @property
    def pid(self) -> int:
        """Of its process, running or not."""
        assert self._process is not None
        return self._process.pid

    def kill(self, number: int = signal.SIGKILL) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait()

    def send(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> None:
        """Also what it has started."""
        self.kill()
        mark = f"MESOS_DIRECTORY={self.folder}/".encode()
        for environment in Path("/proc").glob("[0-9]*/environ"):
            try:
                if mark in environment.read_bytes():
                    os.kill(int(environment.parent.name), signal.SIGKILL)
            except OSError:
                pass  # it has ended

    def is_ready(self) -> bool:
        """Whether it answers what is asked of it: `/health` is answered already while it recovers. One of
        several masters answers that only, until they have elected one."""
        assert self._process is not None
        assert self._process.poll() is None, Path(f"{self.folder}.log").read_text(errors="replace")[-2000:]
        asked = Request(f"http://{self.address}/api/v1", b'{"type": "GET_HEALTH"}', _JSON)
        if self._is_one_of_several:
            asked = Request(f"http://{self.address}/health")
        try:
            with urlopen(asked, timeout=5) as answer:
                return bool(answer.status == HTTPStatus.OK)
        except HTTPError as error:
            return error.code == HTTPStatus.UNAUTHORIZED
        except OSError:
            return False

    def ready(self) -> Daemon:
        until(self.is_ready, f"{self._command[0]} answers")
        return self


class ZooKeeperProcess:
    """One ZooKeeper, with its data below the folder."""

    def __init__(self, folder: Path, ip: str) -> None:
        self.address, self._folder = f"{ip}:2181", folder
        settings = folder / "zoo.cfg"
        lines = ["tickTime=500", f"dataDir={folder}/zk", f"clientPortAddress={ip}", "clientPort=2181"]
        settings.write_text("\n".join([*lines, "admin.enableServer=false", ""]))
        with (folder / "zookeeper.log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(_ZOOKEEPER), "start-foreground", str(settings)],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def is_ready(self) -> bool:
        assert self._process.poll() is None, (self._folder / "zookeeper.log").read_text()[-2000:]
        host, _, port = self.address.partition(":")
        try:
            with socket.create_connection((host, int(port)), timeout=5) as connection:
                connection.sendall(b"srvr")
                return b"Mode:" in connection.makefile("rb").read()
        except OSError:
            return False

    def stop(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class Cluster:
    """Masters and agents that end with the test."""

    def __init__(self, folder: Path) -> None:
        need_mesos()
        self.folder = folder
        self._addresses = Addresses()
        self._daemons: list[Daemon] = []
        self._zookeeper: ZooKeeperProcess | None = None
        self._names = itertools.count(1)
        self.agent_prefix: tuple[str, ...] = ()  # of the command that starts an agent

    def address(self) -> str:
        """One more address that nobody has."""
        return self._addresses.next()

    def master(self, **flags: Any) -> Daemon:
        quick = {"agent_ping_timeout": "1secs", "max_agent_ping_timeouts": 10, "allocation_interval": "200ms"}
        return self._started("mesos-master", "m", 5050, {**quick, **flags})

    def agent(self, master: str, name: str, **flags: Any) -> Daemon:
        usual = {
            "master": master,
            "hostname": name,
            "attributes": f"name:{name};rack:r1",
            "resources": "cpus:16;mem:16384;disk:512;ports:[31000-31099]",
            "registration_backoff_factor": "100ms",
            "executor_shutdown_grace_period": "2secs",
        }
        return self._started("mesos-agent", "a", 5051, {**usual, **flags})

    def spare_address(self) -> str:
        """One that nothing of this cluster has."""
        return self._addresses.next()

    def zookeeper(self) -> str:
        """The address of a ZooKeeper. Skips the test if there can be none."""
        if not _ZOOKEEPER.exists():
            pytest.skip(f"there is no ZooKeeper: {_ZOOKEEPER} is not there")
        self._zookeeper = ZooKeeperProcess(self.folder, self._addresses.next())
        until(self._zookeeper.is_ready, "ZooKeeper answers")
        return self._zookeeper.address

    def stop(self) -> None:
        for daemon in reversed(self._daemons):
            daemon.stop()
        if self._zookeeper is not None:
            self._zookeeper.stop()

    def _started(self, program: str, kind: str, port: int, flags: dict[str, Any]) -> Daemon:
        folder = self.folder / f"{kind}{next(self._names)}"
        prefix = self.agent_prefix if program == "mesos-agent" else ()
        self._daemons.append(Daemon(program, folder, self._addresses.next(), port, flags, prefix))
        return self._daemons[-1]


def executor_command() -> str:
    """How an agent is to start the executor of these tests: it inherits nothing."""
    return f"PYTHONPATH={_ROOT} exec {sys.executable} -m tests.mesos.executor_program"


def sandbox(agent: Daemon, framework_id: str, executor_id: str) -> Path:
    """Where an executor writes, once it has started."""
    pattern = f"slaves/*/frameworks/{framework_id}/executors/{executor_id}/runs/latest"
    found = until(lambda: list(agent.folder.glob(pattern)), f"a sandbox of {executor_id}")
    return Path(found[0])


def recorded_calls(folder: Path) -> Iterator[dict[str, Any]]:
    """Every call that the executor of these tests has made in its sandbox."""
    for line in (folder / "calls.jsonl").read_text().splitlines():
        yield json.loads(line)
