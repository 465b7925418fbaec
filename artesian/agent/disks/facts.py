"""Disks out of what lsblk prints and what was probed: pure, no system is asked."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

from artesian.agent.disks.errors import DisksUnknown
from artesian.model.disk import Disk, EngineLabel, Media

JsonObject: TypeAlias = dict[str, Any]

SOMEBODY = "somebody (exclusively)"  # a holder that the kernel does not name
_SWAP = "[SWAP]"
_SYSTEM_MOUNTS = frozenset({"/", "/boot", "/boot/efi", "/efi", "/usr", "/var", _SWAP})
# lsblk calls them disks too: memory, floppies, and volumes that come over the network, also our own ones.
_NO_DISKS = ("ram", "zram", "fd", "nbd", "rbd", "scini", "drbd", "zd")
_NOTHING_BUT_ZEROS = re.compile(r"(0x|eui\.|naa\.|nvme\.|t10\.|uuid\.)?[0.:_-]*")
_NO_LINKS: Mapping[str, tuple[str, ...]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Probe:
    """What a disk itself says when it is looked at, and who holds it.

    `label_uuid` is that of the superblock with the label. `unreadable` says what could not be found out.
    """

    signatures: tuple[str, ...] = ()
    label: EngineLabel | None = None
    label_uuid: str = ""
    holders: tuple[str, ...] = ()
    unreadable: str = ""


@dataclass(slots=True)
class _Device:
    row: Mapping[str, Any]
    children: list[_Device] = field(default_factory=list)

    @property
    def path(self) -> str:
        return _text(self.row, "path") or f"/dev/{_text(self.row, 'name')}"

    @property
    def kernel_name(self) -> str:
        return _text(self.row, "kname") or _text(self.row, "name")

    @property
    def kind(self) -> str:
        return _text(self.row, "type")

    def with_all_below(self) -> Iterator[_Device]:
        """It and everything that is built on it, however deep."""
        yield self
        for child in self.children:
            yield from child.with_all_below()

    def mountpoints(self) -> tuple[str, ...]:
        """Where it and everything below it is mounted; swap is mounted at "[SWAP]"."""
        found: dict[str, None] = {}
        for device in self.with_all_below():
            several = device.row.get("mountpoints")
            for place in [*(several if isinstance(several, list) else []), device.row.get("mountpoint")]:
                if place:
                    found[str(place)] = None
        return tuple(sorted(found))

    def partitions(self) -> tuple[str, ...]:
        return tuple(sorted({child.path for child in self.children if child.kind == "part"}))


def disks_from_lsblk(
    document: Mapping[str, Any],
    probes: Mapping[str, Probe],
    *,
    links: Mapping[str, tuple[str, ...]] = _NO_LINKS,
    also: Collection[str] = (),
) -> list[Disk]:
    """The whole disks in what `lsblk --json --bytes` printed, by path.

    `probes` and `links` (further names) are by path of the disk. Loop devices, memory, optical drives and
    network volumes are left out, except those of a kind in `also`: "loop", "rom", "zram", "nbd" and so on.
    Raises DisksUnknown if this is no document of lsblk's.
    """
    return [
        _disk(device, probes.get(device.path), links.get(device.path, ()))
        for device in _whole_disks(document, also)
    ]


def paths_to_probe(document: Mapping[str, Any], *, also: Collection[str] = ()) -> list[str]:
    """The disks that are worth a look because they are neither mounted nor partitioned."""
    return [device.path for device in _whole_disks(document, also) if _is_worth_a_look(device)]


def _whole_disks(document: Mapping[str, Any], also: Collection[str]) -> list[_Device]:
    by_path = {device.path: device for device in _tree(document) if _is_wanted(device, also)}
    return [by_path[path] for path in sorted(by_path)]


def _tree(document: Mapping[str, Any]) -> list[_Device]:
    """The devices at the top, with all below them, also if the rows were printed as a flat list."""
    rows = document.get("blockdevices")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DisksUnknown("lsblk printed JSON without devices")
    devices = [_branch(row) for row in rows]
    by_name = {device.kernel_name: device for device in devices}
    for device in devices:
        parent = by_name.get(_text(device.row, "pkname"))
        if parent is not None and parent is not device:
            parent.children.append(device)
    return devices


def _branch(row: Mapping[str, Any]) -> _Device:
    return _Device(row, [_branch(child) for child in row.get("children") or []])


def _is_wanted(device: _Device, also: Collection[str]) -> bool:
    if device.kind != "disk":
        return device.kind in also
    kind = next((kind for kind in _NO_DISKS if re.fullmatch(rf"{kind}[0-9a-z]+", device.kernel_name)), None)
    return kind is None or kind in also


def _is_worth_a_look(device: _Device) -> bool:
    return not device.mountpoints() and not device.partitions()


def _disk(device: _Device, probe: Probe | None, links: tuple[str, ...]) -> Disk:
    row, mounted_at = device.row, device.mountpoints()
    unknown = _missing_facts(row)
    if probe is None and _is_worth_a_look(device):
        unknown.append("nobody has looked what is on it")
    if probe is not None and probe.unreadable:
        unknown.append(probe.unreadable)
    size_bytes, read_only = _whole_number(row.get("size")), _truth(row.get("ro"))
    return Disk(
        path=device.path,
        identity=_identity(row, probe),
        size_bytes=size_bytes or 0,
        media={True: Media.HDD, False: Media.SSD, None: Media.UNKNOWN}[_truth(row.get("rota"))],
        model=_text(row, "model"),
        read_only=bool(read_only),
        is_system=not _SYSTEM_MOUNTS.isdisjoint(mounted_at),
        mounted_at=mounted_at,
        holders=_holders(device, probe),
        partitions=device.partitions(),
        signatures=_signatures(row, probe),
        label=probe.label if probe is not None else None,
        other_paths=tuple(link for link in links if link != device.path),
        stable_path=next((link for link in links if "/by-id/" in link), ""),
        unreadable="; ".join(unknown),
    )


def _missing_facts(row: Mapping[str, Any]) -> list[str]:
    missing = []
    if _whole_number(row.get("size")) is None:
        missing.append("lsblk does not say its size")
    if _truth(row.get("ro")) is None:
        missing.append("lsblk does not say whether it is read-only")
    if "mountpoints" not in row and "mountpoint" not in row:
        missing.append("lsblk does not say whether it is mounted")
    return missing


def _identity(row: Mapping[str, Any], probe: Probe | None) -> str | None:
    """What stays with the disk. Numbers that the maker left at zero identify nothing."""
    world_wide_name, serial = _text(row, "wwn"), _text(row, "serial")
    if not _NOTHING_BUT_ZEROS.fullmatch(world_wide_name):
        return f"wwn:{world_wide_name}"
    if not _NOTHING_BUT_ZEROS.fullmatch(serial):
        return f"serial:{_text(row, 'model')}:{serial}"
    if probe is not None and probe.label_uuid:
        return f"uuid:{probe.label_uuid}"
    return None


def _holders(device: _Device, probe: Probe | None) -> tuple[str, ...]:
    """What is built on the disk or its partitions, by the names that lsblk has for it."""
    built = [other for other in device.with_all_below() if other is not device and other.kind != "part"]
    names = {f"/dev/{other.kernel_name}": other.path for other in built}
    found = {other.path for other in built}
    for holder in probe.holders if probe is not None else ():
        if holder != SOMEBODY or not built:
            found.add(names.get(holder, holder))
    return tuple(sorted(found))


def _signatures(row: Mapping[str, Any], probe: Probe | None) -> tuple[str, ...]:
    """A look that was complete counts; what lsblk says besides may be older than the disk's content."""
    told = tuple(_text(row, key) for key in ("fstype", "pttype") if _text(row, key))
    if probe is None:
        return tuple(dict.fromkeys(told))
    return tuple(dict.fromkeys(probe.signatures + (told if probe.unreadable else ())))


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    return str(value).strip() if value is not None else ""


def _truth(value: object) -> bool | None:
    """Versions of lsblk differ: true, 1 or "1"."""
    return {"1": True, "true": True, "0": False, "false": False}.get(str(value).lower())


def _whole_number(value: object) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() else None
