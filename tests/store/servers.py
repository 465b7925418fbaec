"""Real servers of ZooKeeper and etcd on this machine, which can be killed, stopped and started again."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

_START_S = 30.0
_ZOOKEEPER_JAR = Path("/usr/share/java/zookeeper.jar")
HOST = "127.0.0.1"


def no_zookeeper() -> str | None:
    """Why there can be no ZooKeeper here."""
    if shutil.which("java") is None or not _ZOOKEEPER_JAR.exists():
        return "there is no ZooKeeper on this machine (Debian's package zookeeper)"
    return None


def no_etcd() -> str | None:
    """Why there can be no etcd here."""
    return None if shutil.which("etcd") else "there is no etcd on this machine (Debian's package etcd-server)"


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        listening = [stack.enter_context(socket.create_server((HOST, 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in listening]


class Server:
    """One server process, with its data in a folder."""

    def __init__(self, folder: Path, port: int, command: list[str]) -> None:
        self.folder = folder
        self.port = port
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder
            )

    def start(self) -> None:
        self.begin()
        self.wait()

    def wait(self) -> None:
        deadline = time.monotonic() + _START_S
        while not self.answers():
            assert self._process is not None
            assert self._process.poll() is None, (self.folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, (self.folder / "log").read_text()[-2000:]
            time.sleep(0.05)

    def answers(self) -> bool:
        raise NotImplementedError

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)


class ZooKeeperServer(Server):
    """`others`: the client, quorum and election port of each member of an ensemble, this one's included."""

    def __init__(
        self, folder: Path, number: int = 0, members: list[list[int]] | None = None, tick_ms: int = 400
    ) -> None:
        folder.mkdir(parents=True)
        port = members[number][0] if members else free_ports(1)[0]
        lines = [
            f"tickTime={tick_ms}",
            "maxSessionTimeout=60000",
            "initLimit=20",
            "syncLimit=50",  # for so many ticks a member goes on that hears nothing of the others
            f"dataDir={folder}",
            f"clientPortAddress={HOST}",
            f"clientPort={port}",
            "admin.enableServer=false",
            "4lw.commands.whitelist=*",
        ]
        for at, (_, quorum, election) in enumerate(members or []):
            lines.append(f"server.{at + 1}={HOST}:{quorum}:{election}")
        (folder / "myid").write_text(f"{number + 1}\n")
        (folder / "zoo.cfg").write_text("\n".join(lines) + "\n")
        options = ["-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dzookeeper.forceSync=no"]
        main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
        super().__init__(
            folder, port, ["java", *options, "-cp", str(_ZOOKEEPER_JAR), main, str(folder / "zoo.cfg")]
        )

    @property
    def url(self) -> str:
        return f"zk://{HOST}:{self.port}"

    def answers(self) -> bool:
        return "Mode:" in self.says("srvr")

    def says(self, word: str) -> str:
        try:
            with socket.create_connection((HOST, self.port), timeout=2.0) as connection:
                connection.sendall(word.encode())
                return b"".join(iter(lambda: connection.recv(4096), b"")).decode()
        except OSError:
            return ""


class EtcdServer(Server):
    """One member alone. `more`: further options of the server."""

    def __init__(self, folder: Path, more: tuple[str, ...] = (), scheme: str = "http") -> None:
        folder.mkdir(parents=True)
        port, peer = free_ports(2)
        urls = f"{scheme}://{HOST}:{port}"
        peers = f"http://{HOST}:{peer}"
        self._scheme = scheme
        super().__init__(
            folder,
            port,
            [
                "etcd", "--data-dir", str(folder / "data"), "--name", "one",
                "--listen-client-urls", urls, "--advertise-client-urls", urls,
                "--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers,
                "--initial-cluster", f"one={peers}", *more,
            ],
        )  # fmt: skip

    @property
    def url(self) -> str:
        return f"etcd{'s' if self._scheme == 'https' else ''}://{HOST}:{self.port}"

    def answers(self) -> bool:
        import httpx

        try:
            answer = httpx.post(
                f"{self._scheme}://{HOST}:{self.port}/v3/kv/range",
                json={"key": "YQ=="},
                verify=False,
                trust_env=False,
                timeout=2.0,
            )
        except httpx.TransportError:
            return False
        return answer.status_code < 500
