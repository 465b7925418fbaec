"""Providers in specs, and saying what is wrong with them."""

from __future__ import annotations

import pytest

from artesian.model.errors import SpecError
from artesian.model.provider_spec import EbsSpec, EbsType, FileSpec, ProviderKind, ProviderSpec, SpareSpec
from artesian.strategy.spec_file import read_spec
from tests.strategy.clusters import GIB

WHOLE = """
providers:
  - kind: spare
  - kind: file
    name: local
    max_disks_per_node: 4
    price_per_gib_month: 0.01
    lead_time: 2s
    disk_size: 1GiB
  - name: fast
    kind: ebs
    lead_time: 1m30s
    disk_size: 100GiB
    region: eu-central-1
    endpoint_url: http://127.0.0.1:5000
    profile: storage
    volume_type: gp3
    iops: 6000
    throughput: 250
    encrypted: yes
    kms_key_id: alias/storage
    tags: {team: storage, cost: "42"}
    price_per_gib_month: 0.0952
    price_per_iops_month: 0.006
    price_per_mib_s_month: 0.048
    max_attachments: 20
    quota_gib: 5000
    instance_attribute: instance
    attach_timeout: 3m
    detach_timeout: 1m
"""


def test_everything_that_can_be_said() -> None:
    ebs = EbsSpec(
        "eu-central-1", "http://127.0.0.1:5000", "storage", EbsType.GP3, 6000, 250, True, "alias/storage",
        {"team": "storage", "cost": "42"}, 0.0952, 0.006, 0.048, 20, 5000, "instance", 180.0, 60.0,
    )  # fmt: skip
    assert read_spec(WHOLE).providers == (
        ProviderSpec("spare", SpareSpec(), 5.0),
        ProviderSpec("local", FileSpec(4, 0.01), 2.0, GIB),
        ProviderSpec("fast", ebs, 90.0, 100 * GIB),
    )


def test_what_is_not_said_has_defaults() -> None:
    found = read_spec("providers: [{kind: file}, {kind: ebs}]").providers
    assert found == (ProviderSpec("file", FileSpec(), 5.0), ProviderSpec("ebs", EbsSpec(), 120.0))
    assert [one.kind for one in found] == [ProviderKind.FILE, ProviderKind.EBS]
    assert [one.price_per_gib_month for one in found] == [0.0, None]
    spare = read_spec("providers: [{kind: spare}]").providers[0]
    assert (spare.kind, spare.price_per_gib_month) == (ProviderKind.SPARE, 0.0)
    assert read_spec("").providers == ()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("providers: {kind: ebs}", "a list is expected here"),
        ("providers: [ebs]", "a provider has keys and values, kind among them"),
        ("providers:\n- name: a", "spec, line 2: providers: kind is missing: file, spare, ebs"),
        ("providers: [{kind: gce}]", "providers.kind: 'gce' is none of file, spare, ebs"),
        (
            "providers:\n- kind: spare\n  region: x",
            "spec, line 3: providers: region is not known; known here are",
        ),
        ("providers:\n- kind: ebs\n  regoin: x", "line 3: providers: regoin is not known; is region meant?"),
        ("providers: [{kind: file}, {kind: file}]", "provider file is there twice: give each a name"),
        ("providers: [{kind: ebs, volume_type: gp4}]", "'gp4' is none of gp2, gp3"),
        ("providers: [{kind: ebs, volume_type: gp2, iops: 9}]", "the iops of volumes of type gp2 cannot be"),
        ("providers: [{kind: ebs, volume_type: io2}]", "volumes of type io2 need iops"),
        (
            "providers: [{kind: ebs, volume_type: st1, throughput: 9}]",
            "the throughput of volumes of type st1",
        ),
        ("providers: [{kind: ebs, kms_key_id: a, encrypted: no}]", "volumes are not to be encrypted"),
        ("providers: [{kind: ebs, encrypted: perhaps}]", "yes or no is expected here"),
        ("providers: [{kind: ebs, tags: [a]}]", "keys and values are expected here"),
        ("providers: [{kind: ebs, endpoint_url: ec2}]", "an endpoint is a URL"),
        ("providers: [{kind: ebs, price_per_gib_month: -1}]", "a number like 0.08 is expected here"),
        ("providers: [{kind: ebs, max_attachments: many}]", "a whole number of at least 1"),
        ("providers: [{kind: ebs, lead_time: soon}]", "'soon' is not a time"),
        ("providers: [{kind: ebs, disk_size: 0}]", "a size is more than nothing"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, complaint: str) -> None:
    with pytest.raises(SpecError) as raised:
        read_spec(text)
    assert complaint in str(raised.value)
    assert str(raised.value).startswith("spec, line ")
