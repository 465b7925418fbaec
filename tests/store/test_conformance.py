"""What every store promises: all or nothing, one leader, nothing lost, events in order."""

from __future__ import annotations

import random
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from artesian.model.event import Event
from artesian.store import journal
from artesian.store.port import NotLeading, StoreUnusable
from tests.store.cases import Place, event


def test_a_new_store_is_empty(place: Place) -> None:
    store = place.leading()
    assert store.load() == {}
    assert store.events(0, 10) == []


def test_what_is_committed_is_loaded(place: Place) -> None:
    store = place.leading()
    store.commit({"nodes/a": "1", "nodes/b": "2"})
    store.commit({"nodes/a": "3", "nodes/b": None, "nodes/never-there": None})
    assert store.load() == {"nodes/a": "3"}


def test_the_next_one_finds_everything(place: Place) -> None:
    store = place.leading()
    store.commit({"volumes/ä b/c": '{"n": "ß€"}', "gone": "1"}, [event("first")])
    store.commit({"gone": None})
    store.close()
    again = place.leading()
    assert again.load() == {"volumes/ä b/c": '{"n": "ß€"}'}
    assert again.events(0, 10) == [Event("step", "AddDevice", "first", 12.5, 1)]


def test_one_that_does_not_lead_may_read(place: Place) -> None:
    store, other = place.leading(), place.open("two")
    store.commit({"a": "1"}, [event("first")])
    assert other.load() == {"a": "1"}
    assert [one.because for one in other.events(0, 10)] == ["first"]


def test_nothing_to_commit_is_nothing(place: Place) -> None:
    store = place.leading()
    store.commit({}, [])
    assert store.load() == {}
    assert store.events(0, 10) == []


def test_a_document_of_three_megabytes_is_kept(place: Place) -> None:
    body = "".join(random.Random(1).choices(string.printable, k=3 << 20))
    store = place.leading()
    store.commit({"large": body, "small": "1"}, [event("first")])
    store.commit({"small": "2"})
    assert store.load() == {"large": body, "small": "2"}
    store.close()
    assert place.leading().load() == {"large": body, "small": "2"}


def test_ten_thousand_documents_are_one_commit(place: Place) -> None:
    documents: dict[str, str | None] = {f"nodes/n{at}": f'{{"at": {at}}}' for at in range(10_000)}
    store = place.leading()
    store.commit(documents, [event("first")])
    store.close()
    assert place.leading().load() == documents


# --- one leader


def test_only_a_leader_writes(place: Place) -> None:
    store = place.open()
    with pytest.raises(NotLeading):
        store.commit({"a": "1"})
    with pytest.raises(NotLeading):
        store.confirm()
    assert store.load() == {}


def test_a_second_leader_is_refused(place: Place) -> None:
    store, second = place.leading(), place.open("two")
    with pytest.raises(NotLeading, match="leads with the store"):
        second.lead()
    with pytest.raises(NotLeading):
        second.commit({"a": "1"})
    store.commit({"a": "2"})
    assert store.load() == {"a": "2"}


def test_leading_twice_is_leading(place: Place) -> None:
    store = place.leading()
    store.lead()
    store.confirm()
    store.commit({"a": "1"})
    store.confirm()


def test_closing_lets_another_one_lead_at_once(place: Place) -> None:
    place.leading().close()
    second = place.leading("two")
    second.commit({"a": "1"})


def test_a_closed_store_says_that_it_cannot_be_used(place: Place) -> None:
    store = place.leading()
    store.close()
    with pytest.raises(StoreUnusable, match="store"):
        store.load()
    with pytest.raises(NotLeading):
        store.commit({"a": "1"})


# --- events


def test_events_are_numbered_in_order(place: Place) -> None:
    store = place.leading()
    store.commit({}, [event("one"), event("two")])
    store.commit({"a": "1"}, [event("three")])
    found = store.events(0, 100)
    assert [(one.number, one.because) for one in found] == [(1, "one"), (2, "two"), (3, "three")]


def test_events_are_given_after_a_number_and_up_to_a_limit(place: Place) -> None:
    store = place.leading()
    store.commit({}, [event(str(number)) for number in range(1, 8)])
    assert [one.number for one in store.events(2, 3)] == [3, 4, 5]
    assert store.events(7, 3) == []


def test_only_the_newest_events_are_kept(place: Place) -> None:
    store = place.leading(kept_events=5)
    for number in range(1, 13):
        store.commit({}, [event(str(number))])
    assert [one.number for one in store.events(0, 100)] == [8, 9, 10, 11, 12]


def test_numbers_are_not_given_again(place: Place) -> None:
    store = place.leading(kept_events=0)
    store.commit({}, [event("one"), event("two"), event("three")])
    assert store.events(0, 10) == []
    store.close()
    again = place.leading()
    again.commit({}, [event("four")])
    assert again.events(0, 10)[-1].number == 4


# --- histories

KEYS = st.sampled_from(["spec_text", "nodes/a", "nodes/b", "volumes/c"])
CHANGES = st.dictionaries(KEYS, st.one_of(st.none(), st.text(max_size=8), st.just("x" * 100_000)), max_size=4)
HISTORIES = st.lists(st.tuples(CHANGES, st.integers(0, 3), st.booleans()), min_size=1, max_size=12)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=HISTORIES, entries=st.integers(1, 5))
def test_any_history_is_what_a_dictionary_would_say(
    place: Place, monkeypatch: pytest.MonkeyPatch, history: list, entries: int
) -> None:
    """However often the journal is compacted, and whoever leads."""
    monkeypatch.setattr(journal, "_COMPACT_ENTRIES", entries)
    monkeypatch.setattr(journal, "_INLINE_BYTES", 1000)
    monkeypatch.setattr("artesian.store.journal_format.SEGMENT_EVENTS", 4)
    place.path += "x"
    store = place.leading(kept_events=7)
    known = store.load()
    told = store.events(0, 1000)
    number = told[-1].number if told else 0
    for changes, count, reopened in history:
        store.commit(changes, [event(str(number + at)) for at in range(1, count + 1)])
        number += count
        known = {key: body for key, body in (known | changes).items() if body is not None}
        if reopened:
            store.close()
            store = place.leading(kept_events=7)
        assert store.load() == known
        assert [one.because for one in store.events(0, 1000)] == [
            str(at) for at in range(max(1, number - 6), number + 1)
        ]
    store.close()
