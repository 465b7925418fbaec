"""Reading specs, and saying what is wrong with them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artesian.model.disk import Media, PoolName
from artesian.model.engine import CephSettings, ExistingEngine, Healing
from artesian.model.errors import SpecError
from artesian.model.spec import DiskSelector, ManagersSpec, NodeSelector, PoolSpec, Spec, Survives, Taking
from artesian.strategy.spec_file import read_spec
from tests.strategy.clusters import GIB, TIB

WHOLE = """
managers: {count: 5, nodes: {names: ["control-*"]}}
global_pool: none
new_disks: take
minimum_disk: 10GiB
fault_set_attribute: rack
pools:
  - name: engineering/gold
    usable: 20TiB
    survives: fault-set
    spare: 20%
    nodes: {names: db-*, attributes: {tier: fast}}
    disks: {media: ssd, models: ["INTEL*"], at_least: 1TiB}
  - name: scratch
"""
EXISTING = """
engine:
  gateway: https://10.0.0.7:8443
  managers: [10.0.0.7, "10.0.0.8:7000"]
  password_file: /etc/password
  secret_file: /etc/secret
"""


def test_everything_that_can_be_said() -> None:
    gold = PoolSpec(
        PoolName("engineering", "gold"), 20 * TIB, Survives.FAULT_SET,
        NodeSelector(("db-*",), {"tier": "fast"}),
        DiskSelector(Media.SSD, ("INTEL*",), at_least_bytes=TIB), 20,
    )  # fmt: skip
    assert read_spec(WHOLE) == Spec(
        global_pool=None,
        pools=(gold, PoolSpec(PoolName("default", "scratch"))),
        managers=ManagersSpec(5, NodeSelector(("control-*",))),
        fault_set_attribute="rack",
        minimum_disk_bytes=10 * GIB,
        new_disks=Taking.TAKE,
    )


def test_how_much_healing_may_disturb() -> None:
    assert read_spec("managers: {count: 3}").healing is None
    assert read_spec("healing: favor-applications").healing is Healing.FAVOR_APPLICATIONS
    with pytest.raises(SpecError, match=r"line 1: healing: .*unlimited"):
        read_spec("healing: much")


def test_an_engine_that_is_there_already() -> None:
    assert read_spec(EXISTING).engine == ExistingEngine(
        ("https://10.0.0.7:8443",), ("10.0.0.7", "10.0.0.8:7000"), "admin", "/etc/password", "/etc/secret"
    )


@pytest.mark.parametrize("text", ["engine: embedded", "engine: {kind: embedded}", "managers: {count: 3}"])
def test_an_engine_of_our_own_is_made_unless_more_is_said(text: str) -> None:
    spec = read_spec(text)
    assert spec.engine is None and spec.ceph is None


@pytest.mark.parametrize(
    ("text", "ceph"),
    [
        ("engine: ceph", CephSettings()),
        ("engine: {kind: ceph}", CephSettings()),
        ("engine: {kind: ceph, osd_memory: 512MiB}", CephSettings(osd_memory_bytes=GIB // 2)),
        ("engine: {heal_after: 10s, kind: ceph}", CephSettings(heal_after_s=10)),
        ("engine: {kind: ceph, osd_memory: 4GiB, heal_after: 1h}", CephSettings(4 * GIB, 3600)),
        ("engine: ceph\nmanagers: {count: 5}", CephSettings()),
    ],
)
def test_ceph_is_made_when_it_is_asked_for(text: str, ceph: CephSettings) -> None:
    spec = read_spec(text)
    assert spec.engine is None and spec.ceph == ceph


def test_whom_to_tell() -> None:
    spec = read_spec("notify: [{webhook: 'https://a/b'}, {email: ops@a}, {command: page --urgent}]")
    assert [(one.kind.value, one.target) for one in spec.notify] == [
        ("webhook", "https://a/b"), ("email", "ops@a"), ("command", "page --urgent"),
    ]  # fmt: skip


def test_nothing_said_is_the_global_pool() -> None:
    assert read_spec("") == read_spec("# nothing") == Spec()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("pols: []", "spec, line 1: pols is not known; is pools meant?"),
        (
            "pools:\n  - name: a\n    usabel: 1TiB",
            "spec, line 3: pools: usabel is not known; is usable meant?",
        ),
        ("new_disks: maybe", "line 1: new_disks: 'maybe' is none of ask, take, never"),
        ("managers:\n  count: 4", "line 2: managers.count: there can be 1, 3 or 5 managers, not 4"),
        ("pools:\n- usable: 1TiB", "line 2: pools: a pool needs a name"),
        ("pools:\n- name: a\n- name: default/a", "pool default/a is there twice"),
        ("pools: {name: a}", "line 1: pools: a list is expected here"),
        ('notify: [{command: "sh -c \'echo"}]', "is no command: a quotation mark may be missing"),
        ("minimum_disk: big", "'big' is not a size"),
        ("minimum_disk: 0", "a size is more than nothing"),
        ("global_pool: a/b/c", "a pool is named pool, or domain/pool"),
        ("pools:\n- name: a\n  spare: 95%", "from 0% to 90%"),
        ("pools: [", "this is not YAML"),
        ("- a", "here come keys and values"),
        ("new_disks: ask\nnew_disks: take", "line 2: new_disks is there twice"),
        ("pools:\n- name: a\n  nodes: {attributes: [x]}", "attributes and what they have to be"),
        ("managers: {nodes: {names: [[a]]}}", "a word or a text"),
        ("zzz: 1", "known here are managers"),
        ("engine: {gateway: https://a}", "line 1: engine: managers is missing"),
        ("engine: {gateway: 10.0.0.7}", "a gateway is a URL such as"),
        ("engine: {managers: ['https://a:1']}", "a manager is an address such as"),
        ("engine: {secret_file: secret}", "the whole path is needed"),
        (
            "global_pool: a\nengine: cehp",
            "line 2: engine: 'cehp' is no engine that can be made; is ceph meant?",
        ),
        (
            "engine: {kind: powerflex}",
            "line 1: engine.kind: 'powerflex' is no engine that can be made; known",
        ),
        ("engine: [ceph]", "line 1: engine: here comes one of embedded, ceph, or keys and values"),
        ("engine:", "line 1: engine: a word or a text is expected here"),
        ("engine:\n  kind: ceph\n  osd_memory: 511MiB", "line 3: engine.osd_memory: an OSD needs 512 MiB"),
        ("engine: {kind: ceph, osd_memory: much}", "engine.osd_memory: 'much' is not a size"),
        ("engine: {kind: ceph, heal_after: 9s}", "engine.heal_after: 10s is the least"),
        ("engine: {kind: ceph, heal_after: soon}", "engine.heal_after: "),
        ("engine: {kind: ceph, gateway: https://a}", "engine: gateway is not known"),
        ("engine: {kind: ceph, kind: ceph}", "engine: kind is there twice"),
        (
            "engine: {kind: embedded, osd_memory: 1GiB}",
            "engine: osd_memory is not known; known here are kind",
        ),
        ("engine:\n  osd_memory: 1GiB", "line 2: engine: osd_memory is of a Ceph cluster, so kind: ceph is"),
        ("notify: [{webhook: pager}]", "line 1: notify: a webhook is a URL"),
        ("notify: [{email: ops}]", "an e-mail goes to an address"),
        ("notify: [{email: a@b, command: c}]", "each is one webhook, command or email"),
        (EXISTING + "managers: {count: 3}", "stay where they are"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, complaint: str) -> None:
    with pytest.raises(SpecError) as raised:
        read_spec(text)
    assert complaint in str(raised.value)


@given(st.text(alphabet="pools: -name{}[]\n#&*!|>%@`'\"\t0129a,", max_size=60))
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    try:
        read_spec(text)
    except SpecError as error:
        assert str(error).startswith("spec")


CEPH_THAT_IS_THERE = """
engine:
  kind: ceph
  monitors: [10.0.0.7, "10.0.0.8:3300"]
  keyring_file: /etc/ceph/ceph.client.admin.keyring
"""


def test_a_ceph_that_is_there_is_named_by_its_monitors() -> None:
    spec = read_spec(CEPH_THAT_IS_THERE)
    assert spec.engine == ExistingEngine(
        (),
        ("10.0.0.7", "10.0.0.8:3300"),
        "admin",
        "/etc/ceph/ceph.client.admin.keyring",
        "",
        ceph=CephSettings(),
    )
    assert spec.ceph == CephSettings()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("engine: {kind: ceph, monitors: [10.0.0.7]}", "keyring_file is missing"),
        ("engine: {kind: ceph, keyring_file: /k}", "monitors is missing"),
        ("engine: {kind: ceph, monitors: [10.0.0.7], keyring_file: k}", "whole path"),
        ("engine: {kind: ceph, monitors: [10.0.0.7], keyring_file: /k, fsid: 12}", "no fsid"),
        (f"{CEPH_THAT_IS_THERE}managers: {{count: 3}}", "stay where they are"),
        ("engine: ceph\nminimum_disk: 100MiB", "has 1.0 GiB at least"),
    ],
)
def test_what_is_said_of_a_ceph_that_is_there_is_checked(text: str, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        read_spec(text)
