"""Where a store is, as somebody writes it: zk://h1:2181,h2:2181/artesian, etcd://h1:2379,h2:2379/artesian."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from artesian.model.errors import SpecError

_PORTS = {"zk": 2181, "etcd": 2379, "etcds": 2379}
_FILES = ("ca", "certificate", "key", "password_file")
_TLS = ("ca", "certificate", "key")
_DEFAULT_PATH = "/artesian"
_DEFAULT_SESSION_S = 10.0
_SESSION_S = (1.0, 600.0)
_PATH = re.compile(r"(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+")
_HOST = re.compile(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """`session_s`: how long a leader of which nothing is heard goes on leading."""

    scheme: str
    hosts: tuple[tuple[str, int], ...]
    path: str = _DEFAULT_PATH
    session_s: float = _DEFAULT_SESSION_S
    user: str = ""
    password: str = field(default="", repr=False)
    ca: str = ""
    certificate: str = ""
    key: str = ""

    @property
    def shown(self) -> str:
        """Without its password, for everybody."""
        user = f"{self.user}@" if self.user else ""
        return f"{self.scheme}://{user}{','.join(f'{host}:{port}' for host, port in self.hosts)}{self.path}"

    def is_same_place(self, other: StoreUrl) -> bool:
        """Whether what was stored in one of them is in the other."""
        return (self.scheme[:4], set(self.hosts), self.path) == (
            other.scheme[:4], set(other.hosts), other.path,
        )  # fmt: skip


def has_password(text: str) -> bool:
    """Whether a URL shows its password to whoever sees it."""
    user, at, _ = text.partition("://")[2].partition("/")[0].rpartition("@")
    return bool(at) and ":" in user


def read_store_url(text: str) -> StoreUrl:
    """Raises SpecError, which does not show passwords; the file with the password is read here."""
    scheme, separator, _ = text.partition("://")
    if not separator or scheme not in _PORTS:
        raise SpecError(
            "a store is zk://HOST:PORT,…/PATH, etcd://HOST:PORT,…/PATH or, with TLS, etcds://…; "
            f"this begins with {scheme[:20]!r}"
        )
    parts = urlsplit(text)
    login, _, hosts = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    options = _options(parts.query, scheme)
    path = parts.path.rstrip("/") or _DEFAULT_PATH
    if _PATH.fullmatch(path) is None or parts.fragment:
        raise SpecError(f"the store's path {path!r} is not /NAME or /NAME/NAME of letters and digits")
    if "password_file" in options:
        password = _password(options["password_file"])
    if password and not user:
        raise SpecError("the store's URL has a password and no user: write USER@ before its hosts")
    return StoreUrl(
        scheme,
        tuple(_host(one, _PORTS[scheme]) for one in hosts.split(",")),
        path,
        _session(options.get("session_s", str(_DEFAULT_SESSION_S))),
        unquote(user),
        password if "password_file" in options else unquote(password),
        **{name: options[name] for name in _TLS if name in options},
    )


def _options(query: str, scheme: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    allowed = ["session_s", "password_file", *(_TLS if scheme == "etcds" else ())]
    for name in options:
        if name not in allowed:
            raise SpecError(f"the store's URL says {name!r}; known with {scheme}:// are {', '.join(allowed)}")
    for name in _FILES:
        if name in options and not Path(options[name]).is_absolute():
            raise SpecError(f"{name} in the store's URL is {options[name]!r}: give the file's whole path")
    return options


def _password(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"the store's password cannot be read from {path}: {error}") from None


def _host(text: str, default_port: int) -> tuple[str, int]:
    host, port = text, ""
    if not text.endswith("]"):
        before, colon, after = text.rpartition(":")
        host, port = (before, after) if colon else (text, "")
    if _HOST.fullmatch(host) is None or (port and not (port.isdecimal() and 0 < int(port) < 65536)):
        raise SpecError(f"{text!r} in the store's URL is no HOST:PORT")
    return host, int(port or default_port)


def _session(text: str) -> float:
    shortest, longest = _SESSION_S
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not shortest <= seconds <= longest:
        raise SpecError(f"session_s is {text!r}, and has to be {shortest:g} to {longest:g} seconds")
    return seconds
