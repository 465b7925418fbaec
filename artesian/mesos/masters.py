"""Where the leading master is: named outright, among a few, or found in ZooKeeper."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, NoNodeError
from kazoo.handlers.threading import KazooTimeoutError

from artesian.mesos.errors import MasterUnreachable, NotMesos

_MASTER_PORT, _ZOOKEEPER_PORT = 5050, 2181
_ZOOKEEPER_TIMEOUT_S = 10.0
_CANDIDATE = re.compile(r"json\.info_(\d+)")
_SHAPES = '"host:5050", "https://host:5050", "h1:5050,h2:5050" or "zk://h1:2181,h2:2181/mesos"'

_silent = logging.getLogger("artesian.mesos.kazoo")  # what matters of it is said by our own errors
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


@dataclass(frozen=True, slots=True)
class ZooKeeper:
    """Where masters elect their leader. `hosts` with their ports, `path` from the root."""

    hosts: tuple[str, ...]
    path: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class MasterAddress:
    """The URLs of masters, without a slash at the end; or else a ZooKeeper that knows. `scheme` is for those
    that it knows."""

    urls: tuple[str, ...] = ()
    zookeeper: ZooKeeper | None = None
    scheme: str = "http"

    @property
    def shown(self) -> str:
        """Where it is, for people: without secrets."""
        if self.zookeeper is not None:
            return f"zk://{','.join(self.zookeeper.hosts)}{self.zookeeper.path}"
        return ", ".join(self.urls)


def parse_master(text: str, scheme: str = "http") -> MasterAddress:
    """Reads "host:port", "http(s)://host:port[/base]", a list of these with commas between, or
    "zk://[user:password@]h1:2181,h2:2181/path", as Mesos' programs do. `scheme` is that of masters named
    without one.

    Raises ValueError with a message for people; secrets are not in it.
    """
    text = text.strip()
    if not text:
        raise ValueError(f"no Mesos master is named; expected is {_SHAPES}")
    if text.startswith("zk://"):
        return MasterAddress(zookeeper=_parse_zookeeper(text), scheme=scheme)
    urls = tuple(_parse_url(part.strip(), scheme) for part in text.split(","))
    return MasterAddress(urls, scheme=scheme)


def redirected(url: str, location: str | None) -> str:
    """The URL of the master that a master's redirect names; mostly without a scheme (//host:port/path).

    The scheme stays as it is, as credentials go there. Raises NotMesos if it names nothing.
    """
    try:
        parts = urlsplit(location or "")
        named = parts.hostname is not None and (parts.port is None or parts.port > 0)
    except ValueError:
        named = False
    if not named or "@" in parts.netloc:
        raise NotMesos(f"what answers at {url} redirects to {location!r}, which is no master")
    return f"{urlsplit(url).scheme}://{parts.netloc}"


class Masters:
    """Which master to try next. Safe to use from several threads."""

    def __init__(self, address: MasterAddress) -> None:
        self._address = address
        self._lock = threading.Lock()
        self._leader: str | None = None
        self._next = 0

    @property
    def silence(self) -> str:
        """What is to be said as long as none was heard of."""
        which = " (whether ZooKeeper does is not known either)" if self._address.zookeeper is not None else ""
        return f"no Mesos master answers at {self._address.shown}{which}"

    def url(self) -> str:
        """The URL of the master that most likely leads. May block on ZooKeeper; raises MasterUnreachable."""
        with self._lock:
            if self._leader is not None:
                return self._leader
            if self._address.zookeeper is None:
                return self._address.urls[self._next % len(self._address.urls)]
        leader = leader_in_zookeeper(self._address.zookeeper, self._address.scheme)
        self.is_led_by(leader)
        return leader

    def is_led_by(self, url: str) -> None:
        """Another master said so: it is tried next."""
        with self._lock:
            self._leader = url

    def failed(self, url: str) -> None:
        """This one does not lead or does not answer: another one, if there is one, is tried next."""
        with self._lock:
            if self._leader is None:
                self._next += 1
            elif self._leader == url:
                self._leader = None


def leader_in_zookeeper(
    zookeeper: ZooKeeper, scheme: str = "http", timeout_s: float = _ZOOKEEPER_TIMEOUT_S
) -> str:
    """The URL of the master that leads, as ZooKeeper knows it. Raises MasterUnreachable."""
    hosts = ",".join(zookeeper.hosts)
    credentials = []
    if zookeeper.user is not None:
        credentials.append(("digest", f"{zookeeper.user}:{zookeeper.password or ''}"))
    client = KazooClient(hosts=hosts, timeout=timeout_s, auth_data=credentials, logger=_silent)
    try:
        client.start(timeout=timeout_s)
        leader = first_candidate(client.get_children(zookeeper.path))
        if leader is None:
            raise MasterUnreachable(f"no Mesos master leads, says ZooKeeper ({hosts}{zookeeper.path})")
        content, _ = client.get(f"{zookeeper.path}/{leader}")
    except NoNodeError:
        raise MasterUnreachable(f"ZooKeeper ({hosts}) knows no Mesos master at {zookeeper.path}") from None
    except (KazooTimeoutError, KazooException, OSError) as error:
        text = str(error) or type(error).__name__
        raise MasterUnreachable(f"ZooKeeper ({hosts}) cannot be asked for the Mesos master: {text}") from None
    finally:
        client.stop()
        client.close()
    return master_of(content, scheme)


def first_candidate(names: Sequence[str]) -> str | None:
    """The node of the master that leads: the one that came first of those that are still there."""
    numbered = [(int(found[1]), name) for name in names if (found := _CANDIDATE.fullmatch(name))]
    return min(numbered)[1] if numbered else None


def master_of(content: bytes, scheme: str) -> str:
    """The URL in what a master has written of itself into ZooKeeper. Raises MasterUnreachable.

    Certificates are for names; without TLS an address needs nobody to resolve it.
    """
    try:
        address = json.loads(content)["address"]
        host, port = str(address["ip"]), int(address["port"])
        if scheme == "https":
            host = str(address.get("hostname") or host)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise MasterUnreachable("what the Mesos master has written into ZooKeeper cannot be read") from None
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _parse_url(text: str, scheme: str) -> str:
    explicit = "://" in text
    try:
        parts = urlsplit(text if explicit else f"{scheme}://{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or parts.query or parts.fragment or any(c.isspace() for c in text):
        raise ValueError(f"{_without_secret(text)!r} is no address of a Mesos master; expected is {_SHAPES}")
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"a Mesos master is not reached by {parts.scheme}://; expected is {_SHAPES}")
    if "@" in parts.netloc:
        raise ValueError("name and password do not belong into the master's address: they have own settings")
    if not explicit and parts.path:
        raise ValueError(f"{text!r} has a path, and needs http:// or https:// in front then")
    if port is None and not explicit:
        port = _MASTER_PORT
    return f"{parts.scheme}://{_joined(host, port)}{parts.path.rstrip('/')}"


def _parse_zookeeper(text: str) -> ZooKeeper:
    rest = text.removeprefix("zk://")
    netloc, _, path = rest.partition("/")
    login, has_login, hosts = netloc.rpartition("@")
    user, has_password, password = login.partition(":")
    if has_login and not (user and has_password):
        raise ValueError(
            f"{_without_secret(text)!r}: before @ there have to be a user, a colon and a password"
        )
    if not path.strip("/"):
        raise ValueError(f"{_without_secret(text)!r} lacks the masters' path in ZooKeeper, such as /mesos")
    found = tuple(_zookeeper_host(host.strip(), text) for host in hosts.split(","))
    return ZooKeeper(found, f"/{path.strip('/')}", user or None, password or None)


def _zookeeper_host(text: str, whole: str) -> str:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or any(c.isspace() for c in text):
        raise ValueError(f"{_without_secret(whole)!r} has no hosts of ZooKeeper, such as h1:2181")
    return _joined(host, port or _ZOOKEEPER_PORT)


def _joined(host: str, port: int | None) -> str:
    if ":" in host:
        host = f"[{host}]"
    return host if port is None else f"{host}:{port}"


def _without_secret(text: str) -> str:
    return re.sub(r"^(\w+://)?.*@", r"\1…@", text)
