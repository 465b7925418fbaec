"""The spec as people write it: YAML, checked down to the line.

managers: {count: 3, nodes: {names: ["control-*"]}}
global_pool: engineering/qe          # or: none
new_disks: ask                       # ask, take or never; likewise new_nodes
minimum_disk: 10GiB
fault_set_attribute: rack
pools:
  - name: engineering/gold
    usable: 20TiB                    # left out: every disk that is selected
    survives: fault-set              # disk, node or fault-set
    spare: 10%
    nodes: {names: ["db-*"], attributes: {tier: fast}}
    disks: {media: ssd, models: ["INTEL*"], at_least: 1TiB}

engine:                              # left out: one is made
  gateway: https://10.0.0.7:8443     # or a list of them
  managers: [10.0.0.7, 10.0.0.8, 10.0.0.9]
  user: admin
  password_file: /etc/artesian/engine.password
  secret_file: /etc/artesian/engine.secret
  certificate: /etc/artesian/gateway.crt
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from typing import Any, TypeVar

import yaml

from artesian.model.disk import Media, PoolName
from artesian.model.engine import ExistingEngine
from artesian.model.errors import SpecError
from artesian.model.sizes import parse_size
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

T = TypeVar("T")
_ADDRESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?")
Reader = Callable[["_Place", yaml.Node], Any]


def read_spec(text: str, name: str = "spec") -> Spec:
    """The spec in a text; `name` is what messages call it. Raises SpecError, naming the line."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
        raise SpecError(f"{name}, line {line}: this is not YAML: {error.problem}") from error
    except (yaml.YAMLError, RecursionError) as error:
        summary = str(error).splitlines() or ["it is nested too deeply"]
        raise SpecError(f"{name}: this is not YAML: {summary[0]}") from error
    if root is None:
        return Spec()
    found = _mapping(_Place(name, ""), root, _SPEC)
    pools = found.get("pools", ())
    named = [pool.name for pool in pools]
    for pool_name in named:
        if named.count(pool_name) > 1:
            raise SpecError(f"{name}: pool {pool_name} is there twice")
    if "engine" in found and "managers" in found:
        raise SpecError(f"{name}: the managers of an engine that is there already stay where they are")
    return Spec(
        global_pool=found.get("global_pool", None if pools else DEFAULT_POOL),
        pools=pools,
        managers=found.get("managers", ManagersSpec()),
        fault_set_attribute=found.get("fault_set_attribute", "scaleio-fault-set"),
        minimum_disk_bytes=found.get("minimum_disk", MINIMUM_DISK_BYTES),
        new_disks=found.get("new_disks", Taking.ASK),
        new_nodes=found.get("new_nodes", Taking.ASK),
        engine=found.get("engine"),
    )


class _Place:
    """Where in the spec something is, for messages."""

    def __init__(self, file: str, key: str) -> None:
        self.file = file
        self.key = key

    def within(self, key: str) -> _Place:
        return _Place(self.file, f"{self.key}.{key}" if self.key else key)

    def wrong(self, node: yaml.Node, problem: str) -> SpecError:
        where = f" {self.key}:" if self.key else ""
        return SpecError(f"{self.file}, line {node.start_mark.line + 1}:{where} {problem}")


def _mapping(place: _Place, node: yaml.Node, known: dict[str, Reader]) -> dict[str, Any]:
    if not isinstance(node, yaml.MappingNode):
        raise place.wrong(node, f"here come keys and values ({', '.join(known)})")
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = str(key_node.value)
        if key not in known:
            close = difflib.get_close_matches(key, known, 1)
            hint = f"; is {close[0]} meant?" if close else f"; known here are {', '.join(known)}"
            raise place.wrong(key_node, f"{key} is not known" + hint)
        if key in found:
            raise place.wrong(key_node, f"{key} is there twice")
        found[key] = known[key](place.within(key), value_node)
    return found


def _text(place: _Place, node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode) or not node.value.strip():
        raise place.wrong(node, "a word or a text is expected here")
    return str(node.value).strip()


def _texts(place: _Place, node: yaml.Node) -> tuple[str, ...]:
    if isinstance(node, yaml.ScalarNode):
        return (_text(place, node),)
    return _list(place, node, _text)


def _list(place: _Place, node: yaml.Node, read: Callable[[_Place, yaml.Node], T]) -> tuple[T, ...]:
    if not isinstance(node, yaml.SequenceNode):
        raise place.wrong(node, "a list is expected here")
    return tuple(read(place, item) for item in node.value)


def _size(place: _Place, node: yaml.Node) -> int:
    try:
        size = parse_size(_text(place, node))
    except ValueError as error:
        raise place.wrong(node, str(error)) from error
    if size <= 0:
        raise place.wrong(node, "a size is more than nothing")
    return size


def _choice(choices: type[T]) -> Callable[[_Place, yaml.Node], T]:
    def read(place: _Place, node: yaml.Node) -> T:
        text = _text(place, node)
        try:
            return choices(text)  # type: ignore[call-arg]
        except ValueError as error:
            words = [str(one) for one in choices]  # type: ignore[attr-defined]
            raise place.wrong(node, f"{text!r} is none of {', '.join(words)}") from error

    return read


def _pool_name(place: _Place, node: yaml.Node) -> PoolName:
    parts = _text(place, node).split("/")
    if len(parts) == 1:
        parts.insert(0, DEFAULT_POOL.domain)
    if len(parts) != 2 or not all(parts):
        raise place.wrong(node, "a pool is named pool, or domain/pool")
    return PoolName(*parts)


def _pool_or_none(place: _Place, node: yaml.Node) -> PoolName | None:
    return None if _text(place, node).lower() in ("none", "null", "no") else _pool_name(place, node)


def _manager_count(place: _Place, node: yaml.Node) -> int:
    text = _text(place, node)
    if text not in ("1", "3", "5"):
        raise place.wrong(node, f"there can be 1, 3 or 5 managers, not {text}")
    return int(text)


def _percentage(place: _Place, node: yaml.Node) -> int:
    text = _text(place, node).removesuffix("%").strip()
    if not text.isdecimal() or not 0 <= int(text) <= 90:
        raise place.wrong(node, "a share from 0% to 90% is expected here")
    return int(text)


def _attributes(place: _Place, node: yaml.Node) -> dict[str, str]:
    if not isinstance(node, yaml.MappingNode):
        raise place.wrong(node, "attributes and what they have to be are expected here")
    return {_text(place, key): _text(place, value) for key, value in node.value}


def _nodes(place: _Place, node: yaml.Node) -> NodeSelector:
    return NodeSelector(**_mapping(place, node, {"names": _texts, "attributes": _attributes}))


def _disks(place: _Place, node: yaml.Node) -> DiskSelector:
    found = _mapping(
        place,
        node,
        {"media": _choice(Media), "models": _texts, "paths": _texts, "at_least": _size, "at_most": _size},
    )
    return DiskSelector(
        media=found.get("media"),
        models=found.get("models", ()),
        paths=found.get("paths", ()),
        at_least_bytes=found.get("at_least", 0),
        at_most_bytes=found.get("at_most"),
    )


def _managers(place: _Place, node: yaml.Node) -> ManagersSpec:
    return ManagersSpec(**_mapping(place, node, {"count": _manager_count, "nodes": _nodes}))


def _pool(place: _Place, node: yaml.Node) -> PoolSpec:
    known: dict[str, Reader] = {
        "name": _pool_name, "usable": _size, "survives": _choice(Survives), "spare": _percentage,
        "nodes": _nodes, "disks": _disks,
    }  # fmt: skip
    found = _mapping(place, node, known)
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


def _gateways(place: _Place, node: yaml.Node) -> tuple[str, ...]:
    urls = _texts(place, node)
    for url in urls:
        if not url.startswith("https://"):
            raise place.wrong(node, f"a gateway is a URL such as https://10.0.0.7:8443, not {url!r}")
    return urls


def _addresses(place: _Place, node: yaml.Node) -> tuple[str, ...]:
    addresses = _texts(place, node)
    for address in addresses:
        if _ADDRESS.fullmatch(address) is None:
            raise place.wrong(
                node, f"a manager is an address such as 10.0.0.7 or 10.0.0.7:6611, not {address!r}"
            )
    return addresses


def _path(place: _Place, node: yaml.Node) -> str:
    text = _text(place, node)
    if not text.startswith("/"):
        raise place.wrong(node, "the whole path is needed, from / on: the scheduler reads the file")
    return text


def _engine(place: _Place, node: yaml.Node) -> ExistingEngine:
    known: dict[str, Reader] = {
        "gateway": _gateways, "managers": _addresses, "user": _text, "password_file": _path,
        "secret_file": _path, "certificate": _path,
    }  # fmt: skip
    found = _mapping(place, node, known)
    missing = [key for key in ("gateway", "managers", "password_file", "secret_file") if key not in found]
    if missing:
        raise place.wrong(node, f"{missing[0]} is missing")
    return ExistingEngine(
        found["gateway"],
        found["managers"],
        found.get("user", "admin"),
        found["password_file"],
        found["secret_file"],
        found.get("certificate"),
    )


def _pools(place: _Place, node: yaml.Node) -> tuple[PoolSpec, ...]:
    return _list(place, node, _pool)


_SPEC: dict[str, Reader] = {
    "managers": _managers,
    "global_pool": _pool_or_none,
    "pools": _pools,
    "fault_set_attribute": _text,
    "minimum_disk": _size,
    "new_disks": _choice(Taking),
    "new_nodes": _choice(Taking),
    "engine": _engine,
}
