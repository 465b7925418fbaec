"""The loop at our own pace: every pass looks anew at everything, and takes what steps it may.

Nothing acts on an event; an event only makes the next pass come sooner.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from artesian.clusters.local import LocalCluster
from artesian.clusters.port import (
    AgentCredentials,
    NodeKeeper,
    Substrate,
    SubstrateNode,
    SubstrateUnusable,
)
from artesian.engines.port import Engine, EngineUnreachable
from artesian.model.assignment import Assignment
from artesian.model.errors import ArtesianError, Conflict
from artesian.model.observation import Observation
from artesian.model.report import AgentReport
from artesian.model.spec import Spec
from artesian.model.state import Stopping
from artesian.model.topology import Topology
from artesian.planner.leaving import heed, standings
from artesian.planner.needs import role_needs
from artesian.planner.planning import decide
from artesian.planner.recording import learn
from artesian.remedy.checking import read_whole_spec
from artesian.remedy.idle import IdleFacts, idle_parts
from artesian.scheduler.acting import Actor
from artesian.scheduler.assignments import Assignments
from artesian.scheduler.blindness import Blindness, blind_verdict, still
from artesian.scheduler.connecting import EngineConnection
from artesian.scheduler.drilling import Driller
from artesian.scheduler.memory import Memory
from artesian.scheduler.node_making import NodeMaking
from artesian.scheduler.observing import observe
from artesian.scheduler.pausing import end_those_that_are_over
from artesian.scheduler.providing import Providers
from artesian.scheduler.remedying import Remediator
from artesian.scheduler.reports import Reports
from artesian.scheduler.restarting import RestartWatch
from artesian.scheduler.turning import Known, turned
from artesian.scheduler.verdict import Verdict, pass_verdict
from artesian.store.port import NotLeading, Store
from artesian.strategy.deriver import Deriver

_IDLE_S = 2.5
_BUSY_S = 0.1
_ASKING_S = 1.0  # sooner would bring a cloud to take no more calls
_DEBOUNCE_S = 0.02

log = structlog.get_logger()


class Scheduler:
    """One cluster's scheduler. `folder` holds what can be made again: certificates of gateways."""

    def __init__(
        self,
        store: Store,
        substrate: Substrate,
        folder: Path,
        url: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises NotLeading, StoreUnusable."""
        self.memory = Memory(store)
        self.reports = Reports(clock)
        self._store = store
        self._substrate = substrate
        self.folder = folder
        self._url = url
        self._actor = Actor(self.memory, clock)
        self._deriver = Deriver()
        self._assignments = Assignments()
        self._addresses: dict[str, str] = {}  # of the nodes that the last pass has seen
        self._nodes: tuple[SubstrateNode, ...] = ()  # as the substrate told of them last
        self.blindness: Blindness | None = None  # while it tells nothing
        self._known = Known()  # of nodes, pools and managers: what is told when it changes
        self._connection = EngineConnection(folder, self.memory.secrets)
        self.providers = Providers(self.memory, substrate, self._last_topology)
        self.remediator = Remediator(self.memory, self.providers, self.wake)
        self._node_making = NodeMaking(self.memory, substrate, self.wake)
        self.driller = Driller(self.memory, self.reports, substrate, self.providers, self.wake)
        self._restart_watch = RestartWatch(self.memory, clock)
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._spec: tuple[str, Spec] = ("", read_whole_spec(""))
        self.verdict: Verdict | None = None
        self.last_error = ""  # why the last pass that failed did
        self.pass_seconds = 0.0
        self.passes = 0  # begun
        self._clock = clock
        self._pass_began_s = clock()
        self.has_ended = False  # the loop
        self.has_lost_lead = False  # and so has ended, or is about to
        self._finished = 0
        self._pass_ended = threading.Condition()
        self.memory.listen(self.wake)
        substrate.listen(self.wake)

    # --- the loop

    def run(self) -> None:
        """Pass after pass, until `stop`."""
        try:
            while not self._ended.is_set():
                self._wake.clear()
                self._pass_began_s = self._clock()
                self.passes += 1
                try:
                    self._pass_and_tell()
                except Exception as error:  # noqa: BLE001  even what cannot be said must not end the loop
                    self.last_error = f"{type(error).__name__}: {error}"
                self._wake.wait(self._rest_s())
                self._ended.wait(_DEBOUNCE_S)
            self._connection.close()
            self.remediator.close()
            self._node_making.close()
            self.driller.close()
        finally:
            self.has_ended = True

    def _rest_s(self) -> float:
        """How long the loop waits for something to happen before it looks again by itself."""
        if self.verdict is not None and self.verdict.taken:
            return _BUSY_S
        if self.remediator.waits_for_disks:  # nobody tells when a provider has got further
            return min(_IDLE_S, max(_ASKING_S, 2 * self.pass_seconds))
        return _IDLE_S

    def _pass_and_tell(self) -> None:
        """One pass, and in the log what came of it."""
        before = self.verdict
        try:
            self.verdict = self.one_pass()
            self._tell_what_has_turned(self.verdict.seen)
        except NotLeading as error:
            self.last_error, self.has_lost_lead = str(error), True
            log.error("the loop ends", reason=str(error))
            self.stop()
        except ArtesianError as error:
            self.last_error = str(error)
            log.error("a pass has failed", reason=str(error))
        except Exception:
            self.last_error = "a mistake in Artesian itself; the scheduler's log has it"
            log.exception("a pass has failed by a mistake in Artesian itself")
        finally:
            with self._pass_ended:
                self._finished = self.passes
                self._pass_ended.notify_all()
        verdict = self.verdict
        if verdict is not None and (before is None or before.sentence != verdict.sentence):
            log.info("verdict", sentence=verdict.sentence)

    def _tell_what_has_turned(self, seen: Observation) -> None:
        """Once everything is to end, whoever becomes silent does as it was told."""
        found = turned(self._known, seen)
        if found.events and self.memory.state.stopping is not Stopping.ALL:
            self.memory.change(lambda state: state, found.events)
            for event in found.events:
                log.info(event.kind, subject=event.subject, because=event.because)
        self._known = found.known

    @property
    def pass_age_s(self) -> float:
        """How long ago the last pass began; the scheduler's start counts as well."""
        return self._clock() - self._pass_began_s

    def one_pass(self) -> Verdict:
        """Observe, decide, guard, act; while the substrate does not answer, say so and do nothing.

        Raises StoreUnusable, NotLeading, SpecError; SubstrateUnusable if it never has answered.
        """
        try:
            verdict = self._whole_pass()
        except SubstrateUnusable as error:
            return self._blind_pass(error)
        if self.blindness is not None:
            self.blindness = None
            self.memory.tell("seen again", "cluster", "the nodes are known again")
        return verdict

    def _blind_pass(self, error: SubstrateUnusable) -> Verdict:
        """What agents and engine say is shown all the same."""
        is_new = self.blindness is None
        self.blindness = still(self.blindness, str(error), time.time())
        if is_new:
            log.error("the substrate cannot be used", reason=str(error))
            self.memory.tell("unseen", "cluster", self.blindness.sentence)
        if not self._nodes:
            raise error
        seen = observe(self._nodes, self.reports, self._engine(), self._generation_of)
        decision = decide(self.spec, seen, self.memory.state, self._deriver)
        return blind_verdict(seen, decision, self.blindness)

    def _whole_pass(self) -> Verdict:
        began, spec_text = time.monotonic(), self.memory.state.spec_text
        self.memory.confirm()
        nodes = self._substrate.nodes()
        self._nodes = nodes
        self._addresses = {node.name: node.address for node in nodes}
        if self.memory.state.stopping is not Stopping.ALL:
            self._ensure_agents([node.name for node in nodes if not node.gone])
        seen = observe(nodes, self.reports, self._engine(), self._generation_of)
        end_those_that_are_over(self.memory, time.time())
        if learn(self.memory.state, seen) is not self.memory.state:
            self.memory.change(lambda state: learn(state, seen))
        self._heed(seen)
        self._restart_watch.look(seen)
        state = self.memory.state
        decision = decide(self.spec, seen, state, self._deriver)
        ready = decision.guarded.ready if state.stopping is Stopping.NO else ()
        new = self._connection.new_identity(self.spec)
        taken = self._actor.act(ready, self._engine(), new, self._addresses, spec_text)
        if state.stopping is Stopping.NO:
            self.remediator.look(self.spec, seen, decision.topology)
            self._node_making.look(self.spec)
        self.driller.look(self.spec, seen, decision, self.remediator.last)
        if isinstance(self._substrate, NodeKeeper):
            heard_s = {name: one.at_s for name, one in self.reports.all().items()}
            self._substrate.hear(standings(seen, self.memory.state, heard_s))
        self.pass_seconds = time.monotonic() - began
        return pass_verdict(seen, decision, taken)

    def _heed(self, seen: Observation) -> None:
        """Nodes that are to be empty, or need not be any more."""
        heeded = heed(self.memory.state, seen)
        if heeded.state is not self.memory.state and self.memory.state.stopping is Stopping.NO:
            self.memory.change(lambda state: heed(state, seen).state, heeded.events)
            for event in heeded.events:
                log.info(event.kind, node=event.subject, because=event.because)

    def look_anew(self, timeout_s: float) -> bool:
        """Wait for the end of a pass that begins after this call; False if that takes too long."""
        wanted = self.passes + 1
        self.wake()
        with self._pass_ended:
            return self._pass_ended.wait_for(lambda: self._finished >= wanted, timeout_s)

    def stop(self) -> None:
        """End the loop after the present pass. Everything goes on without it."""
        self._ended.set()
        self._wake.set()

    def wake(self) -> None:
        """Let the next pass come soon."""
        self._wake.set()

    @property
    def spec(self) -> Spec:
        """The spec as it is stored; it was checked before."""
        text = self.memory.state.spec_text
        if text != self._spec[0]:
            self._spec = (text, read_whole_spec(text))
        return self._spec[1]

    def idle_parts(self, spec: Spec, seen: Observation, topology: Topology) -> tuple[str, ...]:
        """What in a spec, this one or another, does nothing as things are."""
        on_machines = not isinstance(self._substrate, LocalCluster)
        measured = self.remediator.last.measured
        return idle_parts(IdleFacts(spec, seen, self.memory.state, topology, measured, on_machines))

    # --- agents

    def hear(self, report: AgentReport) -> None:
        """Take an agent's report."""
        if report.certificate is not None:
            self._connection.keep_certificate(report.node, report.certificate)
        if self.reports.hear(report):
            self.wake()

    def assignment(self, node: str) -> tuple[str, Assignment] | None:
        """A node's assignment and its generation; None if there is no such node.

        Raises NotLeading, StoreUnusable: whoever may not lead any more assigns nothing.
        """
        self.memory.confirm()
        address = self._addresses.get(node)
        if address is None:
            try:
                address = next((one.address for one in self._substrate.nodes() if one.name == node), None)
            except SubstrateUnusable:
                return None
        return self._assignments.of(self.memory.state, node, address) if address is not None else None

    def leave(self) -> list[str]:
        """End all agents, once everything is to end; what was done. Raises Conflict, SubstrateUnusable."""
        if self.memory.state.stopping is not Stopping.ALL:
            raise Conflict("agents end when everything is to end, and not before")
        return self._substrate.leave()

    def _generation_of(self, node: SubstrateNode) -> str:
        return self._assignments.of(self.memory.state, node.name, node.address)[0]

    def agent_token(self, node: str) -> str:
        """What a node's agent shows; it is worth nothing for other nodes."""
        key = self.memory.secrets.agents_key.encode()
        return hmac.new(key, node.encode(), hashlib.sha256).hexdigest()

    def _ensure_agents(self, nodes: list[str]) -> None:
        try:
            secret = self._connection.secret(self.memory.state.engine)
        except EngineUnreachable as error:
            log.warning("agents are left as they are", reason=str(error))
            return
        for node in nodes:
            credentials = AgentCredentials(self._url, self.agent_token(node), secret)
            roles = role_needs(self._assignments.of(self.memory.state, node, self._addresses[node])[1])
            if self._substrate.ensure_agent(node, credentials, roles):
                log.info("agent started", node=node)

    def _last_topology(self) -> Topology | None:
        return self.verdict.decision.topology if self.verdict is not None else None

    def _engine(self) -> Engine | None:
        return self._connection.to(self.memory.state.engine, self.spec.engine)
