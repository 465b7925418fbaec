"""From the bare agents of a real Mesos to a mounted volume; and how fast offers are answered, those of a
master that another process plays."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import shutil
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from artesian.clusters.mesos.settings import MesosSettings
from artesian.clusters.mesos.substrate import MesosCluster
from artesian.clusters.port import AgentCredentials
from artesian.model.resources import Resources
from bench.figures import Figure
from demo.cluster import Cluster
from demo.machines import MesosMachines
from tests.clusters.memory import Memory

_HOST = "127.77.0.1"
_AGENTS = 1_000
_ROUNDS = 20
_CREDENTIALS = AgentCredentials("http://127.0.0.1:9", "token", "secret")
_ROLES = {"agent": Resources(0.1, 96 << 20), "client": Resources(0.1, 96 << 20)}


def measure(quick: bool) -> list[Figure]:
    """On real agents first."""
    folder = Path(tempfile.mkdtemp(prefix="abench-"))
    try:
        return [*_deploy(folder), *_offers(4 if quick else _ROUNDS)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _deploy(folder: Path) -> list[Figure]:
    machines = MesosMachines(folder)
    cluster = Cluster(folder / "c")
    try:
        began = time.monotonic()
        cluster.run("up", *machines.up, "--yes")
        storage_s = time.monotonic() - began
        cluster.run(
            "volume", "create", "data", "1GiB", "--node", "node-1", "--mount", str(folder / "mounted")
        )
        mounted_s = time.monotonic() - began
        cluster.down()
    finally:
        machines.end()
    return [
        Figure("three bare agents of Mesos to storage", storage_s, "s"),
        Figure("three bare agents of Mesos to the first mounted volume", mounted_s, "s", None, 20, True),
    ]


# --- offers


class _Master:
    """Makes all its offers anew as soon as the last of the round before was answered."""

    def __init__(self, rounds: int, results: Queue[tuple[int, float]]) -> None:
        self._answered = 0
        self._longest_s = 0.0
        self._results = results
        self._rounds = rounds
        self._waiting: set[str] = set()
        self._offered_s = 0.0
        self._all_answered = asyncio.Event()

    def application(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/version", lambda _: JSONResponse({"version": "1.11.0"})),
                Route("/api/v1", self._operate, methods=["POST"]),
                Route("/api/v1/scheduler", self._schedule, methods=["POST"]),
            ]
        )

    async def _operate(self, _: Request) -> Response:
        agents = [_agent(number) for number in range(_AGENTS)]
        return JSONResponse({"type": "GET_AGENTS", "get_agents": {"agents": agents}})

    async def _schedule(self, request: Request) -> Response:
        call = json.loads(await request.body())
        if call["type"] == "SUBSCRIBE":
            headers = {"Mesos-Stream-Id": "1"}
            return StreamingResponse(self._events(call), media_type="application/json", headers=headers)
        if call["type"] in ("ACCEPT", "DECLINE"):
            ids = [one["value"] for one in call[call["type"].lower()]["offer_ids"]]
            self._answered += len(ids)
            self._waiting -= set(ids)
            if not self._waiting:
                self._longest_s = max(self._longest_s, time.monotonic() - self._offered_s)
                self._all_answered.set()
        return Response(status_code=202)

    async def _events(self, call: dict[str, Any]) -> AsyncIterator[bytes]:
        subscribed = {"framework_id": call["framework_id"], "heartbeat_interval_seconds": 15.0}
        yield _record({"type": "SUBSCRIBED", "subscribed": subscribed})
        for number in range(self._rounds):
            offers = [_offer(number, agent) for agent in range(_AGENTS)]
            self._waiting = {one["id"]["value"] for one in offers}
            self._all_answered.clear()
            self._offered_s = time.monotonic()
            yield _record({"type": "OFFERS", "offers": {"offers": offers}})
            await self._all_answered.wait()
        self._results.put((self._answered, self._longest_s))
        while True:
            await asyncio.sleep(10.0)
            yield _record({"type": "HEARTBEAT"})


def _record(event: dict[str, Any]) -> bytes:
    body = json.dumps(event).encode()
    return f"{len(body)}\n".encode() + body


def _scalar(name: str, value: float) -> dict[str, Any]:
    return {
        "name": name,
        "type": "SCALAR",
        "scalar": {"value": value},
        "allocation_info": {"role": "artesian"},
    }


def _agent(number: int) -> dict[str, Any]:
    info = {"id": {"value": f"agent-{number}"}, "hostname": f"node-{number}"}
    resources = [_scalar("cpus", 8.0), _scalar("mem", 16384.0)]
    pid = f"slave(1)@10.0.{number >> 8}.{number & 255}:5051"
    return {"agent_info": info, "active": True, "pid": pid, "total_resources": resources}


def _offer(round_number: int, agent: int) -> dict[str, Any]:
    return {
        "id": {"value": f"offer-{round_number}-{agent}"},
        "framework_id": {"value": "f"},
        "agent_id": {"value": f"agent-{agent}"},
        "hostname": f"node-{agent}",
        "resources": [_scalar("cpus", 8.0), _scalar("mem", 16384.0)],
        "attributes": [{"name": "rack", "type": "TEXT", "text": {"value": f"r{agent % 20}"}}],
    }


def _play(rounds: int, started: Event, results: Queue[tuple[int, float]]) -> None:
    """A process of its own, so that only our own time is counted."""
    master = _Master(rounds, results)
    config = uvicorn.Config(master.application(), host=_HOST, port=5050, log_level="warning")
    server = uvicorn.Server(config)
    threading.Thread(target=lambda: _tell_when(server, started), daemon=True).start()
    server.run()


def _tell_when(server: uvicorn.Server, started: Event) -> None:
    while not server.started:
        time.sleep(0.05)
    started.set()


def _offers(rounds: int) -> list[Figure]:
    """Of a thousand agents ten are to run our agent, and all others are told that nothing is wanted."""
    fresh = multiprocessing.get_context("spawn")
    started, results = fresh.Event(), fresh.Queue()
    playing = fresh.Process(target=_play, args=(rounds, started, results), daemon=True)
    playing.start()
    started.wait(30.0)
    settings = MesosSettings(f"{_HOST}:5050")
    cluster = MesosCluster(settings, Memory(), "http://127.77.0.2:8700", lambda: "0" * 64)
    try:
        names = [one.name for one in cluster.nodes()]
        for name in names[:10]:
            cluster.ensure_agent(name, _CREDENTIALS, _ROLES)
        began_s = time.process_time()
        answered, longest_s = results.get(timeout=300.0)
        took_s = time.process_time() - began_s
    finally:
        cluster.close()
        playing.kill()
    name = f"offers of {_AGENTS:,} agents answered"
    return [
        Figure(name, answered / took_s, "a second of one core", None, 5000),
        Figure("longest time that an offer was held", longest_s, "s", None, 1, True),
    ]
