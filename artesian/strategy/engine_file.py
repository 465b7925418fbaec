"""The part of a spec that says which engine holds the data.

engine: embedded                     # one is made, of Artesian's own kind; this is what nothing said means
engine: ceph                         # a Ceph cluster is made
engine: {kind: ceph, osd_memory: 1GiB, heal_after: 2m}

A mapping without a kind names an engine that is there already; so does one of a Ceph's monitors:

engine:
  kind: ceph
  monitors: [10.0.0.7, 10.0.0.8, 10.0.0.9]
  user: admin                        # this is what nothing said means
  keyring_file: /etc/ceph/ceph.client.admin.keyring
  fsid: 6a1f0c0e-…                   # left out: whichever answers; the plan shows it
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

import yaml

from artesian.model.engine import CephSettings, ExistingEngine
from artesian.strategy.yaml_reading import Place, Reader, duration, mapping, nearest, size, text, texts

LEAST_OSD_MEMORY_BYTES = 512 << 20
LEAST_HEAL_AFTER_S = 10
Meant = CephSettings | ExistingEngine | None
_ADDRESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?")


def engine(place: Place, node: yaml.Node) -> Meant:
    """What is to be made or adopted; None: the embedded engine is made."""
    if isinstance(node, yaml.ScalarNode):
        return _OF_KIND[_kind(place, node)](place, yaml.MappingNode("", [], node.start_mark, node.end_mark))
    if not isinstance(node, yaml.MappingNode):
        raise place.wrong(node, f"here comes one of {', '.join(_OF_KIND)}, or keys and values")
    keys = {str(key.value): (key, value) for key, value in node.value}
    if "kind" in keys:
        return _OF_KIND[_kind(place.within("kind"), keys["kind"][1])](place, node)
    for key, (key_node, _) in keys.items():
        if key in _CEPH and key not in _EXISTING:
            raise place.wrong(key_node, f"{key} is of a Ceph cluster, so kind: ceph is missing")
    return _existing(place, node)


def _kind(place: Place, node: yaml.Node) -> str:
    word = text(place, node)
    if word not in _OF_KIND:
        raise place.wrong(node, f"{word!r} is no engine that can be made{nearest(word, _OF_KIND)}")
    return word


def _embedded(place: Place, node: yaml.Node) -> None:
    mapping(place, node, {"kind": text})


def _ceph(place: Place, node: yaml.Node) -> CephSettings | ExistingEngine:
    found = mapping(place, node, _CEPH)
    usual = CephSettings()
    settings = CephSettings(
        found.get("osd_memory", usual.osd_memory_bytes), found.get("heal_after", usual.heal_after_s)
    )
    if not found.keys() & _CEPH_THAT_IS_THERE:
        return settings
    for needed in ("monitors", "keyring_file"):
        if needed not in found:
            raise place.wrong(node, f"{needed} is missing: without it a Ceph that is there is not reached")
    return ExistingEngine(
        (),
        found["monitors"],
        found.get("user", "admin"),
        found["keyring_file"],
        "",
        system_id=found.get("fsid", ""),
        ceph=settings,
    )


def _fsid(place: Place, node: yaml.Node) -> str:
    written = text(place, node)
    try:
        return str(uuid.UUID(written))
    except ValueError:
        raise place.wrong(node, f"{written!r} is no fsid: ceph fsid shows it") from None


def _osd_memory(place: Place, node: yaml.Node) -> int:
    found = size(place, node)
    if found < LEAST_OSD_MEMORY_BYTES:
        raise place.wrong(node, f"an OSD needs {LEAST_OSD_MEMORY_BYTES >> 20} MiB at least")
    return found


def _heal_after(place: Place, node: yaml.Node) -> int:
    found = duration(place, node)
    if found < LEAST_HEAL_AFTER_S:
        raise place.wrong(
            node, f"{LEAST_HEAL_AFTER_S}s is the least: a process that begins anew is away as long"
        )
    return round(found)


def _existing(place: Place, node: yaml.Node) -> ExistingEngine:
    found = mapping(place, node, _EXISTING, ("gateway", "managers", "password_file", "secret_file"))
    return ExistingEngine(
        found["gateway"],
        found["managers"],
        found.get("user", "admin"),
        found["password_file"],
        found["secret_file"],
        found.get("certificate"),
    )


def _gateways(place: Place, node: yaml.Node) -> tuple[str, ...]:
    urls = texts(place, node)
    for url in urls:
        if not url.startswith("https://"):
            raise place.wrong(node, f"a gateway is a URL such as https://10.0.0.7:8443, not {url!r}")
    return urls


def _addresses(place: Place, node: yaml.Node) -> tuple[str, ...]:
    addresses = texts(place, node)
    for address in addresses:
        if _ADDRESS.fullmatch(address) is None:
            raise place.wrong(
                node, f"a manager is an address such as 10.0.0.7 or 10.0.0.7:6611, not {address!r}"
            )
    return addresses


def _path(place: Place, node: yaml.Node) -> str:
    written = text(place, node)
    if not written.startswith("/"):
        raise place.wrong(node, "the whole path is needed, from / on: the scheduler reads the file")
    return written


_CEPH: dict[str, Reader] = {
    "kind": text, "osd_memory": _osd_memory, "heal_after": _heal_after, "monitors": _addresses, "user": text,
    "keyring_file": _path, "fsid": _fsid,
}  # fmt: skip
_CEPH_THAT_IS_THERE = frozenset({"monitors", "user", "keyring_file", "fsid"})
_EXISTING: dict[str, Reader] = {
    "gateway": _gateways, "managers": _addresses, "user": text, "password_file": _path,
    "secret_file": _path, "certificate": _path,
}  # fmt: skip
_OF_KIND: dict[str, Callable[[Place, yaml.Node], Meant]] = {"embedded": _embedded, "ceph": _ceph}
