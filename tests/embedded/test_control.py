"""The control protocol: who is let in, what is asked and answered, what garbage does, who is followed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artesian.embedded import control, framing
from artesian.embedded.control import Connection, ManagerLink, connect, serve
from artesian.embedded.errors import CommandRefused, EngineError, ManagersUnavailable, NotLeader

SECRET = b"the engine's secret, 32 bytes..."


class Peer:
    """A serving side that records what it gets, and answers by kind."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.opened: list[Connection] = []
        self.closed: list[Connection] = []
        self.hold = asyncio.Event()
        self.port = 0
        self.leads: str | None = ""  # "": it leads; else a hint
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Peer:
        self._server = await serve(
            "127.0.0.1", self.port, SECRET, self.handle, self.opened.append, self.closed.append
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for connection in self.opened:
            connection.abort()

    async def handle(self, connection: Connection, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        self.heard.append((kind, body))
        match kind:
            case "refuse":
                raise CommandRefused(103, "no such volume")
            case "fail":
                raise EngineError("the disk is gone")
            case "bug":
                raise KeyError("missing")
            case "slow push":
                await asyncio.sleep(0.01)
            case "held":
                await self.hold.wait()
            case "unsendable":
                return {"value": object()}
            case "back":
                return await connection.request("echo", body)
            case "register" | "leader's" if self.leads != "":
                raise NotLeader(self.leads)
        return body


async def ignore(connection: Connection, kind: str, body: dict[str, Any]) -> dict[str, Any]:
    return body


def run(story: Callable[[Peer], Awaitable[None]]) -> None:
    async def told() -> None:
        async with Peer() as peer:
            await story(peer)

    asyncio.run(asyncio.wait_for(told(), 20))


async def reach(peer: Peer, secret: bytes = SECRET, role: str = "sds") -> Connection:
    return await connect("127.0.0.1", peer.port, secret, role, ignore)


# --- who is let in


def test_a_peer_with_the_secret_is_let_in_under_its_role() -> None:
    async def story(peer: Peer) -> None:
        connection = await reach(peer, role="gateway")
        assert await connection.request("echo", {"a": [1, "ü", None]}) == {"a": [1, "ü", None]}
        assert [opened.role for opened in peer.opened] == ["gateway"]
        assert connection.role == "mdm"
        assert connection.session_key == peer.opened[0].session_key != b""

    run(story)


def test_two_connections_have_different_session_keys() -> None:
    async def story(peer: Peer) -> None:
        keys = {(await reach(peer)).session_key for _ in range(3)}
        assert len(keys) == 3

    run(story)


def test_a_peer_with_another_secret_is_refused_and_never_seen() -> None:
    async def story(peer: Peer) -> None:
        with pytest.raises(ConnectionError):
            await reach(peer, secret=b"another secret")
        assert not peer.opened and not peer.closed and not peer.heard

    run(story)


def test_a_server_that_does_not_know_the_secret_is_not_trusted() -> None:
    async def story(_: Peer) -> None:
        async def impostor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(framing.encode_frame({"nonce": framing.new_nonce()}))
            await reader.readexactly(4)
            writer.write(framing.encode_frame({"proof": "00" * 32}))

        server = await asyncio.start_server(impostor, "127.0.0.1", 0)
        with pytest.raises(ConnectionError):
            await connect("127.0.0.1", server.sockets[0].getsockname()[1], SECRET, "sds", ignore)
        server.close()

    run(story)


def test_a_proof_for_one_nonce_or_role_is_no_proof_for_another() -> None:
    nonce = framing.new_nonce()
    message = {"proof": framing.greeting_proof(SECRET, nonce, "sds")}
    framing.check_proof(message, SECRET, nonce, "sds")
    for other_nonce, role in ((framing.new_nonce(), "sds"), (nonce, "mdm")):
        with pytest.raises(framing.ProtocolError):
            framing.check_proof(message, SECRET, other_nonce, role)


def test_a_server_that_says_nothing_does_not_hold_up_the_caller() -> None:
    async def story(_: Peer) -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        with pytest.raises(TimeoutError):
            await connect("127.0.0.1", server.sockets[0].getsockname()[1], SECRET, "sds", ignore, 0.05)
        server.close()

    run(story)


# --- requests and pushes


def test_errors_arrive_as_what_they_are() -> None:
    async def story(peer: Peer) -> None:
        connection = await reach(peer)
        with pytest.raises(CommandRefused) as refused:
            await connection.request("refuse", {})
        assert (refused.value.code, refused.value.message) == (103, "no such volume")
        peer.leads = "127.0.0.2:6611"
        with pytest.raises(NotLeader) as elsewhere:
            await connection.request("leader's", {})
        assert elsewhere.value.leader == "127.0.0.2:6611"
        with pytest.raises(EngineError, match="the disk is gone"):
            await connection.request("fail", {})
        for kind in ("bug", "unsendable"):
            with pytest.raises(EngineError):
                await connection.request(kind, {})
        assert await connection.request("echo", {"still": "there"}) == {"still": "there"}

    run(story)


def test_pushes_are_handled_in_order_and_before_later_requests() -> None:
    async def story(peer: Peer) -> None:
        connection = await reach(peer)
        for number in range(5):
            connection.push("slow push", {"n": number})
        await connection.request("echo", {"n": 5})
        assert [body["n"] for _, body in peer.heard] == [0, 1, 2, 3, 4, 5]

    run(story)


def test_a_request_that_takes_long_holds_up_nobody() -> None:
    async def story(peer: Peer) -> None:
        connection = await reach(peer)
        held = asyncio.create_task(connection.request("held", {}))
        assert await connection.request("echo", {"n": 1}) == {"n": 1}
        connection.push("echo", {"n": 2})
        assert not held.done()
        peer.hold.set()
        assert await held == {}

    run(story)


def test_either_side_may_ask() -> None:
    async def story(peer: Peer) -> None:
        connection = await reach(peer)
        assert await connection.request("back", {"n": 7}) == {"n": 7}

    run(story)


def test_requests_under_way_end_when_the_connection_does() -> None:
    async def story(peer: Peer) -> None:
        connection = await reach(peer)
        held = asyncio.create_task(connection.request("held", {}))
        await connection.request("echo", {})
        peer.opened[0].abort()
        with pytest.raises(ConnectionError):
            await held
        await connection.closed.wait()
        with pytest.raises(ConnectionError):
            await connection.request("echo", {})
        assert peer.closed == peer.opened

    run(story)


def test_a_reply_that_comes_too_late_is_dropped() -> None:
    async def story(peer: Peer) -> None:
        connection = await reach(peer)
        with pytest.raises(TimeoutError):
            await connection.request("held", {}, timeout_s=0.02)
        peer.hold.set()
        assert await connection.request("echo", {"n": 3}) == {"n": 3}

    run(story)


def test_a_large_message_passes_and_a_larger_one_is_refused_by_the_sender() -> None:
    async def story(peer: Peer) -> None:
        connection = await reach(peer)
        body = {"text": "x" * (8 << 20)}
        assert await connection.request("echo", body) == body
        with pytest.raises(framing.ProtocolError):
            connection.push("echo", {"text": "x" * (framing.MAX_FRAME_BYTES + 1)})

    run(story)


def test_a_flood_of_requests_is_answered_without_being_read_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from artesian.embedded import connection as module

    monkeypatch.setattr(module, "MAX_WAITING_MESSAGES", 10)

    async def story(peer: Peer) -> None:
        connection = await reach(peer)
        flood = [asyncio.create_task(connection.request("held", {"n": n})) for n in range(5000)]
        while len(peer.heard) < 10:
            await asyncio.sleep(0.001)
        for _ in range(50):
            await asyncio.sleep(0)
        begun = len(peer.heard)
        peer.hold.set()
        assert await asyncio.gather(*flood) == [{"n": n} for n in range(5000)]
        assert begun < 5000

    run(story)


# --- garbage


async def raw(peer: Peer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", peer.port)


async def receive(reader: asyncio.StreamReader) -> dict[str, Any]:
    (length,) = struct.unpack("<I", await reader.readexactly(4))
    message: dict[str, Any] = json.loads(await reader.readexactly(length))
    return message


async def greeted(peer: Peer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await raw(peer)
    nonce = (await receive(reader))["nonce"]
    proof = framing.greeting_proof(SECRET, nonce, "sds")
    writer.write(framing.encode_frame({"proof": proof, "role": "sds", "nonce": framing.new_nonce()}))
    await receive(reader)
    return reader, writer


async def is_cut_off(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        while await reader.read(1 << 16):
            pass


@pytest.mark.parametrize("length", [framing.MAX_GREETING_FRAME_BYTES + 1, 1 << 31, (1 << 32) - 1])
def test_a_stranger_cannot_send_more_than_a_greeting(length: int) -> None:
    async def story(peer: Peer) -> None:
        reader, writer = await raw(peer)
        writer.write(struct.pack("<I", length) + b"{")
        await is_cut_off(reader)

    run(story)


def test_a_member_cannot_announce_more_than_the_largest_frame() -> None:
    async def story(peer: Peer) -> None:
        reader, writer = await greeted(peer)
        writer.write(struct.pack("<I", framing.MAX_FRAME_BYTES + 1))
        await is_cut_off(reader)

    run(story)


@pytest.mark.parametrize(
    "greeting",
    [
        {},
        {"proof": 1, "role": "sds", "nonce": "00" * 32},
        {"proof": "\ud800", "role": "sds", "nonce": "00" * 32},
        {"proof": "00" * 32, "role": "king", "nonce": "00" * 32},
        {"proof": "00" * 32, "role": ["sds"], "nonce": "00" * 32},
        {"kind": "query", "id": 1, "body": {}},
    ],
)
def test_a_stranger_with_a_bad_greeting_is_cut_off(greeting: dict[str, Any]) -> None:
    async def story(peer: Peer) -> None:
        reader, writer = await raw(peer)
        writer.write(framing.encode_frame(greeting))
        await is_cut_off(reader)
        assert not peer.opened and not peer.heard

    run(story)


@pytest.mark.parametrize("nonce", [None, 5, "", "zz" * 32, "00" * 31, "00" * 33])
def test_a_proof_with_a_nonce_of_another_form_is_refused(nonce: Any) -> None:
    async def story(peer: Peer) -> None:
        reader, writer = await raw(peer)
        proof = framing.greeting_proof(SECRET, (await receive(reader))["nonce"], "sds")
        writer.write(framing.encode_frame({"proof": proof, "role": "sds", "nonce": nonce}))
        await is_cut_off(reader)
        assert not peer.opened

    run(story)


def test_a_stranger_who_says_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    from artesian.embedded import connection as module

    monkeypatch.setattr(module, "GREETING_TIMEOUT_S", 0.02)

    async def story(peer: Peer) -> None:
        reader, _ = await raw(peer)
        await is_cut_off(reader)

    run(story)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["id", "re", "kind", "body", "error", "type", "code"])
MESSAGES = st.dictionaries(FIELDS, JSON, max_size=5).map(lambda message: json.dumps(message).encode())
FRAMES = (MESSAGES | st.binary(max_size=40) | st.just(b"[" * 100_000)).map(
    lambda payload: struct.pack("<I", len(payload)) + payload
)


@settings(max_examples=150, deadline=None)
@given(st.lists(FRAMES | st.binary(max_size=12), max_size=6), st.booleans())
def test_no_garbage_crashes_or_hangs_the_serving_side(stream: list[bytes], with_greeting: bool) -> None:
    async def story(peer: Peer) -> None:
        reader, writer = await (greeted(peer) if with_greeting else raw(peer))
        writer.write(b"".join(stream))
        writer.write_eof()
        await is_cut_off(reader)
        connection = await reach(peer)
        assert await connection.request("echo", {"well": True}) == {"well": True}

    run(story)


# --- following the leader


def follower(addresses: list[tuple[str, int]], registered: list[dict[str, Any]]) -> ManagerLink:
    return ManagerLink(addresses, SECRET, "sds", ignore, lambda: ("register", {"me": 1}), registered.append)


@contextlib.asynccontextmanager
async def followed(*peers: Peer, registered: list[dict[str, Any]] | None = None) -> Any:
    link = follower(
        [("127.0.0.1", peer.port) for peer in peers], registered if registered is not None else []
    )
    running = asyncio.create_task(link.run())
    try:
        yield link
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def test_the_link_finds_the_leader_among_the_managers_and_registers() -> None:
    async def story(first: Peer) -> None:
        registered: list[dict[str, Any]] = []
        async with Peer() as second, Peer() as third:
            first.leads = third.leads = None
            async with followed(first, second, third, registered=registered) as link:
                assert await link.request("echo", {"n": 1}) == {"n": 1}
                assert link.connected and registered == [{"me": 1}]
                assert second.heard[0] == ("register", {"me": 1})
                assert link.push("echo", {"n": 2})

    run(story)


def test_the_link_goes_to_a_leader_it_was_only_told_of() -> None:
    async def story(first: Peer) -> None:
        async with Peer() as unknown:
            first.leads = f"127.0.0.1:{unknown.port}"
            async with followed(first) as link:
                await link.request("echo", {"n": 1})
                assert ("echo", {"n": 1}) in unknown.heard

    run(story)


def test_a_request_goes_to_the_next_leader_when_the_lead_changes() -> None:
    async def story(first: Peer) -> None:
        async with Peer() as second:
            second.leads = None
            async with followed(first, second) as link:
                await link.request("echo", {})
                first.leads, second.leads = f"127.0.0.1:{second.port}", ""
                assert await link.request("leader's", {"n": 1}) == {"n": 1}
                assert second.heard[-1] == ("leader's", {"n": 1})

    run(story)


def test_a_request_is_repeated_when_its_connection_is_lost_but_not_if_it_may_run_only_once() -> None:
    async def story(peer: Peer) -> None:
        async with followed(peer) as link:
            await link.request("echo", {})
            for once in (False, True):
                held = asyncio.create_task(link.request("held", {"once": once}, once=once))
                while ("held", {"once": once}) not in peer.heard:
                    await asyncio.sleep(0.001)
                peer.opened[-1].abort()
                if once:
                    with pytest.raises(ConnectionError):
                        await held
                else:
                    peer.hold.set()
                    assert await held == {"once": False}
                    peer.hold.clear()

    run(story)


def test_refusals_are_not_repeated() -> None:
    async def story(peer: Peer) -> None:
        async with followed(peer) as link:
            with pytest.raises(CommandRefused):
                await link.request("refuse", {})
            assert [kind for kind, _ in peer.heard].count("refuse") == 1

    run(story)


def test_without_a_leader_a_request_fails_in_time() -> None:
    async def story(peer: Peer) -> None:
        peer.leads = None
        async with followed(peer) as link:
            with pytest.raises(ManagersUnavailable):
                await link.request("echo", {}, timeout_s=0.05)
            assert not link.connected and not link.push("echo", {})

    run(story)


def test_a_manager_that_steps_down_is_left_at_once() -> None:
    async def story(first: Peer) -> None:
        async with Peer() as second:
            second.leads = None
            async with followed(first, second) as link:
                await link.request("echo", {})
                first.leads, second.leads = None, ""
                first.opened[-1].push("not_leader", {"leader": f"127.0.0.1:{second.port}"})
                while not second.opened:
                    await asyncio.sleep(0.001)
                await link.request("echo", {"n": 2})
                assert ("echo", {"n": 2}) in second.heard

    run(story)


def test_a_follower_learns_who_the_managers_are_now() -> None:
    async def story(first: Peer) -> None:
        async with Peer() as later, followed(first) as link:
            await link.request("echo", {})
            first.opened[0].push("ping", {"managers": [f"127.0.0.1:{later.port}", "nonsense", 7]})
            await link.request("echo", {})
            first.leads = None
            first.opened[0].close()
            assert await link.request("echo", {"n": 1}) == {"n": 1}
            assert ("echo", {"n": 1}) in later.heard

    run(story)


def test_a_silent_manager_is_given_up_but_not_one_that_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "SILENCE_S", 0.1)

    async def story(peer: Peer) -> None:
        async with followed(peer) as link:
            await link.request("echo", {})
            for _ in range(8):
                await asyncio.sleep(0.03)
                peer.opened[0].push("ping", {})
            assert not peer.closed and link.connected
            while not peer.closed:
                await asyncio.sleep(0.01)
            await link.request("echo", {})
            assert len(peer.opened) == 2

    run(story)
