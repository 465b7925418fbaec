"""Nodes that remedies get: the substrate is asked for machines, and what it says is stored."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace

import structlog

from artesian.clusters.port import NodeMaker, NodeRefused, Substrate, SubstrateUnusable
from artesian.model.errors import NotPossible
from artesian.model.event import Event
from artesian.model.remedy import Machine, Remedy, RemedyState
from artesian.model.rule import RemedyKind
from artesian.model.spec import Spec
from artesian.model.state import FrameworkState
from artesian.remedy.lifecycle import moved
from artesian.remedy.machines import described, with_machine
from artesian.remedy.pausing import paused
from artesian.scheduler.calls import Calls
from artesian.scheduler.memory import Memory
from artesian.scheduler.notifying import Notifier, meant
from artesian.store.port import NotLeading, StoreUnusable

CANNOT = "this cluster's substrate cannot make machines, only one of local processes can"
_ASK_AGAIN_S = 5.0

log = structlog.get_logger()


def check_makes_nodes(spec: Spec, substrate: Substrate) -> None:
    """Raises NotPossible for a rule that adds nodes where nobody can make any."""
    if isinstance(substrate, NodeMaker):
        return
    for rule in spec.rules:
        if rule.remedy is RemedyKind.ADD_NODE:
            raise NotPossible(f"rule {rule.name} adds nodes, and {CANNOT}: let it notify somebody instead")


class NodeMaking:
    """In the loop, after remedies were looked at."""

    def __init__(
        self,
        memory: Memory,
        substrate: Substrate,
        wake: Callable[[], None],
        clock: Callable[[], float] = time.time,
        executor: Executor | None = None,
    ) -> None:
        self._memory = memory
        self._substrate = substrate
        self._clock = clock
        executor = executor or ThreadPoolExecutor(2, thread_name_prefix="machine")
        self._calls = Calls(executor, wake)
        self._notifier = Notifier(executor)
        self._not_before_s: dict[str, float] = {}  # of machines, after the substrate did not answer

    def close(self) -> None:
        """Ask nobody any more."""
        self._calls.close()

    def look(self, spec: Spec) -> None:
        """One pass. Raises StoreUnusable."""
        for _, remedy in sorted(self._memory.state.remedies.items()):
            machine = remedy.machine
            if machine is None or machine.is_made or remedy.state is not RemedyState.ACTING:
                continue
            waits = self._not_before_s.get(machine.name, 0.0) > self._clock()
            if not waits and paused(remedy, self._memory.state) is None:
                self._make(spec, remedy, machine)

    def _make(self, spec: Spec, remedy: Remedy, machine: Machine) -> None:
        """Its name is in the store already, and whatever the substrate makes can be found by it."""
        if not isinstance(self._substrate, NodeMaker):
            self._refused(spec, remedy, machine, CANNOT)
            return
        maker = self._substrate
        done = self._calls.ask(("make", machine.name), lambda: self._ask(maker, machine))
        if done is not None:
            self._answered(spec, remedy, machine, done)

    def _ask(self, maker: NodeMaker, machine: Machine) -> None:
        try:
            self._memory.confirm()
        except (NotLeading, StoreUnusable) as error:
            raise SubstrateUnusable(f"the substrate was not asked: {error}") from None
        maker.make_node(machine.name, [machine.disk_bytes] * machine.disks)

    def _answered(self, spec: Spec, remedy: Remedy, machine: Machine, done: Future[None]) -> None:
        try:
            done.result()
        except NodeRefused as error:
            self._refused(spec, remedy, machine, str(error))
        except SubstrateUnusable as error:
            self._not_before_s[machine.name] = self._clock() + _ASK_AGAIN_S
            detail = f"machine {machine.name} is asked for again: {error}"
            if machine.detail != detail:
                after = replace(machine, detail=detail)
                self._memory.change(lambda state: with_machine(state, remedy.id, after))
        else:
            made = replace(machine, made_s=self._clock(), detail="")
            event = Event("remedy", remedy.id, f"{described(machine)} is made: {remedy.because}")
            log.info("remedy", id=remedy.id, because=event.because)
            self._memory.change(lambda state: with_machine(state, remedy.id, made), [event])

    def _refused(self, spec: Spec, remedy: Remedy, machine: Machine, why: str) -> None:
        failed = moved(remedy, RemedyState.FAILED, self._clock(), why)
        failed = replace(failed, machine=replace(machine, refused=True, detail=why))
        event = Event("remedy", remedy.id, f"{remedy.kind} of {remedy.shown} has failed: {why}")

        def change(state: FrameworkState) -> FrameworkState:
            return state.with_remedy(failed) if remedy.id in state.remedies else state

        log.info("remedy", id=remedy.id, because=event.because)
        self._memory.change(change, [event])
        self._notifier.tell(spec.notify, failed, event.because, *meant(failed, spec, self._memory.state))
