"""A cluster with remedies: rules fire as a test says, and a provider gives disks at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from artesian.model.disk import Disk
from artesian.model.provided import DiskRequest, ProvidedDisk, ProvidedState, Quote
from artesian.model.provider_spec import FileSpec, ProviderSpec
from artesian.model.remedy import Part, PartState, Remedy
from artesian.model.rule import Approval, RemedyKind, Rule, Scope
from artesian.model.spec import Spec, Taking
from artesian.remedy.facts import RemedyFacts
from artesian.remedy.firing import Firing, FiringMemory
from artesian.remedy.lifecycle import advance
from artesian.remedy.parts import choose, disks_wanted, needs_disks, provided, request_for, settled, with_part
from tests.planner.situations import GIB, World, nodes

FILES = ProviderSpec("files", FileSpec(), lead_time_s=1.0)
EXPAND = Rule("expand", Scope.POOL, "used_share > 85%", RemedyKind.EXPAND_POOL, approval=Approval.AUTOMATIC)
REPLACE = Rule("replace", Scope.DEVICE, "failed", RemedyKind.REPLACE_DEVICE, approval=Approval.AUTOMATIC)
MANAGER = Rule(
    "manager", Scope.MANAGER, "away_s > 10m", RemedyKind.REPLACE_MANAGER, approval=Approval.AUTOMATIC
)
REMOVE = Rule("remove", Scope.NODE, "gone", RemedyKind.REMOVE_NODE, approval=Approval.AUTOMATIC)
MOVE = Rule("move", Scope.NODE, "silent", RemedyKind.MOVE_VOLUMES, approval=Approval.AUTOMATIC)
GROW = Rule("grow", Scope.VOLUME, "attached", RemedyKind.GROW_VOLUME, approval=Approval.AUTOMATIC)
LIMIT = Rule(
    "limit", Scope.VOLUME, "limited_share > 90%", RemedyKind.CHANGE_LIMIT, approval=Approval.AUTOMATIC,
    parameters={"by_share": 0.5, "at_most_iops": 1000},
)  # fmt: skip
TELL = Rule("tell", Scope.POOL, "used_share > 50%", RemedyKind.NOTIFY, approval=Approval.AUTOMATIC)
RULES = (EXPAND, REPLACE, MANAGER, REMOVE, MOVE, GROW, LIMIT, TELL)
POOL_NAME = "default/default"


class Clinic:
    """`world` is what is seen and stored; `firing` what rules say; `made` what the provider has made."""

    def __init__(self, count: int = 3, **spec: object) -> None:
        values: dict[str, object] = {"rules": RULES, "providers": (FILES,), **spec}
        self.spec = Spec(new_disks=Taking.TAKE, new_nodes=Taking.TAKE, **values)  # type: ignore[arg-type]
        self.world = World(nodes(count), self.spec)
        self.world.converge()
        self.now_s = 1_000_000.0
        self.firing: dict[tuple[str, str], Firing] = {}
        self.made: dict[str, ProvidedDisk] = {}
        self.refused: Callable[[DiskRequest], str] = lambda _request: ""
        self.state_of_new = ProvidedState.ATTACHED
        self.told: list[str] = []

    def fire(self, rule: Rule, thing: str, since_s: float = 0.0) -> None:
        self.firing[rule.name, thing] = Firing(
            rule.name, thing, rule.scope, f"{thing} is not well", {"x": 1.0}, since_s
        )

    def calm(self) -> None:
        """All is well."""
        self.firing.clear()

    @property
    def facts(self) -> RemedyFacts:
        world = self.world
        return RemedyFacts(
            self.spec,
            world.observation,
            world.state,
            world.decide().topology,
            self.firing,
            FiringMemory(),
            self.now_s,
        )

    @property
    def remedies(self) -> list[Remedy]:
        return sorted(self.world.state.remedies.values(), key=lambda one: (one.created_s, one.id))

    @property
    def remedy(self) -> Remedy:
        """The only one."""
        (one,) = self.remedies
        return one

    def look(self) -> None:
        """Remedies alone."""
        outcome = advance(self.facts)
        self.told += [event.because for event in outcome.events]
        self.world.state = outcome.state

    def pass_(self, seconds: float = 1.0) -> None:
        """Remedies, their disks, and the planner."""
        self.now_s += seconds
        self.look()
        for remedy in self.remedies:
            if remedy.state.value == "acting" and needs_disks(remedy, self.facts):
                self._get_disks(remedy)
        for remedy in self.remedies:
            for part in remedy.parts:
                self._store(with_part(self.world.state.remedies[remedy.id], settled(part, self.facts)))
        self.world.step()

    def passes(self, count: int = 12, seconds: float = 1.0) -> None:
        for _ in range(count):
            self.pass_(seconds)

    def _store(self, remedy: Remedy) -> None:
        self.world.state = self.world.state.with_remedy(remedy)

    def _get_disks(self, remedy: Remedy) -> None:
        if not remedy.disks:
            remedy = replace(remedy, disks=disks_wanted(remedy, self.facts))
        choice = choose(remedy, self.facts, lambda _name, request: self.quote(request))
        if choice.enough:
            remedy = replace(remedy, disks=len([one for one in remedy.parts if one.state != "given up"]))
        remedy = replace(remedy, parts=(*remedy.parts, *choice.parts), detail=choice.detail or remedy.detail)
        self._store(remedy)
        for part in remedy.parts:
            if part.state is PartState.ASKED:
                after, claim = provided(remedy, part, self._provide(part), self.facts)
                remedy = with_part(remedy, after)
                self._store(remedy)
                if claim is not None:
                    claims = {**self.world.state.claims, claim.identity: claim}
                    self.world.state = replace(self.world.state, claims=claims)

    def quote(self, request: DiskRequest) -> Quote:
        return Quote(request.size_bytes, 10.0, 1.0, self.refused(request))

    def _provide(self, part: Part) -> ProvidedDisk:
        request = request_for(self.facts, part.token, part.node, part.size_bytes)
        if part.token not in self.made:
            name = f"vd-{part.token}"
            self.made[part.token] = ProvidedDisk(
                f"disk-{part.token}", part.token, part.node, request.size_bytes, self.state_of_new, name, 10.0
            )
            if self.state_of_new is ProvidedState.ATTACHED:
                self._plug_in(part.node, name, request.size_bytes)
        return self.made[part.token]

    def _plug_in(self, node: str, name: str, size_bytes: int) -> None:
        disk = Disk(f"/dev/{name}", f"serial:{name}", size_bytes)
        self.world.nodes = tuple(
            replace(one, disks=(*one.disks, disk)) if one.name == node else one for one in self.world.nodes
        )

    def fill(self, share: float) -> None:
        """Let the pool hold so much of what it may."""
        assert self.world.engine is not None
        pool = self.world.engine.pools[0]
        usable = pool.size_bytes * (100 - pool.spare_percentage) // 100
        full = replace(pool, used_bytes=int(usable * share))
        self.world.engine = replace(self.world.engine, pools=(full,))


__all__ = [
    "EXPAND",
    "GIB",
    "GROW",
    "MANAGER",
    "MOVE",
    "POOL_NAME",
    "REMOVE",
    "REPLACE",
    "RULES",
    "TELL",
    "Clinic",
]
