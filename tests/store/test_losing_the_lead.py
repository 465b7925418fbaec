"""Leaders that stop, are cut off, or do not hear of their commits: nothing is written over, or twice."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from artesian.store.port import NotLeading, StoreUnusable
from tests.store.cases import SESSION_S, Place, event, wait_for
from tests.store.proxy import Proxy
from tests.store.servers import HOST

pytestmark = pytest.mark.slow

_LEADER = """
import sys
from artesian.model.errors import ArtesianError
from artesian.store.opening import open_store
from artesian.store.url import read_store_url
from artesian.store.who import Who
store = open_store(read_store_url(sys.argv[1]), Who("old", "http://old:8700"))
store.lead()
for number, line in enumerate(sys.stdin):
    try:
        if line.strip() == "confirm":
            store.confirm()
        else:
            store.commit({"by": "old", line.strip(): str(number)})
        print("stored", flush=True)
    except ArtesianError as error:
        print(type(error).__name__, error, flush=True)
"""


class OldLeader:
    """In a process of its own, which can be stopped."""

    def __init__(self, url: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LEADER, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def do(self, word: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def old(far_place: Place) -> Iterator[OldLeader]:
    made = OldLeader(far_place.url)
    yield made
    made.close()


@pytest.fixture
def proxy(far_place: Place) -> Iterator[Proxy]:
    assert far_place.server is not None
    made = Proxy((HOST, int(far_place.server.rpartition(":")[2])))
    yield made
    made.close()


def through(place: Place, proxy: Proxy) -> str:
    assert place.server is not None
    return place.url.replace(place.server, f"{place.server.rpartition(':')[0]}:{proxy.port}")


def lead_when_possible(place: Place, name: str = "new"):
    store = place.open(name)

    def lead() -> bool:
        try:
            store.lead()
        except NotLeading:
            return False
        return True

    wait_for("the lead", lead)
    return store


def test_who_leads_is_said(far_place: Place) -> None:
    far_place.leading("first")
    with pytest.raises(NotLeading, match=r"scheduler first \(http://first:8700\) leads") as refused:
        far_place.open("second").lead()
    assert refused.value.leader_url == "http://first:8700"


def test_a_leader_that_was_stopped_for_long_writes_nothing_more(far_place: Place, old: OldLeader) -> None:
    assert old.do("first") == "stored"
    old.send(signal.SIGSTOP)
    new = lead_when_possible(far_place)
    assert new.load() == {"by": "old", "first": "0"}
    new.commit({"by": "new"})
    old.send(signal.SIGCONT)
    assert not old.do("confirm").startswith("stored")
    assert not old.do("second").startswith("stored")
    wait_for("the old one hears of it", lambda: old.do("second").startswith("NotLeading"))
    assert old.do("confirm").startswith("NotLeading")
    assert new.load() == far_place.open("reader").load() == {"by": "new", "first": "0"}
    new.commit({"by": "new, again"})


def test_a_leader_that_is_killed_is_followed_after_its_session(far_place: Place, old: OldLeader) -> None:
    assert old.do("first") == "stored"
    old.send(signal.SIGKILL)
    assert lead_when_possible(far_place).load() == {"by": "old", "first": "0"}


def test_a_leader_that_is_cut_off_doubts_before_another_one_can_lead(far_place: Place, proxy: Proxy) -> None:
    store = far_place.leading(url=through(far_place, proxy))
    store.confirm()
    proxy.cut()
    waiting = far_place.open("new")
    seen: list[bool] = []

    def doubts() -> bool:
        with pytest.raises(NotLeading):
            waiting.lead()
        seen.append(True)
        try:
            store.confirm()
        except StoreUnusable:
            return True
        return False

    assert wait_for("doubt", doubts, timeout_s=SESSION_S) < SESSION_S
    assert seen
    new = lead_when_possible(far_place)
    new.commit({"by": "new"})
    with pytest.raises((StoreUnusable, NotLeading)):
        store.commit({"by": "old"})
    proxy.mend()
    wait_for("the old one hears of it", lambda: _has_lost(store))
    with pytest.raises(NotLeading):
        store.commit({"by": "old"})
    assert new.load() == {"by": "new"}


def test_a_short_interruption_changes_nothing(far_place: Place, proxy: Proxy) -> None:
    store = far_place.leading(url=through(far_place, proxy))
    store.commit({"a": "1"})
    proxy.cut()
    threading.Timer(SESSION_S / 4, proxy.mend).start()
    wait_for("a commit", lambda: _commits(store, {"a": "2"}))
    store.confirm()
    assert store.load() == {"a": "2"}


def test_a_commit_whose_answer_is_lost_is_stored_once(far_place: Place, proxy: Proxy) -> None:
    store = far_place.leading(url=through(far_place, proxy))
    store.commit({"a": "1"}, [event("first")])
    for number in range(2, 5):
        proxy.lose_next_answer()
        wait_for("a commit", lambda number=number: _commits(store, {"a": str(number)}, f"event {number}"))
        assert proxy.lost.wait(SESSION_S)
    assert store.load() == far_place.open("reader").load() == {"a": "4"}
    told = [one.because for one in store.events(0, 10)]
    assert told == ["first", "event 2", "event 3", "event 4"]


def test_a_large_commit_whose_answers_are_lost_is_stored_once(far_place: Place, proxy: Proxy) -> None:
    store = far_place.leading(url=through(far_place, proxy))
    body = "".join(f"{at * 7919:x}" for at in range(300_000))
    proxy.lose_next_answer()
    wait_for("a commit", lambda: _commits(store, {"large": body}, "once"))
    assert far_place.open("reader").load() == {"large": body}
    assert [one.because for one in store.events(0, 10)] == ["once"]


def test_a_commit_that_nobody_answered_is_told_apart_later(far_place: Place, proxy: Proxy) -> None:
    """Its outcome is not known; then it is either found, or made sure that it never happens."""
    store = far_place.leading(url=through(far_place, proxy))
    store.commit({"a": "1"})
    proxy.hold()
    with pytest.raises(StoreUnusable):
        store.commit({"a": "2"})
    late = far_place.open("reader").load()
    proxy.release()
    wait_for("an answer", lambda: _answers(store))
    try:
        found = store.load()
        store.commit({"b": "1"})
        assert store.load() == found | {"b": "1"}
    except NotLeading:
        found = far_place.open("reader").load()
        assert found in ({"a": "1"}, {"a": "2"})
    assert late == {"a": "1"}
    assert far_place.open("reader").load()["a"] == found["a"]


def test_a_commit_that_arrives_after_another_one_has_taken_the_lead_is_refused(
    far_place: Place, proxy: Proxy
) -> None:
    store = far_place.leading(url=through(far_place, proxy))
    store.commit({"by": "old"})
    proxy.hold()
    asked = threading.Thread(target=lambda: _commits(store, {"by": "old, late"}))
    asked.start()
    new = lead_when_possible(far_place)
    proxy.release()  # all that the old one has asked for arrives now
    asked.join(30.0)
    assert not asked.is_alive()
    wait_for("the old one hears of it", lambda: _has_lost(store))
    assert new.load() == far_place.open("reader").load() == {"by": "old"}
    new.commit({"by": "new"})
    assert far_place.open("reader").load() == {"by": "new"}


def test_what_an_unfinished_commit_has_left_is_deleted_by_the_next_leader(
    far_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = far_place.leading()
    store.commit({"a": "1"})
    keeper = store._keeper
    body = "".join(f"{at * 7919:x}" for at in range(300_000))
    monkeypatch.setattr(store, "_move", lambda *_: (_ for _ in ()).throw(StoreUnusable("killed here")))
    with pytest.raises(StoreUnusable, match="killed here"):
        store.commit({"large": body})
    assert keeper.names("blobs")
    store.close()
    again = far_place.leading()
    assert again._keeper.names("blobs") == []
    assert again.load() == {"a": "1"}


def test_erasing_leaves_an_empty_store(far_place: Place) -> None:
    store = far_place.leading()
    store.commit({"a": "1"}, [event("first")])
    store.erase()
    store.close()
    again = far_place.leading()
    assert again.load() == {}
    assert again.events(0, 10) == []


def _commits(store, documents: dict[str, str | None], because: str = "") -> bool:
    try:
        store.commit(documents, [event(because)] if because else [])
    except StoreUnusable:
        return False
    except NotLeading:
        return True
    return True


def _answers(store) -> bool:
    try:
        store._keeper.leader()
    except StoreUnusable:
        return False
    return True


def _has_lost(store) -> bool:
    try:
        store.confirm()
    except NotLeading:
        return True
    except StoreUnusable:
        return False
    return False
