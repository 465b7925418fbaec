"""How the framework is told to find its Mesos."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from artesian.clusters.mesos.settings import FILE_NAME, MesosSettings, check, load, save
from artesian.model.errors import NotPossible

GOOD = MesosSettings("10.0.0.1:5050")


def test_settings_come_back_as_they_were(tmp_path: Path) -> None:
    one = replace(GOOD, role="storage/fast", principal="artesian", secret_file="/s", port=8701)
    save(tmp_path, one)
    assert load(tmp_path) == one
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o077 == 0


def test_a_folder_without_them_has_none(tmp_path: Path) -> None:
    assert load(tmp_path) is None
    assert load(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "5", "null", "{}", '{"master": "m:1", "colour": "red"}', '{"master": 5}',
             '{"master": "m:5050", "port": "many"}', '{"master": "m:5050", "role": null}'],
)  # fmt: skip
def test_a_file_that_cannot_be_right_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE_NAME).write_text(text)
    with pytest.raises(NotPossible, match=r"mesos\.json"):
        load(tmp_path)


@pytest.mark.parametrize(
    "master", ["10.0.0.1:5050", "https://m:5050", "h1:5050,h2:5050", "zk://z:2181/mesos"]
)
def test_masters_are_named_in_many_ways(master: str) -> None:
    check(replace(GOOD, master=master))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"master": ""}, "--master: no Mesos master is named"),
        ({"master": "zk://"}, "--master: "),
        ({"master": "host:port"}, "--master: "),
        ({"role": "*"}, "nothing can be kept for role *"),
        ({"role": ""}, "--role: '' is no name"),
        ({"role": "a b"}, "--role: 'a b' is no name"),
        ({"role": "a//b"}, "is no name"),
        ({"role": "-a"}, "is no name"),
        ({"role": "a/.."}, "is no name"),
        ({"principal": "artesian"}, "--principal and --secret-file are given together"),
        ({"secret_file": "/etc/hostname"}, "--principal and --secret-file are given together"),
        ({"node_folder": "var/lib"}, "--node-folder: var/lib does not begin with a slash"),
        ({"node_folder": "/" + 80 * "a"}, "has at most 80 bytes"),
        ({"principal": "p", "secret_file": "/nowhere/secret"}, "/nowhere/secret: No such file"),
        ({"principal": "p", "secret_file": "/"}, "/: Is a directory"),
        ({"ca_file": "/nowhere/ca.pem"}, "/nowhere/ca.pem: No such file"),
        ({"port": 0}, "--port: "),
        ({"port": 70000}, "--port: "),
        ({"address": "not an address"}, "--address: "),
    ],
)
def test_what_can_never_be_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(NotPossible) as refused:
        check(replace(GOOD, **change))  # type: ignore[arg-type]
    assert said in str(refused.value)


def test_a_secret_is_read_where_it_is_and_never_shown(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hush\n")
    one = replace(GOOD, principal="artesian", secret_file=str(secret))
    check(one)
    assert one.access().secret == "hush"
    assert "hush" not in json.dumps(asdict(one)) + repr(one) + repr(one.access())


def test_a_secret_that_is_no_text_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"\xff\xfe")
    with pytest.raises(NotPossible, match="secret"):
        check(replace(GOOD, principal="artesian", secret_file=str(secret)))
