"""The URL of a store: read, or refused with words; and no password is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from artesian.model.errors import SpecError
from artesian.store.url import StoreUrl, has_password, read_store_url


def test_hosts_path_and_defaults() -> None:
    assert read_store_url("zk://h1,h2:2182") == StoreUrl("zk", (("h1", 2181), ("h2", 2182)), "/artesian")
    assert read_store_url("etcd://[::1]:23,h2/a/b/").hosts == (("[::1]", 23), ("h2", 2379))
    assert read_store_url("etcd://h/a/b/").path == "/a/b"
    assert read_store_url("zk://h?session_s=30").session_s == 30.0


def test_a_login(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("from file\n")
    url = read_store_url("zk://me%40home:p%3Aq@h/a")
    assert (url.user, url.password) == ("me@home", "p:q")
    assert url.shown == "zk://me@home@h:2181/a"
    assert "p:q" not in repr(url)
    assert read_store_url(f"zk://me@h/a?password_file={tmp_path / 'password'}").password == "from file"


def test_tls() -> None:
    url = read_store_url("etcds://h/a?ca=/c/ca.crt&certificate=/c/me.crt&key=/c/me.key")
    assert (url.ca, url.certificate, url.key) == ("/c/ca.crt", "/c/me.crt", "/c/me.key")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("redis://h/a", "'redis'"),
        ("/var/lib/store", "zk://HOST"),
        ("zk://", "HOST:PORT"),
        ("zk://h1,,h2/a", "HOST:PORT"),
        ("zk://h:0/a", "'h:0'"),
        ("zk://h:x/a", "'h:x'"),
        ("zk://h//a", "'//a'"),
        ("zk://h/a/../b", "path"),
        ("zk://h/a#b", "path"),
        ("zk://h/a?sesion_s=3", "'sesion_s'"),
        ("zk://h/a?session_s=0", "1 to 600"),
        ("zk://h/a?ca=/x", "'ca'"),
        ("etcds://h/a?ca=x", "whole path"),
        ("zk://:secret@h/a", "no user"),
        ("zk://me@h/a?password_file=/nowhere/password", "cannot be read from /nowhere/password"),
    ],
)
def test_what_makes_no_sense_is_said(text: str, words: str) -> None:
    with pytest.raises(SpecError) as refused:
        read_store_url(text)
    assert words in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_password_in_a_url_is_noticed() -> None:
    assert has_password("etcd://me:secret@h1:2379,h2:2379/a")
    assert not has_password("etcd://me@h1:2379,h2:2379/a")
    assert not has_password("etcd://h1:2379/a")


def test_the_same_place() -> None:
    first = read_store_url("etcd://a,b/x")
    assert first.is_same_place(read_store_url("etcds://me:p@b,a/x?session_s=3"))
    assert not first.is_same_place(read_store_url("etcd://a,b/y"))
    assert not first.is_same_place(read_store_url("zk://a,b/x"))
