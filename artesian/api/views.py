"""What the API shows, out of what the scheduler knows. Times are seconds, sizes bytes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from artesian.api.pause_views import pauses_view
from artesian.api.pool_views import pools_view
from artesian.api.remedy_views import remedies_view
from artesian.api.restart_views import restart_in_status
from artesian.api.volume_views import volumes_view
from artesian.model.changes import EnterMaintenance, RemoveDevice
from artesian.model.disk import PoolName
from artesian.model.engine import SeenDevice
from artesian.model.names import device_name, server_name
from artesian.model.node import NodeState
from artesian.model.plan import HeldStep, Step
from artesian.model.report import AgentReport
from artesian.model.state import FrameworkState
from artesian.planner.leaving import volume_left
from artesian.remedy.consequences import loss_of, loss_of_disk
from artesian.remedy.health import device_health
from artesian.scheduler.blindness import Blindness
from artesian.scheduler.loop import Scheduler
from artesian.scheduler.verdict import Verdict

Document = dict[str, Any]


def step_view(step: Step) -> Document:
    """One step of a plan."""
    return {
        "id": step.id,
        "change": type(step.change).__name__,
        "arguments": _plain(asdict(step.change)),
        "because": step.because,
        "after": list(step.after),
        "destructive": step.destructive,
        "needs_approval": step.consent == "needed",
    }


def idle_notes(scheduler: Scheduler, verdict: Verdict) -> tuple[str, ...]:
    """What in the spec does nothing as things are."""
    return scheduler.idle_parts(scheduler.spec, verdict.seen, verdict.decision.topology)


def plan_view(verdict: Verdict, more_notes: tuple[str, ...] = ()) -> Document:
    """The plan as it is now, and what becomes of each step."""
    guarded = verdict.decision.guarded
    held = {one.step.id: one.because for one in guarded.held}
    waiting = {one.step.id: one.because for one in guarded.waiting}
    taken = {one.step.id: one for one in verdict.taken}
    steps = []
    for step in guarded.plan.steps:
        state = "held" if step.id in held else "waiting" if step.id in waiting else "ready"
        detail = held.get(step.id) or waiting.get(step.id) or ""
        if step.id in taken:
            state, detail = str(taken[step.id].outcome), taken[step.id].detail
        steps.append(step_view(step) | {"state": state, "detail": detail})
    return {
        "id": guarded.plan.id,
        "steps": steps,
        "notes": [*guarded.plan.notes, *_losses(verdict), *more_notes],
    }


def status_view(scheduler: Scheduler, verdict: Verdict) -> Document:
    """Everything on one page."""
    state = scheduler.memory.state
    engine = verdict.seen.engine
    return {
        "verdict": verdict.sentence,
        "healthy": verdict.healthy,
        "paused": state.paused,
        "pauses": pauses_view(state),
        "remedies": [one for one in remedies_view(state) if one["open"]],
        "drills": sorted(key for key, one in state.drills.items() if one.state.is_open),
        "restart": restart_in_status(state, verdict),
        "stopping": state.stopping,
        "plan_id": verdict.decision.plan.id,
        "notes": [*verdict.decision.plan.notes, *idle_notes(scheduler, verdict)],
        "substrate": substrate_view(scheduler.blindness),
        "held": [held_view(one) for one in verdict.held],
        "engine": {
            "kind": state.engine.kind,
            "system_id": state.engine.system_id,
            "made": state.engine_seen_once,
            "answers": engine is not None,
            "problem": verdict.seen.engine_problem,
            "warnings": [asdict(one) for one in engine.warnings] if engine is not None else [],
        }
        if state.engine is not None
        else None,
        "managers": managers_view(state, verdict),
        "nodes": nodes_view(scheduler, verdict),
        "pools": pools_view(verdict, scheduler.remediator.last),
        "volumes": volumes_view(state, verdict),
    }


def substrate_view(blindness: Blindness | None) -> Document:
    """Whether what gives us nodes answers; if not, since when (Unix time), and why."""
    return {
        "answers": blindness is None,
        "since_s": blindness.since_s if blindness is not None else None,
        "because": blindness.because if blindness is not None else "",
    }


def held_view(held: HeldStep) -> Document:
    """A step that is held back, and why."""
    return {
        "change": type(held.step.change).__name__,
        "arguments": _plain(asdict(held.step.change)),
        "because": held.because,
    }


def managers_view(state: FrameworkState, verdict: Verdict) -> list[Document]:
    """The managers, with what the engine says of them."""
    engine = verdict.seen.engine
    seen = {manager.host: manager for manager in engine.managers} if engine else {}
    return [
        {
            "node": place.node,
            "role": str(place.role),
            "healthy": seen[place.address].healthy if place.address in seen else None,
            "leads": seen[place.address].leads if place.address in seen else None,
        }
        for place in (state.engine.managers if state.engine is not None else ())
    ]


def nodes_view(scheduler: Scheduler, verdict: Verdict) -> list[Document]:
    """Every node of the cluster."""
    state, heard = scheduler.memory.state, scheduler.reports.all()
    shown = []
    for node in verdict.seen.nodes:
        record = state.node(node.name)
        report = heard[node.name].report if node.name in heard else None
        shown.append(
            {
                "name": node.name,
                "address": node.address,
                "state": str(node.state),
                "joined": record.joined,
                "leaving": record.leaving,
                "in_maintenance": record.in_maintenance,
                "maintenance": _maintenance(state, verdict, node.name),
                "roles": _roles(state, node.name),
                "attributes": dict(node.attributes),
                "disks": len(node.disks),
                "stale": report is not None and node.state is not NodeState.ALIVE,
                "processes": _processes(report, node.state) if report is not None else [],
                "attachments": [asdict(one) for one in report.attachments] if report is not None else [],
                "problems": list(report.problems) if report is not None else [],
                "unreachable": node.unreachable,
                "drained": node.leaving,
                "problem": node.problem,
                "behind": node.name in verdict.seen.behind and not _refuses(report, state),
            }
        )
    return shown


def _refuses(report: AgentReport | None, state: FrameworkState) -> bool:
    """A node that belongs to another engine has heard what it is to do, and does not do it."""
    ours = state.engine.system_id if state.engine is not None else ""
    return report is not None and report.system_id not in ("", ours)


def _processes(report: AgentReport, node: NodeState) -> list[Document]:
    """`state` in words: what a node has said before it fell silent need not be so any more."""
    shown = []
    for one in report.processes:
        if node is NodeState.ALIVE:
            words = "runs" if one.running else "does not run"
        else:
            words = f"unknown, {'ran' if one.running else 'did not run'} when last heard of"
        shown.append(asdict(one) | {"state": words})
    return shown


def _maintenance(state: FrameworkState, verdict: Verdict, node: str) -> Document:
    """`wanted`; whether it is `done`: the engine has it so, and no volume is left; and what it waits for."""
    engine, record = verdict.seen.engine, state.node(node)
    names = {server_name(node, domain) for domain in record.domains}
    servers = [one for one in engine.servers if one.name in names] if engine is not None else []
    done = engine is not None and all(one.in_maintenance == record.in_maintenance for one in servers)
    held = (
        one.because
        for one in verdict.held
        if isinstance(one.step.change, EnterMaintenance) and one.step.change.node == node
    )
    left = volume_left(node, verdict.seen, state) if record.in_maintenance else ""
    because = left or ("" if done else next(held, ""))
    return {"wanted": record.in_maintenance, "done": done and not left, "because": because}


def _roles(state: FrameworkState, node: str) -> list[str]:
    places = state.engine.managers if state.engine is not None else ()
    roles = [str(place.role) for place in places if place.node == node]
    roles += [f"server of {domain}" for domain in state.node(node).domains]
    return roles + (["client"] if state.node(node).is_client else [])


def disks_view(verdict: Verdict, state: FrameworkState) -> list[Document]:
    """Every disk with its verdict, and claimed disks that are not seen. `health`: its device's metrics, as
    far as they are known; `smart`: what it says of itself; `used_bytes` are written to it, and applications
    may write `room_bytes` more."""
    engine = verdict.seen.engine
    devices = {device.name: device for device in engine.devices} if engine is not None else {}
    health = device_health(verdict.seen)
    says = {disk.identity: disk.smart for node in verdict.seen.nodes for disk in node.disks}
    shown = []
    seen = set()
    for one in verdict.decision.topology.verdicts:
        claim = state.claims.get(one.identity) if one.identity is not None else None
        device = devices.get(device_name(one.identity)) if one.identity is not None else None
        seen.add(one.identity)
        shown.append(
            {
                "node": one.node,
                "path": one.path,
                "identity": one.identity,
                "size_bytes": one.size_bytes,
                "verdict": str(one.kind),
                "because": one.because,
                "pool": str(claim.pool) if claim is not None else None,
                "device": _device_state(device),
                "used_bytes": device.used_bytes if device is not None else None,
                "room_bytes": device.room_bytes if device is not None else None,
                "health": dict(health.get(device.name, {})) if device is not None else {},
                "smart": asdict(said) if (said := says.get(one.identity)) is not None else None,
            }
        )
    for identity, claim in sorted(state.claims.items()):
        if identity not in seen:
            shown.append(
                {
                    "node": claim.node,
                    "path": claim.path,
                    "identity": identity,
                    "size_bytes": claim.size_bytes,
                    "verdict": "missing",
                    "because": f"it was given to pool {claim.pool}, and is not seen now",
                    "pool": str(claim.pool),
                    "device": None,
                    "used_bytes": None,
                    "room_bytes": None,
                    "health": {},
                    "smart": None,
                }
            )
    return shown


def loss_view(state: FrameworkState, verdict: Verdict, identity: str) -> Document | None:
    """What a pool loses with a disk; None if that is in none, or the engine does not answer."""
    claim, engine = state.claims.get(identity), verdict.seen.engine
    loss = loss_of_disk(engine, claim) if claim is not None and engine is not None else None
    return asdict(loss) | {"pool": str(loss.pool)} if loss is not None else None


def _losses(verdict: Verdict) -> list[str]:
    """What pools lose by the plan, a sentence for each."""
    engine = verdict.seen.engine
    paths = {one.identity: f"{one.path} of node {one.node}" for one in verdict.decision.topology.verdicts}
    going: dict[PoolName, dict[str, str]] = {}  # devices, and what people call them
    for step in verdict.decision.plan.steps:
        if isinstance(step.change, RemoveDevice):
            identity = step.change.identity
            going.setdefault(step.change.pool, {})[device_name(identity)] = paths.get(identity, "")
    if engine is None:
        return []
    found = [
        loss_of(engine, pool, names, next(iter(names.values()))) for pool, names in sorted(going.items())
    ]
    return [loss.because for loss in found if loss is not None]


def _device_state(device: SeenDevice | None) -> str | None:
    if device is None:
        return None
    if device.failed:
        return "failed"
    if device.leaving:
        return "leaving"
    return "away" if device.away else "in use"


def _plain(values: Document) -> Document:
    """Arguments of a change as JSON people read: pools by name."""
    if isinstance(values.get("pool"), dict):
        values["pool"] = f"{values['pool']['domain']}/{values['pool']['pool']}"
    if isinstance(values.get("managers"), tuple):
        values["managers"] = [f"{one['node']} ({one['role']})" for one in values["managers"]]
    return values
