"""A framework for tests: it keeps events until somebody waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any

from artesian.mesos import calls
from artesian.mesos.errors import MasterUnreachable
from artesian.mesos.operator import Operator
from artesian.mesos.resources import Mark, reserved, scalar
from artesian.mesos.scheduler import MesosAccess, Pace, SchedulerClient
from tests.mesos.definitions import SCHEDULER, Recorder
from tests.mesos.real import executor_command, until
from tests.patience import PATIENCE

Json = dict[str, Any]
ROLE = "artesian"
SENT = Recorder(SCHEDULER)
_PATIENCE_S = 60.0 * PATIENCE


def framework_info(framework_id: str, **more: Any) -> Json:
    capabilities = ("MULTI_ROLE", "PARTITION_AWARE", "RESERVATION_REFINEMENT")
    return {
        "id": {"value": framework_id},
        "user": "root",
        "name": "artesian",
        "roles": [ROLE],
        "failover_timeout": 3600.0,
        "checkpoint": True,
        "capabilities": [{"type": capability} for capability in capabilities],
        **more,
    }


class Framework:
    """Subscribed inside `async with`; taken down at its end, unless another one goes on under its id."""

    def __init__(self, master: str, framework_id: str, **info: Any) -> None:
        self.id = framework_id
        self.access = MesosAccess(master)
        self.client = SchedulerClient(
            self.access, framework_info(framework_id, **info), pace=Pace(0.1, 1.0), on_call=SENT
        )
        self.mark = Mark(ROLE, labels={"framework": framework_id})
        self.acknowledges = True
        self.tears_down = True
        self.events: list[Json] = []
        self.offers: dict[str, Json] = {}
        self._changed = asyncio.Event()
        self.running: asyncio.Task[Any] | None = None

    async def __aenter__(self) -> Framework:
        self.start()
        await self.wait("SUBSCRIBED")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        if self.tears_down:
            await asyncio.to_thread(self._tear_down)

    def _tear_down(self) -> None:
        """A master may still send us to a leader that is dead."""
        operator = Operator(self.access)

        def is_torn_down() -> bool:
            try:
                operator.call("TEARDOWN", {"framework_id": {"value": self.id}})
            except MasterUnreachable:
                return False
            return True

        until(is_torn_down, f"{self.id} is torn down")
        operator.close()

    def start(self) -> None:
        self.running = asyncio.create_task(self.client.run(self.handle))

    async def stop(self) -> None:
        """As a scheduler that dies."""
        if self.running is not None:
            self.running.cancel()
            await asyncio.gather(self.running, return_exceptions=True)

    async def handle(self, event: Json) -> None:
        if event["type"] == "OFFERS":
            self.offers |= {offer["id"]["value"]: offer for offer in event["offers"]["offers"]}
        elif event["type"] == "RESCIND":
            self.offers.pop(event["rescind"]["offer_id"]["value"], None)
        elif event["type"] == "DISCONNECTED":
            self.offers.clear()
        elif event["type"] == "UPDATE" and self.acknowledges:
            await self.acknowledge(event["update"]["status"])
        self.events.append(event)
        self._changed.set()

    async def acknowledge(self, status: Json) -> None:
        if (call := calls.acknowledge(status)) is not None:
            await self.client.call(*call)

    async def take(self, find: Callable[[], Any], what: str, timeout_s: float = _PATIENCE_S) -> Any:
        """Wait for what `find` finds. What ends `run` is raised."""
        try:
            async with asyncio.timeout(timeout_s):
                while not (found := find()):
                    self._changed.clear()
                    waiting = asyncio.create_task(self._changed.wait())
                    assert self.running is not None
                    await asyncio.wait({waiting, self.running}, return_when=asyncio.FIRST_COMPLETED)
                    waiting.cancel()
                    if self.running.done() and not find():
                        self.running.result()
                return found
        except TimeoutError:
            seen = [event["type"] for event in self.events]
            raise AssertionError(f"no {what} within {timeout_s:g} s; there were {seen}") from None

    async def wait(
        self, kind: str, matches: Callable[[Json], bool] = lambda event: True, timeout_s: float = _PATIENCE_S
    ) -> Json:
        """The first such event that nobody has waited for yet."""

        def find() -> Json | None:
            for index, event in enumerate(self.events):
                if event["type"] == kind and matches(event):
                    return self.events.pop(index)
            return None

        found: Json = await self.take(find, kind, timeout_s)
        return found

    async def state(self, task_id: str, state: str, timeout_s: float = _PATIENCE_S) -> Json:
        """The status update with this state of the task."""

        def matches(event: Json) -> bool:
            status = event["update"]["status"]
            return bool(status["task_id"]["value"] == task_id and status["state"] == state)

        event = await self.wait("UPDATE", matches, timeout_s)
        status: Json = event["update"]["status"]
        return status

    async def offer(self, hostname: str) -> Json:
        """An offer of the agent, which is used up by this."""

        def find() -> Json | None:
            for offer_id, offer in self.offers.items():
                if offer["hostname"] == hostname:
                    return self.offers.pop(offer_id)
            return None

        found: Json = await self.take(find, f"offer of {hostname}")
        return found

    def amounts(self, **values: float) -> list[Json]:
        """Scalars that we have reserved."""
        return [reserved(scalar(name, value), self.mark) for name, value in values.items()]

    def task(self, name: str, offer: Json, executor: str = "e") -> Json:
        """A task of the executor of these tests."""
        return {
            "name": name,
            "task_id": {"value": name},
            "agent_id": offer["agent_id"],
            "resources": self.amounts(cpus=0.1, mem=32),
            "executor": {
                "type": "CUSTOM",
                "executor_id": {"value": executor},
                "framework_id": {"value": self.id},
                "resources": self.amounts(cpus=0.1, mem=32),
                "command": {"value": executor_command()},
            },
        }

    async def launch(self, hostname: str, name: str, executor: str = "e") -> Json:
        """Reserve, and launch a task; its offer."""
        offer = await self.offer(hostname)
        operations = [
            calls.reserve(self.amounts(cpus=0.2, mem=64)),
            calls.launch([self.task(name, offer, executor)]),
        ]
        await self.client.call(*calls.accept([offer["id"]["value"]], operations, 0.0))
        return offer
