"""What of a plan may be done now. Each rule says in a sentence why not; none of them ever widens anything."""

from __future__ import annotations

from collections.abc import Callable, Collection

from artesian.model.changes import (
    AddClient,
    AddDevice,
    AddManager,
    AddServer,
    AdoptEngine,
    Change,
    CreateEngine,
    DeleteVolume,
    EnterMaintenance,
    ExitMaintenance,
    JoinNode,
    MapVolume,
    RemoveClient,
    RemoveDevice,
    RemoveManager,
    RemoveServer,
    RestartProcesses,
    UnmapVolume,
)
from artesian.model.disk import PoolName
from artesian.model.names import device_name, server_name
from artesian.model.node import NodeState
from artesian.model.observation import SeenAttachment
from artesian.model.plan import Consent, GuardedPlan, HeldStep, Plan, Step
from artesian.model.restart import RestartPart
from artesian.model.topology import VerdictKind
from artesian.planner.facts import Facts
from artesian.planner.needs import too_small
from artesian.planner.pausing import paused
from artesian.planner.restarting import is_of_restart
from artesian.planner.wholeness import why_not_restarted
from artesian.strategy.managers import DEFAULT_MANAGERS


def guard(plan: Plan, facts: Facts) -> GuardedPlan:
    """Sort the steps into those that may be taken now, those that come later, and those held back."""
    approval = facts.state.approval
    approved = set(approval.step_ids) if approval is not None else set()
    there = {step.id: step for step in plan.steps}
    guardian = _Guard(facts)
    ready, waiting, held = [], [], []
    for step in plan.steps:
        earlier = [there[one] for one in step.after if one in there]
        # Until its turn has come, nothing is said of a node that is to be restarted.
        is_later = bool(earlier) and is_of_restart(step, facts.state)
        objection = None if is_later else guardian.objection(step, approved, plan.id)
        if objection is not None:
            held.append(HeldStep(step, objection))
        elif earlier:
            first = earlier[0].change
            waiting.append(HeldStep(step, f"it comes after {type(first).__name__} ({earlier[0].id})"))
        else:
            ready.append(step)
            guardian.note_taken(step.change)
    return GuardedPlan(plan, tuple(ready), tuple(waiting), tuple(held))


class _Guard:
    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._verdicts = {(verdict.node, verdict.identity): verdict for verdict in facts.topology.verdicts}
        self._emptied: set[PoolName] = set()  # pools out of which something is being taken in this pass
        self._grown: set[PoolName] = set()  # pools that get something in this pass
        self._resting: set[str] = set()  # domains of which a server goes into maintenance in this pass

    def note_taken(self, change: Change) -> None:
        """A step goes ahead: one removal at a time from each pool, one server at a time into maintenance."""
        if isinstance(change, RemoveDevice):
            self._emptied.add(change.pool)
        if isinstance(change, AddDevice):
            self._grown.add(change.pool)
        if isinstance(change, EnterMaintenance):
            self._resting.add(change.domain)

    def objection(self, step: Step, approved: set[str], plan_id: str) -> str | None:
        """Why a step is not taken now; None when nothing speaks against it."""
        if (because := paused(step.change, self._facts)) is not None:
            return because
        rule = _RULES.get(type(step.change))
        if rule is not None and (because := rule(self, step.change)) is not None:
            return because
        if step.consent is Consent.NEEDED and step.id not in approved:
            return f"somebody has to agree to it: artesian apply --approve {plan_id}"
        return None

    def _not_alive(self, name: str) -> str | None:
        node = self._facts.nodes.get(name)
        if node is None:
            return f"node {name} is not there"
        if node.state is not NodeState.ALIVE:
            return f"node {name} is {node.state}: what was seen of it is stale"
        return None

    def _node(self, change: Change) -> str | None:
        assert isinstance(change, AddClient | JoinNode)
        node = self._facts.nodes.get(change.node)
        if node is not None and isinstance(change, JoinNode):
            unfit = node.problem or too_small(node, self._facts.spec.ceph)
            if not unfit and node.leaving:
                unfit = f"whoever runs the machines wants node {node.name} empty"
            if not unfit and node.unreachable:
                unfit = f"node {node.name} is out of reach for whoever runs the machines"
            if unfit:
                return unfit
        return self._not_alive(change.node)

    def _add_server(self, change: Change) -> str | None:
        assert isinstance(change, AddServer)
        name = server_name(change.node, change.domain)
        intended = change.domain in self._facts.state.node(change.node).domains
        if not intended and any(server.name == name for server in self._facts.engine.servers):
            return f"the engine has a server {name} already, which is not ours, and it stays as it is"
        return self._not_alive(change.node)

    def _adopt(self, change: Change) -> str | None:
        """An engine of ours that lost its store is not somebody else's: its servers run on these nodes."""
        assert isinstance(change, AdoptEngine)
        for node in sorted(self._facts.seen.nodes, key=lambda one: one.name):
            for disk in sorted(node.disks, key=lambda one: one.path):
                if (
                    disk.label is not None
                    and disk.label.system_id == change.system_id
                    and disk.identity not in self._facts.state.tombstones
                ):
                    return (
                        f"disk {disk.path} of node {node.name} is part of engine {change.system_id} already: "
                        "nodes that serve it are not taken over; let it be adopted for other nodes"
                    )
        return self._unheard()

    def _create(self, change: Change) -> str | None:
        assert isinstance(change, CreateEngine)
        if self._facts.state.engine is None:
            for node in sorted(self._facts.seen.nodes, key=lambda one: one.name):
                for disk in sorted(node.disks, key=lambda one: one.path):
                    ours = disk.label if disk.label is not None and not disk.label.foreign else None
                    if ours is not None and disk.identity not in self._facts.state.tombstones:
                        return (
                            f"nothing is remembered of an engine, but disk {disk.path} of node {node.name} "
                            f"belongs to engine {ours.system_id}: bring its store back; if that engine "
                            f"is no more, say so: artesian disk remove {node.name} {disk.path}"
                        )
            unheard = self._unheard()
            if unheard is not None:
                return unheard
        return next((one for place in change.managers if (one := self._not_alive(place.node))), None)

    def _unheard(self) -> str | None:
        """Nodes that may still turn out to have disks of an engine, or one that claims to be the same."""
        unheard = self._facts.seen.unheard
        if unheard:
            return f"node {min(unheard)} has not reported yet, and nothing is taken on half a picture"
        return None

    def _add_manager(self, change: Change) -> str | None:
        assert isinstance(change, AddManager)
        managers = self._facts.engine.managers
        not_alive = self._not_alive(change.place.node)
        if not_alive is not None or all(one.healthy for one in managers):
            return not_alive  # where all answer, the new one may be counted on: it is told of when it listens
        return self._quorum(len(managers) + 1, 0)

    def _remove_manager(self, change: Change) -> str | None:
        """Never fewer than were asked for, and never without a majority of those that stay."""
        assert isinstance(change, RemoveManager)
        managers = self._facts.engine.managers
        if all(one.host != change.place.address for one in managers):
            return None  # it was to become one, and never did
        left = len(managers) - 1
        address = change.place.address
        away = any(one.host == address and not one.healthy for one in managers)
        if away and self._facts.state.node(change.place.node).gives_up_manager:
            return self._quorum(left, 0)
        asked = self._facts.spec.managers.count or DEFAULT_MANAGERS
        if left < asked:
            return f"{asked} managers are wanted, {left} would be left, and no other node can have one"
        return self._quorum(left, 0 if away else 1)

    def _quorum(self, members: int, fewer: int) -> str | None:
        """Whether a majority of `members` answers when so many of those that answer now are gone."""
        healthy = sum(manager.healthy for manager in self._facts.engine.managers) - fewer
        if healthy * 2 <= members:
            return f"only {healthy} of {members} managers would answer, which is no majority"
        return None

    def _add_device(self, change: Change) -> str | None:
        assert isinstance(change, AddDevice)
        verdict = self._verdicts.get((change.node, change.identity))
        if verdict is None:
            return f"disk {change.path} of node {change.node} is not seen"
        if verdict.kind is VerdictKind.REFUSED:
            return f"disk {change.path} of node {change.node} must not be touched: {verdict.because}"
        return self._not_alive(change.node) or self._unheard()

    def _remove_device(self, change: Change) -> str | None:
        assert isinstance(change, RemoveDevice)
        if self._facts.state.node(change.node).in_maintenance:
            return f"node {change.node} is in maintenance: its data moves when that has ended"
        if change.pool in self._emptied:
            return f"another disk is being taken out of pool {change.pool}"
        restarted = [name for name, one in self._facts.state.nodes.items() if one.rests_for]
        if restarted:
            return f"node {min(restarted)} is being restarted"
        mine = device_name(change.identity)
        leaving = [
            device.path
            for device in self._facts.engine.devices
            if device.pool == change.pool and device.leaving and device.name != mine
        ]
        if leaving:
            return f"device {min(leaving)} is being taken out of pool {change.pool}"
        pool = self._facts.engine.pool(change.pool)
        has_one_copy = pool is not None and self._facts.engine.has_one_copy_only(pool.name)
        if pool is not None and not pool.is_whole and not has_one_copy:
            return f"pool {change.pool} is degraded, and is healed first"
        if has_one_copy and change.pool in self._grown:
            return f"pool {change.pool} has one copy only, and gets disks for the second one first"
        return self._someone_silent()

    def _someone_silent(self, but: Collection[str] = ()) -> str | None:
        silent = [
            node.name
            for node in self._facts.seen.nodes
            if node.state is NodeState.SILENT and self._facts.state.node(node.name).domains
        ]
        silent = [name for name in silent if name not in but]
        if silent:
            return f"node {min(silent)} is silent, and nothing is taken away on half a picture"
        return None

    def _remove_server(self, change: Change) -> str | None:
        assert isinstance(change, RemoveServer)
        return self._someone_silent()

    def _enter_maintenance(self, change: Change) -> str | None:
        """A node that is about to be away must be the only one, and nothing may need it."""
        assert isinstance(change, EnterMaintenance)
        if not self._facts.state.node(change.node).in_maintenance:
            return self._restart(change.node, RestartPart.SERVERS)
        users = [
            name
            for name, wish in sorted(self._facts.state.volumes.items())
            if wish.node == change.node and not wish.deleted
        ]
        if users:
            return f"volume {users[0]} is on node {change.node}: move or detach it first"
        if change.domain in self._resting:
            return f"another server of domain {change.domain} is going into maintenance"
        away = self._maintained_beside(change)
        if away is not None:
            return f"server {away} of domain {change.domain} is in maintenance already"
        pools = [one for one in self._facts.engine.pools if one.name.domain == change.domain]
        degraded = [str(one.name) for one in pools if not one.is_whole]
        if degraded:
            return f"pool {min(degraded)} is degraded, and is healed first"
        address = self._facts.state.node(change.node).address
        managers = self._facts.engine.managers
        if any(one.host == address and one.healthy for one in managers):
            because = self._quorum(len(managers), 1 + self._managers_resting(change.node))
            if because is not None:
                return because
        return self._someone_silent(self._may_be_silent(change.node))

    def _exit_maintenance(self, change: Change) -> str | None:
        """A node that may still begin with its restart has to hear first that it is over."""
        assert isinstance(change, ExitMaintenance)
        node = change.node
        if self._facts.state.node(node).rests_for and node in self._facts.seen.behind:
            return (
                f"node {node} has not heard yet what it is to do" if self._not_alive(node) is None else None
            )
        return None

    def _restart_processes(self, change: Change) -> str | None:
        assert isinstance(change, RestartProcesses)
        if self._facts.state.node(change.node).since(change.part) == change.number:
            return None  # it was told to, and is looked after until it has come back
        return self._restart(change.node, change.part)

    def _restart(self, node: str, part: RestartPart) -> str | None:
        beside = min(map(str, self._emptied | self._resting), default=None)
        if beside is not None:
            return f"something is done to {beside} in this pass already"
        return self._not_alive(node) or why_not_restarted(self._facts, node, part)

    def _may_be_silent(self, node: str) -> set[str]:
        """Nodes that are empty on purpose: one whose agent was ended because it is drained, and those that
        are away while their servers rest."""
        resting = {one.name for one in self._facts.engine.servers if one.in_maintenance}
        found = {
            name
            for name, record in self._facts.state.nodes.items()
            if record.in_maintenance and all(server_name(name, one) in resting for one in record.domains)
        }
        return found | ({node} if self._facts.state.node(node).drained else set())

    def _managers_resting(self, but: str) -> int:
        """Managers that answer, on other nodes whose servers rest: they may be away at any moment."""
        resting = {one.name for one in self._facts.engine.servers if one.in_maintenance}
        addresses = {
            record.address
            for name, record in self._facts.state.nodes.items()
            if name != but and any(server_name(name, domain) in resting for domain in record.domains)
        }
        return sum(one.host in addresses and one.healthy for one in self._facts.engine.managers)

    def _maintained_beside(self, change: EnterMaintenance) -> str | None:
        """A server in maintenance that may hold the other copies; those of one fault set may go together."""
        name = server_name(change.node, change.domain)
        servers = [one for one in self._facts.engine.servers if one.domain == change.domain]
        mine = next((one.fault_set for one in servers if one.name == name), None)
        others = [one for one in servers if one.in_maintenance and one.name != name]
        return min((one.name for one in others if mine is None or one.fault_set != mine), default=None)

    def _remove_client(self, change: Change) -> str | None:
        assert isinstance(change, RemoveClient)
        for name, wish in sorted(self._facts.state.volumes.items()):
            if wish.node == change.node and not wish.deleted:
                return f"volume {name} is on node {change.node}: move or detach it first"
        return None

    def _map(self, change: Change) -> str | None:
        """A node gets a volume when it has nothing left of an earlier attachment: that would write to the
        volume as it was then. It shows what is left without a device; one that has a device is what was
        asked for, only its mapping was taken away meanwhile, and goes on with the new one."""
        assert isinstance(change, MapVolume)
        not_alive = self._not_alive(change.node)
        if not_alive is not None:
            return not_alive
        if change.node in self._facts.seen.behind:
            return f"node {change.node} has not heard yet that volume {change.volume} is to be there"
        if any(one.device is None for one in self._attachments(change.volume, change.node)):
            why = self._problem_of(change.volume, change.node)
            return (
                f"node {change.node} has not let go of volume {change.volume} "
                f"since it was cut off from it{why}"
            )
        return None

    def _unmap(self, change: Change) -> str | None:
        """A volume is taken from a node that has let go of it, or that certainly cannot write any more."""
        assert isinstance(change, UnmapVolume)
        wish = self._facts.state.volumes.get(change.volume)
        node = self._facts.nodes.get(change.node)
        if wish is not None and wish.forced_from == change.node:
            return None
        if node is not None and node.state is NodeState.GONE:
            return None
        if node is None:
            return f"node {change.node} is not there, and nobody says that it is gone for certain"
        if node.state is NodeState.SILENT:
            return (
                f"node {change.node} is silent and may still use volume {change.volume}: it is taken over "
                "when the node is gone for certain, or by force, which loses what it has not flushed"
            )
        if change.node in self._facts.seen.behind or self._is_attached(change.volume, change.node):
            why = self._problem_of(change.volume, change.node)
            return f"node {change.node} has not let go of volume {change.volume} yet{why}"
        return None

    def _problem_of(self, volume: str, node: str) -> str:
        """What the node says of it, if it says anything."""
        said = (one.problem for one in self._attachments(volume, node) if one.problem)
        return next((f": {one}" for one in said), "")

    def _is_attached(self, volume: str, node: str) -> bool:
        return bool(self._attachments(volume, node))

    def _attachments(self, volume: str, node: str) -> list[SeenAttachment]:
        wish = self._facts.state.volumes.get(volume)
        engine_id = wish.engine_id if wish is not None else None
        return [one for one in self._facts.seen.attachments if (one.node, one.volume_id) == (node, engine_id)]

    def _delete(self, change: Change) -> str | None:
        assert isinstance(change, DeleteVolume)
        holding = [
            node.name
            for node in self._facts.seen.nodes
            if node.state is NodeState.ALIVE and self._is_attached(change.volume, node.name)
        ]
        return f"node {min(holding)} has not let go of volume {change.volume} yet" if holding else None


_RULES: dict[type, Callable[[_Guard, Change], str | None]] = {
    JoinNode: _Guard._node,
    AdoptEngine: _Guard._adopt,
    CreateEngine: _Guard._create,
    AddServer: _Guard._add_server,
    AddClient: _Guard._node,
    AddDevice: _Guard._add_device,
    AddManager: _Guard._add_manager,
    RemoveManager: _Guard._remove_manager,
    RemoveDevice: _Guard._remove_device,
    EnterMaintenance: _Guard._enter_maintenance,
    ExitMaintenance: _Guard._exit_maintenance,
    RestartProcesses: _Guard._restart_processes,
    RemoveServer: _Guard._remove_server,
    RemoveClient: _Guard._remove_client,
    MapVolume: _Guard._map,
    UnmapVolume: _Guard._unmap,
    DeleteVolume: _Guard._delete,
}
