"""Our framework towards its Mesos: one thread that hears every event, decides, stores and asks."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any

import structlog

from artesian.clusters.mesos.desk import Desk
from artesian.clusters.mesos.maintenance import read_inverse_offer
from artesian.clusters.mesos.matching import Situation, Status, decide, waiting_for_offers
from artesian.clusters.mesos.offers import read_offer
from artesian.clusters.mesos.reconciling import Reconciliation
from artesian.clusters.mesos.records import NodeRecord, document_of
from artesian.clusters.port import SubstrateMemory, SubstrateUnusable
from artesian.mesos import calls
from artesian.mesos.calls import Call
from artesian.mesos.errors import MasterUnreachable, MesosError, NotSubscribed
from artesian.mesos.scheduler import MesosAccess, SchedulerClient
from artesian.model.errors import ArtesianError

_LOOK_S = 1.0  # how often is looked without an event
_GOOD_BYE_S = 5.0
_ASKED = "REASON_RECONCILIATION"  # for a status that only answers a question

log = structlog.get_logger()


class MesosFramework:
    """Runs from `start` to `stop`. `changed` is called whenever something has that others may see."""

    def __init__(
        self,
        access: MesosAccess,
        info: dict[str, Any],
        desk: Desk,
        memory: SubstrateMemory,
        changed: Callable[[], None],
    ) -> None:
        self._desk = desk
        self._memory = memory
        self._changed = changed
        self._client = SchedulerClient(access, info)
        self._loop = asyncio.new_event_loop()
        self._due = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="mesos", daemon=True)
        self._offering = True  # whether the master makes us offers
        self._waiting: frozenset[str] = frozenset()  # what it was last asked to make them for
        self._reconciliation = Reconciliation()
        self.failure: ArtesianError | None = None  # what trying again does not mend

    # --- for others' threads

    def start(self) -> None:
        """Begin to subscribe; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, as a crash would: Mesos waits for us until the fail-over timeout is over."""
        if self._thread.is_alive():
            self._have_done(self._cancel)
            self._thread.join(_GOOD_BYE_S)

    def poke(self) -> None:
        """Something else is wanted than before."""
        if self._thread.is_alive():
            self._have_done(self._due.set)

    def tear_down(self) -> None:
        """End the framework for good. Raises SubstrateUnusable."""
        told = self._client.call(*calls.teardown())
        try:
            asyncio.run_coroutine_threadsafe(told, self._loop).result(_GOOD_BYE_S)
        except (MesosError, TimeoutError, CancelledError) as error:
            raise SubstrateUnusable(f"Mesos was not told that the framework ends: {error}") from None
        except RuntimeError:  # as with `_have_done`
            told.close()
            because = self.failure or "it is not subscribed any more"
            raise SubstrateUnusable(f"Mesos was not told that the framework ends: {because}") from None

    def _have_done(self, what: Callable[[], object]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has just ended by itself, by a failure
            self._loop.call_soon_threadsafe(what)

    # --- the thread

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._both())
        except asyncio.CancelledError:
            pass
        except ExceptionGroup as group:
            self._fail(group)
        finally:
            self._loop.close()

    def _fail(self, group: ExceptionGroup) -> None:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if isinstance(error, ArtesianError):
            self.failure = error
            log.error("Mesos takes us no more", reason=str(error))
        else:
            log.error("a mistake in Artesian itself towards Mesos", exc_info=error)
            self.failure = MesosError(f"a mistake in Artesian itself: {type(error).__name__}: {error}")
        self._changed()

    def _cancel(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()

    async def _both(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._answer())
            group.create_task(self._hear())

    async def _hear(self) -> None:
        await self._client.run(self._handle)

    async def _handle(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "SUBSCRIBED":
                log.info("subscribed", framework=event["subscribed"]["framework_id"]["value"])
                self._offering, self._waiting = True, frozenset()
                self._ask_about_all()
            case "OFFERS":
                reserver = self._desk.reserver
                self._desk.offered(read_offer(one, reserver) for one in event["offers"]["offers"])
            case "RESCIND":
                self._desk.rescinded(str(event["rescind"]["offer_id"]["value"]))
            case "INVERSE_OFFERS":
                offers = event["inverse_offers"]["inverse_offers"]
                self._desk.outlook.asked(read_inverse_offer(one) for one in offers)
                self._changed()
            case "RESCIND_INVERSE_OFFER":
                self._desk.outlook.asked_no_more(
                    str(event["rescind_inverse_offer"]["inverse_offer_id"]["value"])
                )
            case "UPDATE":
                await self._take_status(event["update"]["status"])
            case "MESSAGE":
                self._take_message(event["message"])
            case "FAILURE":
                self._changed()
            case "DISCONNECTED":
                log.warning("Mesos is away", reason=event["reason"])
                self._desk.disconnected()
                self._desk.outlook.disconnected()
                self._changed()
            case "HEARTBEAT":
                return
        self._due.set()

    async def _take_status(self, status: dict[str, Any]) -> None:
        task_id = str(status["task_id"]["value"])
        reasons = (status.get("message"), status.get("reason"))
        because = "; ".join(str(one) for one in reasons if one)
        agent_id = str(status.get("agent_id", {}).get("value", ""))
        state = str(status["state"])
        now_s, before = time.monotonic(), self._desk.status(task_id)
        was_asked = status.get("reason") == _ASKED
        as_thought = state == (before.state if before is not None else "TASK_RUNNING")
        write = log.debug if was_asked and as_thought else log.info
        write("task", id=task_id, state=state, because=because)
        if was_asked:
            self._reconciliation.answered(task_id, now_s)
        if self._desk.heard(task_id, Status(state, because, now_s, agent_id)):
            record = self._desk.record_of(task_id)
            if not await self._store((record,) if record is not None else ()):
                return  # what is not acknowledged, or not answered, we are told again
        self._reconciliation.heard(task_id)
        acknowledgement = calls.acknowledge(status)
        if acknowledgement is not None:
            await self._ask(acknowledgement)
        self._changed()

    def _take_message(self, message: dict[str, Any]) -> None:
        """An agent says which config it has; whatever else it may say is from another version."""
        try:
            document = json.loads(base64.b64decode(message["data"]))
            self._desk.agent_has(str(message["executor_id"]["value"]), str(document["config"]))
        except (KeyError, TypeError, ValueError) as error:
            log.warning("an executor says what nobody understands", reason=str(error))

    # --- asking

    async def _answer(self) -> None:
        """Whenever something has changed, and now and then: look at everything, and ask for what is next."""
        while True:
            try:
                await asyncio.wait_for(self._due.wait(), _LOOK_S)
            except TimeoutError:
                pass
            self._due.clear()
            if self._client.is_subscribed:
                await self._step()

    async def _step(self) -> None:
        situation = self._desk.situation(time.monotonic())
        asked = decide(situation)
        if not await self._store(asked.records):
            return
        self._desk.asked(situation, asked)
        for call in (*asked.calls, *self._desk.outlook.answers(self._desk.records)):
            await self._ask(call)
        await self._inform_agents()
        await self._reconcile()
        await self._want_offers(self._desk.situation(time.monotonic()))

    async def _store(self, records: tuple[NodeRecord, ...]) -> bool:
        """What is about to be launched is stored first, and what was heard of tasks; whether it is."""
        tasks = self._desk.unstored()
        if not (records or tasks):
            return True
        changes: dict[str, str | None] = dict(document_of(record) for record in records)
        try:
            await asyncio.to_thread(self._memory.save, changes | tasks)
        except ArtesianError as error:
            log.error("nothing is launched that cannot be stored", reason=str(error))
            return False
        self._desk.stored(tasks)
        return True

    async def _ask(self, call: Call) -> None:
        """What does not arrive is seen to be missing at the next look."""
        if not await self._arrives(call):
            self._ask_about_all()

    async def _arrives(self, call: Call) -> bool:
        try:
            await self._client.call(*call)
        except (NotSubscribed, MasterUnreachable) as error:
            log.warning("Mesos was not reached", call=call[0], reason=str(error))
        except MesosError as error:
            log.error("Mesos refuses a call", call=call[0], reason=str(error))
        else:
            return True
        return False

    async def _inform_agents(self) -> None:
        for record, config in self._desk.uninformed(time.monotonic()):
            data = json.dumps({"config": dict(config)}).encode()
            await self._ask(calls.message(record.agent_id, record.executor_id, data))

    async def _want_offers(self, situation: Situation) -> None:
        """Offers are what others wait for: none are held while nothing is wanted."""
        before, self._waiting = self._waiting, waiting_for_offers(situation)
        if self._waiting and (self._waiting - before or not self._offering):
            self._offering = True
            await self._ask(calls.revive())
        elif not self._waiting and self._offering:
            self._offering = False
            await self._ask(calls.suppress())

    # --- what became of tasks

    def _ask_about_all(self) -> None:
        """Every task that is remembered is asked about until something is said of it."""
        tasks: dict[str, str | None] = {
            task_id: record.agent_id
            for record in self._desk.records.values()
            for task_id in record.tasks.values()
        }
        tasks |= {
            task.id: None for task, status in self._desk.tasks() if status is not None and status.is_live
        }
        self._reconciliation.begin(tasks)
        self._due.set()

    async def _reconcile(self) -> None:
        now_s = time.monotonic()
        for call in self._reconciliation.questions(now_s):
            await self._arrives(call)  # what does not is asked again in any case
        if (outcome := self._reconciliation.outcome(now_s)) is not None:
            answered, unanswered = outcome
            log.info("asked Mesos what became of tasks", answered=answered, unanswered=unanswered)
