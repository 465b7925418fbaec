"""Raft messages between managers: from members only, sealed, never before what they promise is durable."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pysyncobj.node import Node

from artesian.embedded.control import Connection, connect
from artesian.embedded.errors import EngineError
from artesian.embedded.mdm.journal import DurableJournal
from artesian.embedded.mdm.transport import Hooks, RaftTransport
from tests.embedded.mdm.managers import free_port

SECRET = b"the engine's secret, 32 bytes..."
VOTE = {"type": "request_vote", "term": 1, "last_log_index": 1, "last_log_term": 0}
REPLY = {"type": "next_node_idx", "next_node_idx": 2, "reset": False, "success": True}
APPEND = {
    "type": "append_entries", "term": 1, "commit_index": 1, "entries": [], "prevLogIdx": 1, "prevLogTerm": 0
}  # fmt: skip


class Member:
    """One end: a transport and what comes out of it."""

    def __init__(self, address: str, folder: Path) -> None:
        self.address = address
        self.journal = DurableJournal(folder / f"journal-{address}")
        self.journal.add(b"", 1, 0)
        self.received: list[dict[str, Any]] = []
        self.connected: set[str] = set()
        self.failures: list[Exception] = []
        self.lost: list[str] = []
        self.met: list[dict[str, Any]] = []
        hooks = Hooks(
            greeting=lambda: {"new": True},
            met=lambda member, greeting: self.met.append(greeting),
            received=lambda member, message, deliver: deliver(message),
            replying=lambda message: None,
            woken=lambda: None,
            lost=self.lost.append,
            failed=self.failures.append,
        )
        self.transport = RaftTransport(address, SECRET, self.journal, hooks)
        self.transport.setOnMessageReceivedCallback(lambda node, message: self.received.append(message))
        self.transport.setOnNodeConnectedCallback(lambda node: self.connected.add(node.id))
        self.transport.setOnNodeDisconnectedCallback(lambda node: self.connected.discard(node.id))

    def send(self, to: Member, message: dict[str, Any]) -> bool:
        return bool(self.transport.send(Node(to.address), dict(message)))

    async def gets(self, count: int) -> list[dict[str, Any]]:
        while len(self.received) < count:
            await asyncio.sleep(0.001)
        return self.received


Story = Callable[[Member, Member], Awaitable[None]]


def run(folder: Path, story: Story) -> None:
    async def told() -> None:
        members = [Member(f"127.0.0.1:{free_port('127.0.0.1')}", folder) for _ in range(2)]
        members.sort(key=lambda member: member.address)
        for member in members:
            await member.transport.start()
        for member, other in (members, members[::-1]):
            member.transport.addNode(Node(other.address))
        while not all(member.connected for member in members):
            await asyncio.sleep(0.001)
        try:
            await story(*members)
        finally:
            for member in members:
                member.transport.destroy()
                member.journal.close()

    asyncio.run(asyncio.wait_for(told(), 20))


async def ignore(connection: Connection, kind: str, body: dict[str, Any]) -> dict[str, Any]:
    return {}


async def stranger(member: Member, secret: bytes = SECRET, role: str = "mdm") -> Connection:
    ip, port = member.address.split(":")
    return await connect(ip, int(port), secret, role, ignore)


async def still_works(one: Member, other: Member) -> None:
    before = len(other.received)
    while not one.send(other, VOTE):
        await asyncio.sleep(0.01)
    await other.gets(before + 1)
    assert not one.failures and not other.failures


def test_messages_arrive_in_order_in_both_directions(tmp_path: Path) -> None:
    async def story(one: Member, other: Member) -> None:
        for term in range(1, 6):
            assert one.send(other, VOTE | {"term": term}) and other.send(one, VOTE | {"term": 10 * term})
        assert [message["term"] for message in await other.gets(5)] == [1, 2, 3, 4, 5]
        assert [message["term"] for message in await one.gets(5)] == [10, 20, 30, 40, 50]

    run(tmp_path, story)


def test_an_acknowledgement_goes_out_only_after_the_journal_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(one: Member, other: Member) -> None:
        order: list[str] = []
        sync, push = one.journal.sync, Connection.push

        def synced() -> None:
            order.append("sync")
            sync()

        def pushed(self: Connection, kind: str, body: dict[str, Any]) -> None:
            order.append(kind)
            push(self, kind, body)

        monkeypatch.setattr(one.journal, "sync", synced)
        monkeypatch.setattr(Connection, "push", pushed)
        for index in (2, 3, 4):
            one.journal.add(b"entry", index, 1)
            one.send(other, REPLY | {"next_node_idx": index + 1})
        assert order == []
        await other.gets(3)
        assert order == ["sync", "raft", "raft", "raft"]  # one sync for all of them

    run(tmp_path, story)


def test_after_an_error_of_the_disk_nothing_is_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(one: Member, other: Member) -> None:
        def fail() -> None:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(one.journal, "sync", fail)
        one.send(other, REPLY)
        await asyncio.sleep(0.05)
        assert not other.received
        assert isinstance(one.failures[0], OSError)

    run(tmp_path, story)


def test_a_reply_echoes_the_newest_message_of_the_leader_it_goes_to(tmp_path: Path) -> None:
    async def story(one: Member, other: Member) -> None:
        one.send(other, APPEND)
        one.send(other, APPEND)
        await other.gets(2)
        other.send(one, REPLY)
        await one.gets(1)
        assert one.transport.echoes() == [2] and other.transport.echoes() == [0]

    run(tmp_path, story)


def test_a_lost_member_is_noticed_at_once_and_comes_back(tmp_path: Path) -> None:
    async def story(one: Member, other: Member) -> None:
        session = one.transport._peers[other.address].session
        assert session is not None
        session.connection.abort()
        while not (one.lost and other.lost):
            await asyncio.sleep(0.001)
        assert not one.connected and not one.send(other, VOTE)
        while not (one.connected and other.connected):
            await asyncio.sleep(0.01)
        await still_works(one, other)

    run(tmp_path, story)


def test_a_dropped_member_is_not_listened_to_any_more(tmp_path: Path) -> None:
    async def story(one: Member, other: Member) -> None:
        one.transport.dropNode(Node(other.address))
        assert not one.send(other, VOTE) and not one.connected
        await asyncio.sleep(0.3)
        assert not one.connected
        other.send(one, VOTE)
        await asyncio.sleep(0.02)
        assert not one.received

    run(tmp_path, story)


# --- strangers


def test_without_the_secret_nobody_gets_in(tmp_path: Path) -> None:
    async def story(one: Member, other: Member) -> None:
        with pytest.raises(ConnectionError):
            await stranger(one, b"another secret")
        await still_works(one, other)

    run(tmp_path, story)


@pytest.mark.parametrize("role", ["sds", "sdc", "gateway"])
def test_who_is_no_manager_has_nothing_to_say(tmp_path: Path, role: str) -> None:
    async def story(one: Member, other: Member) -> None:
        connection = await stranger(one, role=role)
        with pytest.raises(EngineError):
            await connection.request("raft_hello", {"address": other.address})

    run(tmp_path, story)


def test_a_manager_that_is_no_member_is_turned_away(tmp_path: Path) -> None:
    async def story(one: Member, other: Member) -> None:
        connection = await stranger(one)
        for address in ("127.0.0.1:1", one.address, None, 7):
            with pytest.raises(EngineError):
                await connection.request("raft_hello", {"address": address})
        connection.push("raft", {"sealed": "AAAA"})
        await still_works(one, other)
        assert len(one.received) == 0

    run(tmp_path, story)


SEALED = st.text(max_size=20) | st.integers() | st.none() | st.binary(max_size=60).map(lambda raw: raw.hex())


@settings(max_examples=25, deadline=None)
@given(st.lists(st.dictionaries(st.just("sealed"), SEALED, max_size=1), min_size=1, max_size=4))
def test_what_is_not_sealed_as_it_must_be_ends_the_connection(bodies: list[dict[str, Any]]) -> None:
    import tempfile

    async def story(one: Member, other: Member) -> None:
        connection = await stranger(one)  # it knows the secret, and poses as the other member
        await connection.request("raft_hello", {"address": other.address})
        for body in bodies:
            connection.push("raft", body)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(connection.closed.wait(), 5)
        assert connection.closed.is_set()
        assert not one.received
        while not (one.connected and other.connected):
            await asyncio.sleep(0.01)
        await still_works(other, one)

    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), story)


def test_a_message_cannot_be_played_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(one: Member, other: Member) -> None:
        recorded: list[dict[str, Any]] = []
        push = Connection.push

        def pushed(self: Connection, kind: str, body: dict[str, Any]) -> None:
            recorded.append(body)
            push(self, kind, body)

        monkeypatch.setattr(Connection, "push", pushed)
        one.send(other, VOTE)
        await other.gets(1)
        session = one.transport._peers[other.address].session
        assert session is not None
        push(session.connection, "raft", recorded[0])
        while not other.lost:
            await asyncio.sleep(0.001)
        assert len(other.received) == 1

    run(tmp_path, story)
