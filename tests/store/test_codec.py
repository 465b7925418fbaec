"""The framework's state as documents: there and back again, and only what has changed is written."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artesian.model.disk import Claim, PoolName, Tombstone
from artesian.model.engine import ExistingEngine, ManagerPlace, SnapshotId
from artesian.model.pause import Pause
from artesian.model.remedy import Machine, Part, PartState, Remedy, RemedyState
from artesian.model.rule import RemedyKind
from artesian.model.state import Approval, EngineIdentity, FrameworkState, NodeRecord, Stopping
from artesian.model.topology import ManagerRole
from artesian.model.wishes import SnapshotWish, VolumeWish
from artesian.store.codec import changed_documents, state_from_documents
from artesian.store.port import StoreUnusable

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.sampled_from(["a", "b", "node-1", "serial:x/y/z", "wwn:0x5", "ä b"])
maybe = st.one_of(st.none(), texts)
pools = st.builds(PoolName, texts, texts)
sizes = st.integers(0, 1 << 60)
managers = st.builds(ManagerPlace, texts, texts, st.sampled_from(ManagerRole))
existing = st.builds(
    ExistingEngine, st.tuples(texts), st.tuples(texts, texts), texts, texts, texts, certificate=maybe
)
floats = st.floats(allow_nan=False, allow_infinity=False)
parts = st.builds(
    Part, texts, texts, texts, sizes, st.sampled_from(PartState), floats, floats, floats, texts, texts, texts
)
remedies = st.builds(
    Remedy,
    texts,
    texts,
    st.sampled_from(RemedyKind),
    texts,
    texts,
    st.sampled_from(RemedyState),
    floats,
    floats,
    saw=st.dictionaries(texts, floats, max_size=2),
    parameters=st.dictionaries(texts, floats | texts, max_size=2),
    parts=st.lists(parts, max_size=2).map(tuple),
    pool=st.none() | pools,
    detail=texts,
    machine=st.none() | st.builds(Machine, texts, sizes, sizes, floats, floats, texts, st.booleans()),
)
states = st.builds(
    FrameworkState,
    spec_text=texts,
    engine=st.none()
    | st.builds(
        EngineIdentity,
        texts,
        texts,
        texts,
        st.lists(managers, max_size=3).map(tuple),
        adopted=st.none() | existing,
    ),
    engine_seen_once=st.booleans(),
    paused=st.booleans(),
    stopping=st.sampled_from(Stopping),
    nodes=st.dictionaries(
        names,
        st.builds(
            NodeRecord,
            st.booleans(),
            st.booleans(),
            st.booleans(),
            st.booleans(),
            st.lists(texts, max_size=2).map(tuple),
            texts,
            without_manager=st.booleans(),
        ),
        max_size=3,
    ),
    remedies=st.dictionaries(names, remedies, max_size=3),
    claims=st.dictionaries(names, st.builds(Claim, texts, texts, texts, pools, sizes, texts), max_size=3),
    tombstones=st.dictionaries(names, st.builds(Tombstone, texts, texts), max_size=3),
    volumes=st.dictionaries(
        names,
        st.builds(
            VolumeWish,
            texts,
            pools,
            sizes,
            thick=st.booleans(),
            node=maybe,
            mount_path=maybe,
            fstype=maybe,
            forced_from=maybe,
            engine_id=maybe,
            deleted=st.booleans(),
            generation=st.integers(0, 1 << 40),
            snapshots=st.tuples(st.builds(SnapshotWish, texts, st.booleans(), st.booleans(), maybe)),
            source=st.none() | st.builds(SnapshotId, texts, texts),
        ),
        max_size=3,
    ),
    pauses=st.dictionaries(
        names.map(lambda name: f"pool:{name}/{name}"),
        st.builds(Pause, texts, floats, st.none() | floats, texts, texts),
        max_size=2,
    ),
    approval=st.none() | st.builds(Approval, texts, st.lists(texts, max_size=3).map(tuple), texts),
)


def documents_of(state: FrameworkState) -> dict[str, str]:
    """What an empty store holds after this state was stored."""
    return applied({}, changed_documents(FrameworkState(), state))


def applied(documents: dict[str, str], changes: dict[str, str | None]) -> dict[str, str]:
    """As a store does it."""
    both = {**documents, **changes}
    return {key: body for key, body in both.items() if body is not None}


@given(states)
def test_a_state_comes_back_as_it_was(state: FrameworkState) -> None:
    assert state_from_documents(documents_of(state)) == state


@given(states, states)
def test_changes_lead_from_the_old_state_to_the_new_one(old: FrameworkState, new: FrameworkState) -> None:
    documents = applied(documents_of(old), changed_documents(old, new))
    assert state_from_documents(documents) == new


@given(states)
def test_what_has_not_changed_is_not_written(state: FrameworkState) -> None:
    assert changed_documents(state, state) == {}
    assert changed_documents(state, state_from_documents(documents_of(state))) == {}


@given(states, states)
def test_a_thing_has_a_document_of_its_own(old: FrameworkState, new: FrameworkState) -> None:
    for key, body in changed_documents(old, new).items():
        assert body is None or json.loads(body) is not ...
        assert key.partition("/")[0] in FrameworkState.__dataclass_fields__


def test_nothing_stored_is_the_state_of_a_new_cluster() -> None:
    assert state_from_documents({}) == FrameworkState()


def test_documents_of_others_are_left_alone() -> None:
    assert state_from_documents({"secrets/api_token": "no JSON", "later/x": "{}"}) == FrameworkState()


@pytest.mark.parametrize(
    ("key", "body"),
    [
        ("claims/serial:1", '{"identity": "serial:1"}'),
        ("claims/serial:1", '{"identity": "serial:1", "node'),
        ("volumes/data", "null"),
        ("volumes/data", "[]"),
        ("engine", '"embedded"'),
        ("stopping", '"perhaps"'),
        ("nodes/node-1", ""),
        ("approval", '{"plan_id": 3}'),
    ],
)
def test_an_unreadable_document_stops_everything(key: str, body: str) -> None:
    with pytest.raises(StoreUnusable, match=f"document '{key}' cannot be read"):
        state_from_documents({"paused": "true", key: body})


def test_a_volume_from_before_there_were_generations_has_the_first() -> None:
    state = FrameworkState(volumes={"a": VolumeWish("a", PoolName("d", "p"), 1, node="n1", generation=7)})
    (key, body) = next(item for item in changed_documents(FrameworkState(), state).items() if item[1])
    document = json.loads(body or "")
    assert document.pop("generation") == 7
    assert state_from_documents({key: json.dumps(document)}).volumes["a"].generation == 0
