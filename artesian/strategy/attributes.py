"""What a node's attributes say: the imperative strategy's input, as the ScaleIO Framework had it.

    scaleio-sds-domains     mydomain,myotherdomain      domains to which the node gives disks
    scaleio-sds-<domain>    mypool                      its pools in that domain
    scaleio-sds-<pool>      /dev/xvdf,/dev/xvdg         its disks in that pool
    scaleio-sdc-domains     mydomain                    domains from which the node uses volumes
    scaleio-sdc-<domain>    mypool                      the pools there
    scaleio-persona         primary | secondary | tiebreaker | data
    scaleio-fault-set       rack-1

A domain and a pool that share a name share an attribute too: what begins with a slash is a disk, the rest are
pools.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from artesian.model.disk import PoolName
from artesian.model.errors import SpecError

PREFIX = "scaleio-"
PERSONAS = ("primary", "secondary", "tiebreaker", "data")


@dataclass(frozen=True, slots=True)
class NodeAttributes:
    """A node's explicit part. `serves`: None when it says nothing of disks; `uses`: likewise of volumes."""

    serves: tuple[tuple[PoolName, tuple[str, ...]], ...] | None = None
    uses: tuple[PoolName, ...] | None = None
    persona: str | None = None
    fault_set: str | None = None


def read_attributes(
    node: str, attributes: Mapping[str, str], fault_set_attribute: str = "scaleio-fault-set"
) -> NodeAttributes:
    """The node's attributes in order. Raises SpecError, naming the node and the attribute."""
    reader = _Reader(node, attributes)
    persona = attributes.get("scaleio-persona", "").strip().lower() or None
    if persona is not None and persona not in PERSONAS:
        raise SpecError(
            f"node {node}: scaleio-persona is {persona!r}; it can be {', '.join(PERSONAS)}"
            + _meant(persona, PERSONAS)
        )
    serves = uses = None
    if "scaleio-sds-domains" in attributes:
        serves = tuple((name, reader.disks(name)) for name in reader.pools("sds"))
        _check_disks(node, serves)
    if "scaleio-sdc-domains" in attributes:
        uses = tuple(reader.pools("sdc"))
    reader.check_all_used(fault_set_attribute)
    return NodeAttributes(serves, uses, persona, attributes.get(fault_set_attribute, "").strip() or None)


class _Reader:
    def __init__(self, node: str, attributes: Mapping[str, str]) -> None:
        self._node = node
        self._attributes = attributes
        self._used = {"scaleio-persona"}

    def pools(self, kind: str) -> list[PoolName]:
        """All pools of all domains, in the order in which they are named."""
        found: list[PoolName] = []
        for domain in self._names(f"scaleio-{kind}-domains"):
            pools = [name for name in self._names(f"scaleio-{kind}-{domain}") if not name.startswith("/")]
            if not pools:
                raise SpecError(
                    f"node {self._node}: scaleio-{kind}-{domain} names no pool, but domain {domain} is listed"
                )
            found.extend(PoolName(domain, pool) for pool in pools)
        if len(set(found)) < len(found):
            raise SpecError(f"node {self._node}: scaleio-{kind}-domains leads to one pool twice")
        return found

    def disks(self, pool: PoolName) -> tuple[str, ...]:
        """The disks of one pool."""
        key = f"scaleio-sds-{pool.pool}"
        paths = tuple(name for name in self._names(key) if name.startswith("/"))
        if not paths:
            raise SpecError(
                f"node {self._node}: {key} names no disk (a path like /dev/sdb), but pool {pool} is listed"
            )
        return paths

    def _names(self, key: str) -> list[str]:
        self._used.add(key)
        value = self._attributes.get(key)
        if value is None:
            others = [other for other in self._attributes if other.startswith(PREFIX)]
            raise SpecError(f"node {self._node}: attribute {key} is missing" + _meant(key, others))
        return [name.strip() for name in value.split(",") if name.strip()]

    def check_all_used(self, fault_set_attribute: str) -> None:
        """An attribute that nothing leads to is a mistake, and most likely a disk that is forgotten."""
        for key in sorted(self._attributes):
            if not key.startswith(PREFIX) or key in self._used or key == fault_set_attribute:
                continue
            known = {"scaleio-sds-domains", "scaleio-sdc-domains", fault_set_attribute, *self._used}
            problem = "is not known"
            if key.startswith(("scaleio-sds-", "scaleio-sdc-")):
                problem = f"is not reached from scaleio-{key[8:11]}-domains"
            raise SpecError(f"node {self._node}: attribute {key} {problem}" + _meant(key, known))


def _check_disks(node: str, serves: tuple[tuple[PoolName, tuple[str, ...]], ...]) -> None:
    owner: dict[str, PoolName] = {}
    for pool, paths in serves:
        for path in paths:
            if path in owner:
                raise SpecError(f"node {node}: disk {path} is in pool {owner[path]} and in pool {pool}")
            owner[path] = pool


def _meant(word: str, known: object) -> str:
    """A hint at the nearest word that is known."""
    close = difflib.get_close_matches(word, list(known), 1)  # type: ignore[call-overload]
    return f"; is {close[0]} meant?" if close and close[0] != word else ""
