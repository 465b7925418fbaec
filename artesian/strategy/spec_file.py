"""The spec as people write it: YAML, checked down to the line.

managers: {count: 3, nodes: {names: ["control-*"]}}
global_pool: engineering/qe          # or: none
new_disks: ask                       # ask, take or never; likewise new_nodes
minimum_disk: 10GiB
fault_set_attribute: rack
healing: favor-applications          # or unlimited, limited; left out: as the engine has it
pools:
  - name: engineering/gold
    usable: 20TiB                    # left out: every disk that is selected
    survives: fault-set              # disk, node or fault-set
    spare: 10%
    nodes: {names: ["db-*"], attributes: {tier: fast}}
    disks: {media: ssd, models: ["INTEL*"], at_least: 1TiB}

engine:                              # left out: one is made; `engine: ceph` makes a Ceph cluster
  gateway: https://10.0.0.7:8443     # or a list of them
  managers: [10.0.0.7, 10.0.0.8, 10.0.0.9]
  user: admin
  password_file: /etc/artesian/engine.password
  secret_file: /etc/artesian/engine.secret
  certificate: /etc/artesian/gateway.crt

notify:                              # when a remedy asks, has failed, or is there to tell
  - webhook: https://example.org/pager
  - email: ops@example.org
  - command: /usr/local/bin/page --urgent

`rules`, `providers`, `budget` and `drills` are in `rules_file`, `providers_file` and `drills_file`; what else
can be said of the `engine` is in `engine_file`.
"""

from __future__ import annotations

import shlex

import yaml

from artesian.model.disk import Media, PoolName
from artesian.model.engine import ExistingEngine, Healing
from artesian.model.errors import SpecError
from artesian.model.rule import Budget, Notification, NotificationKind
from artesian.model.sizes import format_size
from artesian.model.spec import (
    DEFAULT_POOL,
    MINIMUM_DISK_BYTES,
    DiskSelector,
    ManagersSpec,
    NodeSelector,
    PoolSpec,
    Spec,
    Survives,
    Taking,
)
from artesian.strategy.drills_file import drills
from artesian.strategy.engine_file import engine
from artesian.strategy.providers_file import providers
from artesian.strategy.rules_file import RuleCheck, budget, check_disk_sizes, check_together, rules
from artesian.strategy.yaml_reading import (
    Place,
    Reader,
    boolean,
    choice,
    compose,
    list_of,
    located,
    mapping,
    percentage,
    size,
    text,
    texts,
)


def read_spec(text: str, name: str = "spec", check_rule: RuleCheck | None = None) -> Spec:
    """The spec in a text; `name` is what messages call it. Raises SpecError, naming the line.

    `check_rule` looks at what is not known here: the conditions of rules.
    """
    root = compose(text, name)
    if root is None:
        return Spec()
    place = Place(name)
    found = located(place, root, _SPEC)
    values = {key: value for key, (value, _) in found.items()}
    pools = values.get("pools", ())
    named = [pool.name for pool in pools]
    for pool_name in named:
        if named.count(pool_name) > 1:
            raise SpecError(f"{name}: pool {pool_name} is there twice")
    meant = values.get("engine")
    if isinstance(meant, ExistingEngine) and "managers" in values:
        raise SpecError(f"{name}: the managers of an engine that is there already stay where they are")
    ceph = meant.ceph if isinstance(meant, ExistingEngine) else meant
    if ceph is not None and values.get("minimum_disk", MINIMUM_DISK_BYTES) < MINIMUM_DISK_BYTES:
        least = format_size(MINIMUM_DISK_BYTES)
        raise SpecError(f"{name}: minimum_disk is too small: a disk of Ceph has {least} at least")
    written = values.get("rules", ())
    spec = Spec(
        global_pool=values.get("global_pool", None if pools else DEFAULT_POOL),
        pools=pools,
        managers=values.get("managers", ManagersSpec()),
        fault_set_attribute=values.get("fault_set_attribute", "scaleio-fault-set"),
        minimum_disk_bytes=values.get("minimum_disk", MINIMUM_DISK_BYTES),
        healing=values.get("healing"),
        new_disks=values.get("new_disks", Taking.ASK),
        new_nodes=values.get("new_nodes", Taking.ASK),
        engine=meant if isinstance(meant, ExistingEngine) else None,
        ceph=ceph,
        rules=tuple(one.rule for one in written),
        default_rules=values.get("default_rules", True),
        providers=values.get("providers", ()),
        budget=values.get("budget", Budget()),
        notify=values.get("notify", ()),
        drills=values.get("drills", ()),
    )
    if "providers" in found:
        check_disk_sizes(place, spec, found["providers"][1])
    check_together(place, spec, written, found["budget"][1] if "budget" in found else None, check_rule)
    return spec


def pool_name(place: Place, node: yaml.Node) -> PoolName:
    """`domain/pool`, or the pool alone."""
    parts = text(place, node).split("/")
    if len(parts) == 1:
        parts.insert(0, DEFAULT_POOL.domain)
    if len(parts) != 2 or not all(parts):
        raise place.wrong(node, "a pool is named pool, or domain/pool")
    return PoolName(*parts)


def _pool_or_none(place: Place, node: yaml.Node) -> PoolName | None:
    return None if text(place, node).lower() in ("none", "null", "no") else pool_name(place, node)


def _manager_count(place: Place, node: yaml.Node) -> int:
    written = text(place, node)
    if written not in ("1", "3", "5"):
        raise place.wrong(node, f"there can be 1, 3 or 5 managers, not {written}")
    return int(written)


def _attributes(place: Place, node: yaml.Node) -> dict[str, str]:
    if not isinstance(node, yaml.MappingNode):
        raise place.wrong(node, "attributes and what they have to be are expected here")
    return {text(place, key): text(place, value) for key, value in node.value}


def _nodes(place: Place, node: yaml.Node) -> NodeSelector:
    return NodeSelector(**mapping(place, node, {"names": texts, "attributes": _attributes}))


def _disks(place: Place, node: yaml.Node) -> DiskSelector:
    found = mapping(
        place,
        node,
        {"media": choice(Media), "models": texts, "paths": texts, "at_least": size, "at_most": size},
    )
    return DiskSelector(
        media=found.get("media"),
        models=found.get("models", ()),
        paths=found.get("paths", ()),
        at_least_bytes=found.get("at_least", 0),
        at_most_bytes=found.get("at_most"),
    )


def _managers(place: Place, node: yaml.Node) -> ManagersSpec:
    return ManagersSpec(**mapping(place, node, {"count": _manager_count, "nodes": _nodes}))


def _pool(place: Place, node: yaml.Node) -> PoolSpec:
    known: dict[str, Reader] = {
        "name": pool_name, "usable": size, "survives": choice(Survives), "spare": percentage(90),
        "nodes": _nodes, "disks": _disks,
    }  # fmt: skip
    found = mapping(place, node, known)
    if "name" not in found:
        raise place.wrong(node, "a pool needs a name")
    return PoolSpec(
        found["name"],
        usable_bytes=found.get("usable"),
        survives=found.get("survives", Survives.NODE),
        nodes=found.get("nodes", NodeSelector()),
        disks=found.get("disks", DiskSelector()),
        spare_percentage=found.get("spare", 10),
    )


def _notification(place: Place, node: yaml.Node) -> Notification:
    found = mapping(place, node, {str(kind): text for kind in NotificationKind})
    if len(found) != 1:
        raise place.wrong(node, "each is one webhook, command or email")
    ((kind, target),) = found.items()
    if kind == NotificationKind.WEBHOOK and not target.startswith(("http://", "https://")):
        raise place.wrong(node, f"a webhook is a URL, not {target!r}")
    if kind == NotificationKind.COMMAND and not _words(target):
        raise place.wrong(node, f"{target!r} is no command: a quotation mark may be missing")
    if kind == NotificationKind.EMAIL and "@" not in target:
        raise place.wrong(node, f"an e-mail goes to an address, not {target!r}")
    return Notification(NotificationKind(kind), target)


def _words(command: str) -> list[str]:
    """The words of a command; none if it has none, or cannot be read."""
    try:
        return shlex.split(command)
    except ValueError:
        return []


def _notifications(place: Place, node: yaml.Node) -> tuple[Notification, ...]:
    return list_of(place, node, _notification)


def _pools(place: Place, node: yaml.Node) -> tuple[PoolSpec, ...]:
    return list_of(place, node, _pool)


_SPEC: dict[str, Reader] = {
    "managers": _managers,
    "global_pool": _pool_or_none,
    "pools": _pools,
    "fault_set_attribute": text,
    "minimum_disk": size,
    "healing": choice(Healing),
    "new_disks": choice(Taking),
    "new_nodes": choice(Taking),
    "engine": engine,
    "notify": _notifications,
    "rules": rules,
    "default_rules": boolean,
    "providers": providers,
    "budget": budget,
    "drills": drills,
}
