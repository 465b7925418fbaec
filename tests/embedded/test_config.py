"""Config files: what is right is taken, what is wrong is told in one line that helps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from artesian.embedded.config import (
    GatewayConfig,
    MdmConfig,
    SdcConfig,
    SdsConfig,
    load_config,
    parse_config,
    split_address,
)
from artesian.embedded.errors import ConfigError

PEER = {"name": "mdm-1", "ip": "127.0.1.1", "raft_port": 6711, "control_port": 6611, "role": "Manager"}
MDM = PEER | {"secret_file": "secret", "data_dir": "data", "peers": [PEER]}
SDS = {"name": "node-1", "ip": "127.0.1.1", "port": 7072, "managers": ["127.0.1.1:6611"], "secret_file": "s"}
SDC = {
    "name": "node-1",
    "ip": "127.0.1.1",
    "guid": "0B9E2B0E-1B6C-4E9A-8F5B-5C3A8B0E2D11",
    "managers": ["127.0.1.1:6611", "[::1]:6611"],
    "secret_file": "secret",
    "nbd_socket": "nbd.sock",
    "state_dir": "state",
}
PATH = Path("/etc/artesian/x.yaml")


def parse(config_class: Any, document: Any) -> Any:
    return parse_config(config_class, yaml.safe_dump(document, sort_keys=False), PATH)


def problem(config_class: Any, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_config(config_class, text, PATH)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_relative_paths_start_at_the_files_folder() -> None:
    config = parse(SdcConfig, SDC | {"state_dir": "/var/lib/sdc"})
    assert config.nbd_socket == Path("/etc/artesian/nbd.sock")
    assert config.secret_file == Path("/etc/artesian/secret")
    assert config.state_dir == Path("/var/lib/sdc")


def test_manager_addresses_are_taken_apart() -> None:
    assert parse(SdcConfig, SDC).manager_addresses == [("127.0.1.1", 6611), ("::1", 6611)]


def test_what_is_written_is_what_is_read() -> None:
    for config_class, document in ((MdmConfig, MDM), (SdsConfig, SDS), (SdcConfig, SDC)):
        config = parse(config_class, document)
        assert parse(config_class, config.model_dump(mode="json")) == config


def test_an_unknown_key_is_told_with_its_line_and_the_nearest_known_one() -> None:
    text = yaml.safe_dump(SDS, sort_keys=False) + "secretfile: x\n"
    assert problem(SdsConfig, text) == f"{PATH}:7: unknown key 'secretfile'; did you mean 'secret_file'?"


def test_an_unknown_key_deep_inside_is_told_too() -> None:
    text = yaml.safe_dump(MDM | {"peers": [PEER | {"raftport": 1}]}, sort_keys=False)
    line = 1 + [row.strip() for row in text.splitlines()].index("raftport: 1")
    assert problem(MdmConfig, text).startswith(
        f"{PATH}:{line}: unknown key 'peers.0.raftport'; did you mean 'raft_port'?"
    )


def test_a_key_like_no_other_is_told_with_all_known_ones() -> None:
    message = problem(GatewayConfig, "zzz: 1")
    assert "unknown key 'zzz'; known keys are " in message
    assert "certificate_dir" in message


def test_a_missing_key_is_named() -> None:
    text = yaml.safe_dump({key: value for key, value in SDS.items() if key != "port"})
    assert problem(SdsConfig, text) == f"{PATH}:1: the key 'port' is missing"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"port": "7072"}, "'port': input should be a valid integer"),
        ({"port": 0}, "'port': input should be greater than or equal to 1"),
        ({"port": 65536}, "'port': input should be less than or equal to 65535"),
        ({"port": True}, "'port': input should be a valid integer"),
        ({"ip": "node-1"}, "'ip': 'node-1' is not an IP address"),
        ({"managers": []}, "'managers': list should have at least 1 item"),
        ({"managers": ["127.0.1.1"]}, "'managers.0': '127.0.1.1' is not an address like 127.0.0.1:6611"),
        ({"managers": ["::1:6611"]}, "write an IPv6 address in brackets"),
        ({"name": ""}, "'name': string should have at least 1 character"),
        ({"name": "n" * 32}, "'name': string should have at most 31 characters"),
        ({"secret_file": 7}, "'secret_file'"),
    ],
)
def test_a_value_that_cannot_be_is_told_with_its_key(change: dict[str, Any], words: str) -> None:
    assert words in problem(SdsConfig, yaml.safe_dump(SDS | change))


@pytest.mark.parametrize("guid", ["", "0b9e2b0e-1b6c-4e9a-8f5b-5c3a8b0e2d11", "node-1"])
def test_a_guid_is_an_upper_case_uuid(guid: str) -> None:
    assert "'guid'" in problem(SdcConfig, yaml.safe_dump(SDC | {"guid": guid}))


def test_a_socket_path_that_the_kernel_cannot_take_is_refused() -> None:
    message = problem(SdcConfig, yaml.safe_dump(SDC | {"nbd_socket": "/" + "d" * 107}))
    assert "'nbd_socket': the path of a socket has at most 107 bytes, this one 108" in message


def test_a_time_is_positive_and_finite() -> None:
    for value in (0, -1, float("inf"), float("nan")):
        assert "'io_timeout_s'" in problem(SdcConfig, yaml.safe_dump(SDC | {"io_timeout_s": value}))


def test_a_manager_is_among_its_peers() -> None:
    other = PEER | {"name": "mdm-2", "raft_port": 1, "control_port": 2}
    assert "must contain this manager" in problem(MdmConfig, yaml.safe_dump(MDM | {"peers": [other]}))
    moved = PEER | {"ip": "127.0.1.2"}
    assert "must contain this manager" in problem(MdmConfig, yaml.safe_dump(MDM | {"peers": [moved]}))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"raft_port": 1, "control_port": 2}, "same name"),
        ({"name": "b", "control_port": 2}, "same raft address"),
        ({"name": "b", "raft_port": 1}, "same control address"),
    ],
)
def test_two_managers_cannot_be_the_same(change: dict[str, Any], words: str) -> None:
    assert words in problem(MdmConfig, yaml.safe_dump(MDM | {"peers": [PEER, PEER | change]}))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must hold keys and values"),
        ("- a\n- b", "must hold keys and values"),
        ("name: [", ":1: not valid YAML"),
        ("name: a\n\tip: b", ":2: not valid YAML"),
        ("name: a\nip: b\nname: c", ":3: the key 'name' is there twice"),
        ("a: &a [*a]\n", "not valid YAML"),
        ("name: !!python/object:os.system {}", "not valid YAML"),
        ("a: 2026-99-99", "not valid YAML"),
        ("[" * 5000, "not valid YAML"),
    ],
)
def test_what_is_no_config_is_told(text: str, words: str) -> None:
    assert words in problem(SdsConfig, text)


def test_many_problems_are_counted() -> None:
    message = problem(SdcConfig, "a: 1\nb: 2\nc: 3\n")
    assert message.count(str(PATH)) == 3
    assert message.endswith("more problems")


@given(st.text())
def test_no_text_does_anything_but_be_refused(text: str) -> None:
    problem(SdsConfig, text)


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), (b"\xff\xfe", "not UTF-8"), (b"#" * (1 << 21), "this is no config file")],
)
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "x.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        load_config(SdsConfig, path)
    with pytest.raises(ConfigError):
        load_config(SdsConfig, tmp_path)


# --- the secret


def secret(tmp_path: Path, content: bytes, mode: int = 0o600) -> SdsConfig:
    path = tmp_path / "secret"
    path.write_bytes(content)
    path.chmod(mode)
    return SdsConfig.model_validate(SDS | {"secret_file": str(path)})


def test_a_secret_is_read_without_its_newline(tmp_path: Path) -> None:
    assert secret(tmp_path, b"0123456789abcdef\n").read_secret() == b"0123456789abcdef"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_secret_that_others_can_read_is_none(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ConfigError, match=r"others can read the secret .*; chmod 600 it"):
        secret(tmp_path, b"0123456789abcdef", mode).read_secret()


def test_a_short_secret_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the secret has 15 bytes, at least 16 are needed"):
        secret(tmp_path, b" 0123456789abcde\n").read_secret()


def test_a_missing_secret_is_told(tmp_path: Path) -> None:
    config = SdsConfig.model_validate(SDS | {"secret_file": str(tmp_path / "absent")})
    with pytest.raises(ConfigError, match="absent: the secret cannot be read: No such file"):
        config.read_secret()


@pytest.mark.parametrize(
    "text", ["", ":1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000", "host:1", "1::2:3"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError):
        split_address(text)
