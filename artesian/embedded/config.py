"""The config files of the engine's processes: YAML, checked completely before anything is done.

A file that cannot be used raises `ConfigError` with one line that names the file, the line where possible,
and, for a key that does not exist, the nearest one that does. Relative paths in a file are relative to the
folder that the file is in. Times are seconds.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from artesian.embedded.errors import ConfigError

MAX_SOCKET_PATH_BYTES = 107  # what the kernel takes for a Unix socket
MIN_SECRET_BYTES = 16
_MAX_CONFIG_BYTES = 1 << 20
_MAX_PROBLEMS_SHOWN = 3
_BARE_IPV6 = re.compile(r"^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*:")


def _check_ip(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError(f"{value!r} is not an IP address") from None


def _check_address(value: str) -> str:
    split_address(value)
    return value


def _resolve(path: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder")
    path = path.expanduser()
    return path if folder is None or path.is_absolute() else Path(folder) / path


def _check_socket_path(path: Path) -> Path:
    if (length := len(str(path).encode())) > MAX_SOCKET_PATH_BYTES:
        raise ValueError(f"the path of a socket has at most {MAX_SOCKET_PATH_BYTES} bytes, this one {length}")
    return path


def split_address(address: str) -> tuple[str, int]:
    """`"127.0.0.1:6611"` or `"[::1]:6611"` → host and port. Raises ValueError."""
    ip, _, port = address.rpartition(":")
    if not ip or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{address!r} is not an address like 127.0.0.1:6611")
    if _BARE_IPV6.match(ip):
        raise ValueError(f"{address!r}: write an IPv6 address in brackets, as in [::1]:6611")
    return _check_ip(ip.removeprefix("[").removesuffix("]")), int(port)


Ip = Annotated[str, AfterValidator(_check_ip)]
Address = Annotated[str, AfterValidator(_check_address)]
Port = Annotated[int, Field(ge=1, le=65535, strict=True)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=31)]
FilePath = Annotated[Path, AfterValidator(_resolve), PlainSerializer(str)]
SocketPath = Annotated[
    Path, AfterValidator(_resolve), AfterValidator(_check_socket_path), PlainSerializer(str)
]
Guid = Annotated[str, Field(pattern=r"^[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}$")]
ManagerRole = Literal["Manager", "TieBreaker"]


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _ProcessConfig(_Config):
    """What every process needs."""

    secret_file: FilePath

    def read_secret(self) -> bytes:
        """The secret that the engine's processes share. Raises ConfigError if it is missing or not safe."""
        return read_secret(self.secret_file)


class _FollowerConfig(_ProcessConfig):
    """A process that follows the leading manager."""

    managers: list[Address] = Field(min_length=1)

    @property
    def manager_addresses(self) -> list[tuple[str, int]]:
        """Control addresses of the managers, as (ip, port)."""
        return [split_address(address) for address in self.managers]


class ManagerPeer(_Config):
    """One member of the managers' quorum as the others reach it."""

    name: Name
    ip: Ip
    raft_port: Port
    control_port: Port
    role: ManagerRole = "Manager"


class MdmConfig(_ProcessConfig):
    """A manager. `peers` names every manager of the engine, this one too."""

    name: Name
    ip: Ip
    raft_port: Port
    control_port: Port
    role: ManagerRole = "Manager"
    data_dir: FilePath
    peers: list[ManagerPeer] = Field(min_length=1)
    rebuild_after_s: Seconds = 15.0  # a server that is away for less is only brought up to date afterwards

    @model_validator(mode="after")
    def _check_peers(self) -> Self:
        for what, values in (
            ("name", [peer.name for peer in self.peers]),
            ("raft address", [(peer.ip, peer.raft_port) for peer in self.peers]),
            ("control address", [(peer.ip, peer.control_port) for peer in self.peers]),
        ):
            if len(set(values)) != len(values):
                raise ValueError(f"two of the peers have the same {what}")
        mine = ManagerPeer(
            name=self.name,
            ip=self.ip,
            raft_port=self.raft_port,
            control_port=self.control_port,
            role=self.role,
        )
        if mine not in self.peers:
            raise ValueError(
                f"the peers must contain this manager itself, {self.name!r}, exactly as it is here"
            )
        return self


class SdsConfig(_FollowerConfig):
    """A server: offers a node's devices."""

    name: Name
    ip: Ip
    port: Port


class SdcConfig(_FollowerConfig):
    """A client: an NBD export for every volume that is mapped to it."""

    name: Name
    ip: Ip
    guid: Guid
    nbd_socket: SocketPath
    state_dir: FilePath
    io_timeout_s: Seconds = 60.0  # how long a request waits for a copy to come back before it fails


class GatewayConfig(_FollowerConfig):
    """A gateway: REST over HTTPS; makes its own certificate in `certificate_dir` when there is none."""

    ip: Ip
    port: Port
    certificate_dir: FilePath


ConfigType = TypeVar("ConfigType", bound=BaseModel)


def read_secret(path: Path) -> bytes:
    """Read a shared secret. Raises ConfigError if it is missing, too short, or readable by others."""
    try:
        mode = path.stat().st_mode
        secret = path.read_bytes().strip()
    except OSError as error:
        raise ConfigError(f"{path}: the secret cannot be read: {error.strerror}") from None
    if mode & 0o077:
        raise ConfigError(f"{path}: others can read the secret (mode {mode & 0o777:04o}); chmod 600 it")
    if len(secret) < MIN_SECRET_BYTES:
        raise ConfigError(
            f"{path}: the secret has {len(secret)} bytes, at least {MIN_SECRET_BYTES} are needed"
        )
    return secret


def load_config(config_class: type[ConfigType], path: Path) -> ConfigType:
    """Read and check a config file. Raises ConfigError."""
    return parse_config(config_class, read_config_text(path), path)


def read_config_text(path: Path) -> str:
    """The text of a config file. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_CONFIG_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    if len(data) > _MAX_CONFIG_BYTES:
        raise ConfigError(f"{path}: larger than {_MAX_CONFIG_BYTES} bytes, this is no config file")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text") from None


def parse_config(config_class: type[ConfigType], text: str, path: Path) -> ConfigType:
    """Check the text of a config file; `path` is what errors and relative paths refer to.

    Raises ConfigError.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is not None:
            _refuse_duplicates(root, path)
        document = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}:{mark.line + 1}" if mark is not None else str(path)
        raise ConfigError(f"{where}: not valid YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        summary = (str(error).splitlines() or ["it cannot be read"])[0]
        raise ConfigError(f"{path}: not valid YAML: {summary}") from None
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: must hold keys and values, such as {_example(config_class)}")
    try:
        return config_class.model_validate(document, context={"folder": path.absolute().parent})
    except ValidationError as error:
        raise ConfigError(_describe(config_class, error, path, root)) from None


def _example(config_class: type[BaseModel]) -> str:
    return ", ".join(f"'{name}: …'" for name in list(config_class.model_fields)[:2])


def _refuse_duplicates(node: yaml.Node, path: Path) -> None:
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else str(key)
            if name in seen:
                raise ConfigError(f"{path}:{key.start_mark.line + 1}: the key {name!r} is there twice")
            seen.add(name)
            _refuse_duplicates(value, path)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_duplicates(value, path)


def _describe(
    config_class: type[BaseModel], error: ValidationError, path: Path, root: yaml.Node | None
) -> str:
    """One line out of everything that is wrong with a file."""
    problems = []
    # Unknown keys come first: they are often the reason why others are missing.
    for item in sorted(error.errors(include_url=False), key=lambda item: item["type"] != "extra_forbidden"):
        location = item["loc"]
        where = f"{path}:{_line(root, location)}" if root is not None else str(path)
        problems.append(f"{where}: {_problem(config_class, location, item['type'], item)}")
    shown = problems[:_MAX_PROBLEMS_SHOWN]
    if len(problems) > len(shown):
        shown.append(f"and {len(problems) - len(shown)} more problems")
    return "; ".join(shown)


def _problem(config_class: type[BaseModel], location: Sequence[int | str], kind: str, item: Any) -> str:
    dotted = ".".join(str(part) for part in location)
    if kind == "extra_forbidden":
        known = _known_keys(config_class, location[:-1])
        near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys are {', '.join(known)}"
        return f"unknown key {dotted!r}; {hint}"
    if kind == "missing":
        return f"the key {dotted!r} is missing"
    message = str(item["msg"]).removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    return f"{dotted!r}: {message}" if dotted else message


def _known_keys(config_class: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """The keys of the model that `location` leads to inside `config_class`."""
    for part in location:
        if isinstance(part, int):
            continue
        field = config_class.model_fields.get(part)
        inner = _model_within(field.annotation) if field is not None else None
        if inner is None:
            break
        config_class = inner
    return list(config_class.model_fields)


def _model_within(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        if (found := _model_within(argument)) is not None:
            return found
    return None


def _line(root: yaml.Node, location: Sequence[int | str]) -> int:
    """The line (from 1) of what `location` names, or of the nearest thing around it."""
    node = root
    line: int = root.start_mark.line
    for part in location:
        if isinstance(node, yaml.MappingNode):
            pairs = [(key, value) for key, value in node.value if key.value == part]
            if not pairs:
                break
            key, node = pairs[0]
            line = key.start_mark.line
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line
        else:
            break
    return line + 1
