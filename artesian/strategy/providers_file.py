"""Providers of disks in the spec.

providers:
  - name: fast                  # left out: its kind
    kind: ebs                   # file, spare or ebs; disks are asked of the first one that can give them
    lead_time: 2m               # how long a new disk takes; all of them have this, and
    disk_size: 100GiB           # how large a disk is, when nothing else is said
    region: eu-central-1        # the rest is of this kind alone
    volume_type: gp3
    iops: 6000
    throughput: 250
    tags: {team: storage}
    price_per_gib_month: 0.0952
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from artesian.model.provider_spec import EbsSpec, EbsType, FileSpec, ProviderKind, ProviderSpec, SpareSpec
from artesian.strategy.yaml_reading import (
    Place,
    Reader,
    amount,
    boolean,
    choice,
    count,
    duration,
    line_of,
    list_of,
    located,
    size,
    text,
    text_pairs,
)

_WITH_IOPS = (EbsType.GP3, EbsType.IO1, EbsType.IO2)
_NEEDING_IOPS = (EbsType.IO1, EbsType.IO2)
_WITH_THROUGHPUT = (EbsType.GP3,)
_LEAD_TIMES_S = {ProviderKind.FILE: 5.0, ProviderKind.SPARE: 5.0, ProviderKind.EBS: 120.0}

_COMMON: Mapping[str, Reader] = {
    "name": text,
    "kind": choice(ProviderKind),
    "lead_time": duration,
    "disk_size": size,
}


def _url(place: Place, node: yaml.Node) -> str:
    written = text(place, node)
    if not written.startswith(("http://", "https://")):
        raise place.wrong(node, f"an endpoint is a URL such as https://ec2.example.com, not {written!r}")
    return written


_KEYS: Mapping[ProviderKind, Mapping[str, Reader]] = {
    ProviderKind.FILE: {"max_disks_per_node": count(1), "price_per_gib_month": amount},
    ProviderKind.SPARE: {},
    ProviderKind.EBS: {
        "region": text,
        "endpoint_url": _url,
        "profile": text,
        "volume_type": choice(EbsType),
        "iops": count(1),
        "throughput": count(1),
        "encrypted": boolean,
        "kms_key_id": text,
        "tags": text_pairs,
        "price_per_gib_month": amount,
        "price_per_iops_month": amount,
        "price_per_mib_s_month": amount,
        "max_attachments": count(1),
        "quota_gib": count(1),
        "instance_attribute": text,
        "attach_timeout": duration,
        "detach_timeout": duration,
    },
}
_IN_SECONDS = ("attach_timeout", "detach_timeout")


def providers(place: Place, node: yaml.Node) -> tuple[ProviderSpec, ...]:
    """All providers, in their order; their names differ."""
    found = list_of(place, node, lambda where, item: (_provider(where, item), item))
    names: set[str] = set()
    for provider, item in found:
        if provider.name in names:
            raise place.wrong(item, f"provider {provider.name} is there twice: give each a name of its own")
        names.add(provider.name)
    return tuple(provider for provider, _ in found)


def _provider(place: Place, node: yaml.Node) -> ProviderSpec:
    kind = _kind(place, node)
    found = located(place, node, {**_COMMON, **_KEYS[kind]}, ("kind",))
    values = {key: value for key, (value, _) in found.items()}
    own = {f"{key}_s" if key in _IN_SECONDS else key: values[key] for key in _KEYS[kind] if key in values}
    settings: FileSpec | SpareSpec | EbsSpec
    match kind:
        case ProviderKind.FILE:
            settings = FileSpec(**own)
        case ProviderKind.SPARE:
            settings = SpareSpec()
        case ProviderKind.EBS:
            settings = EbsSpec(**own)
            _check_ebs(place, settings, found)
    lead_time_s = values.get("lead_time", _LEAD_TIMES_S[kind])
    name, size_bytes = values.get("name", str(kind)), values.get("disk_size")
    return ProviderSpec(name, settings, lead_time_s, size_bytes, line_of(node))


def _kind(place: Place, node: yaml.Node) -> ProviderKind:
    """The kind comes first, as it says which other keys there are."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == "kind":
                return choice(ProviderKind)(place.within("kind"), value)
        raise place.wrong(node, f"kind is missing: {', '.join(ProviderKind)}")
    raise place.wrong(node, "a provider has keys and values, kind among them")


def _check_ebs(place: Place, ebs: EbsSpec, found: Mapping[str, tuple[Any, yaml.Node]]) -> None:
    """What contradicts itself, wherever it runs; Amazon's own limits are the adapter's."""
    kind = ebs.volume_type
    if ebs.iops is not None and kind not in _WITH_IOPS:
        raise place.within("iops").wrong(
            found["iops"][1], f"the iops of volumes of type {kind} cannot be chosen"
        )
    if ebs.iops is None and kind in _NEEDING_IOPS:
        raise place.within("volume_type").wrong(found["volume_type"][1], f"volumes of type {kind} need iops")
    if ebs.throughput is not None and kind not in _WITH_THROUGHPUT:
        raise place.within("throughput").wrong(
            found["throughput"][1], f"the throughput of volumes of type {kind} cannot be chosen"
        )
    if ebs.kms_key_id is not None and not ebs.encrypted:
        raise place.within("kms_key_id").wrong(
            found["kms_key_id"][1], "there is a key, but volumes are not to be encrypted"
        )
