"""How masters are named, and which one is tried."""

from __future__ import annotations

import json
import logging

import pytest

from artesian.mesos import masters
from artesian.mesos.errors import MasterUnreachable, NotMesos
from artesian.mesos.masters import (
    MasterAddress,
    Masters,
    ZooKeeper,
    first_candidate,
    master_of,
    parse_master,
    redirected,
)


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("h1", ["http://h1:5050"]),
        (" h1:5051 ", ["http://h1:5051"]),
        ("[::1]:5050", ["http://[::1]:5050"]),
        ("http://h1:5050/", ["http://h1:5050"]),
        ("https://mesos.example.org", ["https://mesos.example.org"]),
        ("https://example.org/some/base/", ["https://example.org/some/base"]),
        ("h1:5050, h2:5050,h3", ["http://h1:5050", "http://h2:5050", "http://h3:5050"]),
        ("https://h1:5050,h2:5050", ["https://h1:5050", "http://h2:5050"]),
    ],
)
def test_masters_that_are_named(text: str, urls: list[str]) -> None:
    assert parse_master(text) == MasterAddress(tuple(urls))


def test_without_a_scheme_it_is_that_of_the_cluster() -> None:
    assert parse_master("h1:5050,http://h2:1", "https").urls == ("https://h1:5050", "http://h2:1")
    assert parse_master("zk://h1/mesos", "https").scheme == "https"


@pytest.mark.parametrize(
    ("text", "zookeeper"),
    [
        ("zk://h1:2181/mesos", ZooKeeper(("h1:2181",), "/mesos")),
        ("zk://h1,h2:2182,[::1]:2183/a/b/", ZooKeeper(("h1:2181", "h2:2182", "[::1]:2183"), "/a/b")),
        ("zk://us:p%w:@x@h1/mesos", ZooKeeper(("h1:2181",), "/mesos", "us", "p%w:@x")),
    ],
)
def test_a_zookeeper_that_knows(text: str, zookeeper: ZooKeeper) -> None:
    assert parse_master(text) == MasterAddress(zookeeper=zookeeper)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no Mesos master is named"),
        ("h1:5050,,h2", "no address of a Mesos master"),
        ("h1:port", "'h1:port' is no address"),
        ("h1:99999", "'h1:99999' is no address"),
        ("h1 h2", "'h1 h2' is no address"),
        ("h1/mesos", "needs http://"),
        ("http://h1?a=b", "is no address"),
        ("file:///etc/mesos/zk", "no address"),
        ("ftp://h1", "not reached by ftp://"),
        ("http://me:s3cret@h1:5050", "have own settings"),
        ("me:s3cret@h 1", "'…@h 1' is no address"),
        ("zk://h1:2181", "lacks the masters' path"),
        ("zk:///mesos", "has no hosts of ZooKeeper"),
        ("zk://h1:x/mesos", "has no hosts of ZooKeeper"),
        ("zk://s3cret@h1/mesos", "'zk://…@h1/mesos': before @"),
        ("zk://me:s3/cret@h1/mesos", "zk://…@h1/mesos"),
    ],
)
def test_what_makes_no_sense_is_told_without_secrets(text: str, says: str) -> None:
    with pytest.raises(ValueError) as raised:
        parse_master(text)
    assert says in str(raised.value)
    assert "s3" not in str(raised.value)


def test_a_password_is_not_printed() -> None:
    assert "s3cret" not in repr(parse_master("zk://me:s3cret@h1/mesos"))


@pytest.mark.parametrize(
    ("location", "leader"),
    [
        ("//h2:5050/master/api/v1/scheduler", "https://h2:5050"),
        ("http://h2:5050/api/v1", "https://h2:5050"),
        ("//[::1]:5050/api/v1", "https://[::1]:5050"),
    ],
)
def test_a_redirect_names_the_leader_and_never_takes_encryption_away(location: str, leader: str) -> None:
    assert redirected("https://h1:5050/base", location) == leader


@pytest.mark.parametrize("location", [None, "", "/login", "//", "//h:x/", "//me:pw@h/", "http://"])
def test_a_redirect_to_nowhere_is_not_mesos(location: str | None) -> None:
    with pytest.raises(NotMesos, match="redirects to"):
        redirected("http://h1:5050", location)


def test_of_candidates_that_who_came_first_leads() -> None:
    names = ["json.info_0000000010", "info_0000000001", "json.info_0000000009", "log_replicas", "json.info_"]
    assert first_candidate(names) == "json.info_0000000009"
    assert first_candidate(["log_replicas"]) is None


def test_a_master_is_reached_by_address_or_by_the_name_in_its_certificate() -> None:
    content = json.dumps({"address": {"hostname": "m1", "ip": "10.0.0.1", "port": 5050}}).encode()
    assert master_of(content, "http") == "http://10.0.0.1:5050"
    assert master_of(content, "https") == "https://m1:5050"
    content = json.dumps({"address": {"ip": "fe80::1", "port": 5050}}).encode()
    assert master_of(content, "https") == "https://[fe80::1]:5050"


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"[]", b"{}", b'{"address": 3}', b'{"address": {"ip": "x"}}']
)
def test_what_is_no_master_in_zookeeper_is_told(content: bytes) -> None:
    with pytest.raises(MasterUnreachable, match="cannot be read"):
        master_of(content, "http")


def test_masters_are_tried_in_turn_until_one_names_the_leader() -> None:
    tried = Masters(parse_master("h1,h2"))
    assert tried.url() == tried.url() == "http://h1:5050"
    tried.failed("http://h1:5050")
    assert tried.url() == "http://h2:5050"
    tried.failed("http://h2:5050")
    assert tried.url() == "http://h1:5050"
    tried.is_led_by("http://h9:5050")
    assert tried.url() == "http://h9:5050"
    tried.failed("http://h1:5050")  # an older attempt, which says nothing of the leader
    assert tried.url() == "http://h9:5050"
    tried.failed("http://h9:5050")
    assert tried.url() == "http://h1:5050"


def test_zookeeper_is_asked_again_only_when_the_leader_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    leaders = ["http://a:1", "http://b:2"]
    monkeypatch.setattr(masters, "leader_in_zookeeper", lambda zookeeper, scheme: leaders.pop(0))
    tried = Masters(parse_master("zk://h1/mesos"))
    assert tried.url() == tried.url() == "http://a:1"
    tried.failed("http://a:1")
    assert tried.url() == "http://b:2"


def test_where_masters_are_looked_for_is_said_without_secrets() -> None:
    assert parse_master("zk://me:secret@h1,h2:2182/mesos").shown == "zk://h1:2181,h2:2182/mesos"
    silence = Masters(parse_master("zk://h1/mesos")).silence
    assert "zk://h1:2181/mesos (whether ZooKeeper does is not known either)" in silence
    assert parse_master("h1,https://h2:5051").shown == "http://h1:5050, https://h2:5051"


def test_a_zookeeper_that_is_away_is_told_by_us_alone() -> None:
    written: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = written.append  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    try:
        with pytest.raises(MasterUnreachable, match=r"ZooKeeper \(127.0.0.1:9\) cannot be asked"):
            masters.leader_in_zookeeper(ZooKeeper(("127.0.0.1:9",), "/mesos"), timeout_s=0.5)
    finally:
        logging.getLogger().removeHandler(handler)
    assert written == []
