"""Servers that die, want a login, speak TLS, or are not there."""

from __future__ import annotations

import datetime
import ipaddress
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from artesian.store.port import StoreUnusable
from tests.store.cases import SESSION_S, Place, wait_for
from tests.store.servers import (
    HOST,
    EtcdServer,
    Server,
    ZooKeeperServer,
    free_ports,
    no_etcd,
    no_zookeeper,
)

pytestmark = pytest.mark.slow


def need(missing: str | None) -> None:
    if missing:
        pytest.skip(missing)


@pytest.fixture(params=["zookeeper", "etcd"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """Of this test alone: it may be killed."""
    need(no_zookeeper() if request.param == "zookeeper" else no_etcd())
    kinds = {"zookeeper": ZooKeeperServer, "etcd": EtcdServer}
    made = kinds[request.param](tmp_path / "server")
    made.start()
    yield made
    made.kill()


def place_at(tmp_path: Path, url: str) -> Place:
    return Place(tmp_path, url)


def patient(url: str) -> str:
    """The lead outlives a server that takes its time to start."""
    return url.replace(f"session_s={SESSION_S:g}", "session_s=16")


def commits(store, documents: dict[str, str | None]) -> bool:
    try:
        store.commit(documents)
    except StoreUnusable:
        return False
    return True


def doubts(store) -> bool:
    try:
        store.confirm()
    except StoreUnusable:
        return True
    return False


def test_a_server_that_was_killed_and_started_again_has_everything(server: Server, tmp_path: Path) -> None:
    place = place_at(tmp_path, server.url)  # type: ignore[attr-defined]
    store = place.leading(url=patient(place.url))
    store.commit({"a": "1"})
    server.kill()
    assert not commits(store, {"never": "stored"})
    wait_for("doubt", lambda: doubts(store))
    server.start()
    wait_for("a commit", lambda: commits(store, {"b": "2"}))
    wait_for("certainty", lambda: not doubts(store))
    assert store.load() == {"a": "1", "b": "2"}
    store.close()
    assert place.leading("two").load() == {"a": "1", "b": "2"}
    place.close()


def test_commits_go_on_while_a_server_is_killed_again_and_again(server: Server, tmp_path: Path) -> None:
    """Whatever was said to be stored is there, and nothing of what was said not to be."""
    place = place_at(tmp_path, server.url)  # type: ignore[attr-defined]
    store = place.leading(url=patient(place.url))
    known: dict[str, str] = {}
    ended = threading.Event()

    def write() -> None:
        at = 0
        while not ended.is_set():
            at += 1
            if commits(store, {"n": str(at), f"n{at % 50}": str(at)}):
                known.update({"n": str(at), f"n{at % 50}": str(at)})
            else:
                ended.wait(0.05)
                wait_for("a load", lambda: _reloads(store, known))

    writer = threading.Thread(target=write)
    writer.start()
    for _ in range(3):
        ended.wait(0.4)
        server.kill()
        server.start()
    ended.wait(0.3)
    ended.set()
    writer.join(30.0)
    assert not writer.is_alive()
    assert len(known) > 5
    wait_for("a commit", lambda: commits(store, {"last": "1"}))
    assert store.load() == known | {"last": "1"}
    store.close()
    assert place.leading("two").load() == known | {"last": "1"}
    place.close()


def _reloads(store, known: dict[str, str]) -> bool:
    """As the scheduler does after a commit that may have been stored."""
    try:
        found = store.load()
    except StoreUnusable:
        return False
    known.clear()
    known.update(found)
    return True


def test_a_server_that_hangs_makes_the_lead_doubtful(server: Server, tmp_path: Path) -> None:
    place = place_at(tmp_path, server.url)  # type: ignore[attr-defined]
    store = place.leading()
    server.freeze()
    assert wait_for("doubt", lambda: doubts(store)) < SESSION_S
    server.thaw()
    wait_for("a commit", lambda: commits(store, {"a": "1"}))
    wait_for("certainty", lambda: not doubts(store))
    place.close()


@pytest.fixture
def three(tmp_path: Path) -> Iterator[list[ZooKeeperServer]]:
    """The one that leads comes first."""
    need(no_zookeeper())
    ports = free_ports(9)
    members = [ports[at : at + 3] for at in range(0, 9, 3)]
    servers = [ZooKeeperServer(tmp_path / f"z{at}", at, members) for at in range(3)]
    try:
        for one in servers:
            one.begin()
        for one in servers:
            one.wait()
        yield sorted(servers, key=lambda one: "Mode: leader" not in one.says("srvr"))
    finally:
        for one in servers:
            one.kill()


def _opens(place: Place, opened: list[Any]) -> bool:
    """Servers that have just begun to follow one of them may lose connections once more."""
    try:
        opened.append(place.leading())
    except StoreUnusable:
        return False
    return True


def test_one_of_three_zookeepers_may_die(three: list[ZooKeeperServer], tmp_path: Path) -> None:
    place = place_at(tmp_path, f"zk://{','.join(f'{HOST}:{one.port}' for one in three)}")
    opened: list[Any] = []
    wait_for("a store", lambda: _opens(place, opened))
    (store,) = opened
    store.commit({"a": "1"})
    three[0].kill()
    wait_for("a commit", lambda: commits(store, {"a": "2"}))
    wait_for("certainty", lambda: not doubts(store))
    assert place.open("reader").load() == {"a": "2"}
    place.close()


def test_a_zookeeper_that_the_others_have_left_makes_nobody_certain(
    three: list[ZooKeeperServer], tmp_path: Path
) -> None:
    """It answers plain questions for a while, and the others may have another leader by then."""
    left = three[2]
    place = place_at(tmp_path, left.url)
    store = place.leading()
    store.confirm()
    for other in three[:2]:
        other.freeze()
    assert wait_for("doubt", lambda: doubts(store)) < SESSION_S
    assert "Mode: follower" in left.says("srvr")
    for other in three[:2]:
        other.thaw()


# --- logins


def test_zookeeper_wants_the_password_with_which_a_store_was_made(tmp_path: Path, shared) -> None:
    server = shared("zookeeper").url
    own = f"{server.replace('zk://', 'zk://us%40er:secret-one@')}/guarded"  # others need no password
    place = place_at(tmp_path, own)
    store = place.leading()
    store.commit({"a": "1"})
    store.close()
    assert place.leading().load() == {"a": "1"}
    for login in ("us%40er:secret-two@", ""):
        with pytest.raises(StoreUnusable, match="refuses access") as refused:
            place.open("two", url=place.url.replace("us%40er:secret-one@", login)).load()
        assert "secret" not in str(refused.value)
    place.close()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[EtcdServer]:
    """An etcd with a user `root`, and one that may write below /test."""
    need(no_etcd())
    server = EtcdServer(tmp_path / "server")
    server.start()
    rights = {"permType": "READWRITE", "key": "L3Rlc3Qv", "range_end": "L3Rlc3Qw"}  # /test/ to /test0
    for path, body in (
        ("user/add", {"name": "root", "password": "r"}),
        ("role/add", {"name": "root"}),
        ("user/grant", {"user": "root", "role": "root"}),
        ("user/add", {"name": "artesian", "password": "secret:one"}),
        ("role/add", {"name": "test"}),
        ("role/grant", {"name": "test", "perm": rights}),
        ("user/grant", {"user": "artesian", "role": "test"}),
        ("enable", {}),
    ):
        url = f"http://{HOST}:{server.port}/v3/auth/{path}"
        httpx.post(url, json=body, trust_env=False).raise_for_status()
    yield server
    server.kill()


def test_etcd_wants_a_user_and_a_password(guarded: EtcdServer, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret:one\n")
    place = place_at(tmp_path, guarded.url.replace("etcd://", "etcd://artesian@"))
    url = f"{patient(place.url)}&password_file={tmp_path / 'password'}"
    store = place.leading(url=url)
    store.commit({"a": "1"})
    guarded.kill()
    guarded.start()  # it has forgotten who has logged in
    wait_for("a commit", lambda: commits(store, {"a": "2"}))
    assert store.load() == {"a": "2"}
    wait_for("certainty", lambda: not doubts(store))
    for login in ("artesian:secret-two@", "nobody:secret@", "", "artesian@"):
        with pytest.raises(StoreUnusable, match="refuses access") as refused:
            place.open("two", url=place.url.replace("artesian@", login)).load()
        assert "secret" not in str(refused.value)
    place.close()


def test_what_a_user_may_not_write_is_said(guarded: EtcdServer, tmp_path: Path) -> None:
    place = place_at(tmp_path, guarded.url.replace("etcd://", "etcd://artesian:secret%3Aone@"))
    place.path = "/elsewhere"
    with pytest.raises(StoreUnusable, match=r"refuses access.*read and write below /elsewhere/"):
        place.open()


def test_etcd_over_tls(tmp_path: Path) -> None:
    need(no_etcd())
    certificate, key = _self_signed(tmp_path)
    server = EtcdServer(
        tmp_path / "server", ("--cert-file", str(certificate), "--key-file", str(key)), scheme="https"
    )
    server.start()
    try:
        place = place_at(tmp_path, server.url)
        place.leading(url=f"{place.url}&ca={certificate}").commit({"a": "1"})
        with pytest.raises(StoreUnusable, match=r"cannot be reached.*certificate"):
            place.open("two")
        with pytest.raises(StoreUnusable, match="TLS files"):
            place.open("two", url=f"{place.url}&ca={tmp_path / 'nowhere'}")
        place.close()
    finally:
        server.kill()


def _self_signed(folder: Path) -> tuple[Path, Path]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "store")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(private, hashes.SHA256())
    )
    certificate, key = folder / "store.crt", folder / "store.key"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate, key


# --- nobody there


@pytest.mark.parametrize("scheme", ["zk", "etcd"])
def test_a_store_that_nobody_keeps_is_named(tmp_path: Path, scheme: str) -> None:
    place = place_at(tmp_path, f"{scheme}://user:secret@{HOST}:{free_ports(1)[0]}")
    with pytest.raises(StoreUnusable, match=rf"{scheme}://user@{HOST}.*cannot be reached") as refused:
        place.open()
    assert "secret" not in str(refused.value)


def test_what_was_not_written_by_artesian_is_left_alone(tmp_path: Path, shared) -> None:
    server = shared("etcd")
    place = place_at(tmp_path, server.url)
    body = {"key": _coded(f"{place.path}/head"), "value": _coded("[1, 2]")}
    httpx.post(f"http://{HOST}:{server.port}/v3/kv/put", json=body, trust_env=False).raise_for_status()
    with pytest.raises(StoreUnusable, match="was not written by Artesian"):
        place.leading()
    body["value"] = _coded('{"format": 99, "segments": []}')
    httpx.post(f"http://{HOST}:{server.port}/v3/kv/put", json=body, trust_env=False).raise_for_status()
    with pytest.raises(StoreUnusable, match=r"newer Artesian \(format 99\)"):
        place.leading()
    place.close()


def _coded(text: str) -> str:
    import base64

    return base64.b64encode(text.encode()).decode()
