"""What is remembered of nodes outlives a restart."""

from __future__ import annotations

import json

import pytest

from artesian.clusters.mesos.records import NodeRecord, document_of, records_of
from artesian.clusters.port import SubstrateUnusable
from tests.clusters.mesos.situations import record


@pytest.mark.parametrize(
    "one",
    [
        record(),
        NodeRecord("beta", "a2", "fd00::7"),
        record(gone=True, attempts=7, attributes={"rack": "r1", "ü": ""}),
    ],
)
def test_a_record_comes_back_as_it_was(one: NodeRecord) -> None:
    found = records_of(dict([document_of(one)]))
    assert found == {one.node: one}


def test_a_record_names_its_executor() -> None:
    assert record().executor_id.startswith("artesian.alpha.")
    assert NodeRecord("beta", "a2", "10.0.0.2").executor_id == ""


def test_what_is_not_of_nodes_is_left_alone() -> None:
    assert records_of({"framework": "f1", "label": "l", "task/backup": "{"}) == {}


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "null", "{}", '{"node": "alpha"}', '{"tasks": 5}'])
def test_what_cannot_be_read_is_named_and_never_taken_for_nothing(text: str) -> None:
    with pytest.raises(SubstrateUnusable, match="node/alpha cannot be read"):
        records_of({"node/alpha": text})


def test_what_a_later_version_has_added_is_said() -> None:
    key, text = document_of(record())
    with pytest.raises(SubstrateUnusable, match="colour"):
        records_of({key: json.dumps(json.loads(text) | {"colour": "red"})})
