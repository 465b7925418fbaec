"""Where a command finds the cluster's scheduler: in the cluster's folder, or far away.

DIR/connection.json   of a folder that `artesian connect` has made: the scheduler's URLs, the token's file
ARTESIAN_URL          the same for every command, together with ARTESIAN_TOKEN_FILE
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from artesian.cli.cluster.options import DEFAULT_FOLDER
from artesian.embedded.local.errors import NotRunning
from artesian.host.files import write_durably
from artesian.model.errors import Conflict, NotPossible, NotThere
from artesian.scheduler.api_token import TOKEN_FILE_VARIABLE, TOKEN_VARIABLE, checked_token, read_token

URL_VARIABLE = "ARTESIAN_URL"
_FILE = "connection.json"
_CLUSTER_FILES = ("cluster.json", "mesos.json")


@dataclass(frozen=True, slots=True)
class Access:
    """One scheduler. `token_from` says where its token was found, `remedy` what to do if it is away."""

    url: str
    token: str = field(repr=False)
    token_from: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Connection:
    """A cluster whose schedulers run elsewhere."""

    urls: tuple[str, ...]
    token_file: str

    def accesses(self) -> list[Access]:
        """One for each URL. Raises NotPossible if the token cannot be read."""
        token = read_token(self.token_file)
        remedy = "is that its URL, and does it run?"
        return [Access(url, token, self.token_file, remedy) for url in self.urls]


def read_urls(text: str) -> tuple[str, ...]:
    """The URLs of one cluster's schedulers, with commas between them. Raises NotPossible."""
    return tuple(_url(one.strip()) for one in text.split(","))


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        sound = parts.port != 0 and parts.hostname is not None
    except ValueError:
        sound = False
    if not sound or parts.scheme not in ("http", "https"):
        raise NotPossible(f"{text!r} is no URL of a scheduler, such as http://10.0.0.7:8700")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise NotPossible("a scheduler's URL has neither a user nor anything behind its path")
    return text.rstrip("/").removesuffix("/v1")


def refuse_cluster(folder: Path) -> None:
    """Raises Conflict if a cluster was made in that folder."""
    if has_cluster(folder):
        raise Conflict(f"{folder} holds a cluster of its own; connect with another --dir")


def save(folder: Path, connection: Connection) -> None:
    """Keep it for all commands with that folder. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {"urls": list(connection.urls), "token_file": connection.token_file}
    write_durably(folder / _FILE, json.dumps(document) + "\n", 0o600)


def find(folder: Path, environment: Mapping[str, str] = os.environ) -> Connection | None:
    """The cluster far away that commands are meant for; None if it is the one in the folder.

    Raises Conflict if two are named, NotPossible for a connection that makes no sense.
    """
    if url := environment.get(URL_VARIABLE):
        if folder.absolute() != DEFAULT_FOLDER:
            raise Conflict(f"{URL_VARIABLE} names one cluster and --dir or ARTESIAN_DIR another: give one")
        file = environment.get(TOKEN_FILE_VARIABLE)
        if not file:
            raise NotPossible(f"{URL_VARIABLE} needs {TOKEN_FILE_VARIABLE}: a file with the API's token")
        return Connection(read_urls(url), str(Path(file).absolute()))
    try:
        document = json.loads((folder / _FILE).read_bytes())
        return Connection(tuple(document["urls"]), str(document["token_file"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NotPossible(f"{folder / _FILE} cannot be read: {error}; use: artesian connect") from None


def refuse_connected(folder: Path, command: str) -> None:
    """Raises Conflict for what works only where the scheduler runs."""
    connection = find(folder)
    if connection is not None:
        raise Conflict(
            f"this would speak to {connection.urls[0]}, whose scheduler runs elsewhere: `artesian {command}` "
            f"needs a folder of its own (--dir), and no {URL_VARIABLE}"
        )


def accesses(folder: Path) -> list[Access]:
    """Where the cluster's schedulers are asked, in this order. Raises NotThere, NotRunning, NotPossible."""
    connection = find(folder)
    if connection is not None:
        return connection.accesses()
    return [_access_in(path) for path in _access_files(folder)]


def has_cluster(folder: Path) -> bool:
    """Whether a cluster was made in this folder."""
    return any((folder / name).exists() for name in _CLUSTER_FILES)


def _access_files(folder: Path) -> list[Path]:
    """Of every scheduler that has led once; the one that was the last to begin comes first."""
    found = sorted(
        [*folder.glob("scheduler/api.json"), *folder.glob("scheduler-*/api.json")],
        key=lambda path: path.stat().st_mtime_ns if path.exists() else 0,
        reverse=True,
    )
    if found:
        return found
    if not has_cluster(folder):
        raise NotThere(
            f"there is no cluster in {folder}; make one with: artesian up, or use one that runs elsewhere: "
            "artesian connect"
        )
    raise NotRunning("the scheduler has never run here; start it with: artesian up")


def _access_in(path: Path) -> Access:
    try:
        document = json.loads(path.read_bytes())
        token, token_from = _token(document, path)
        return Access(str(document["url"]), token, token_from, "start it with: artesian up")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NotRunning(f"{path} cannot be read: {error}") from None


def _token(document: Mapping[str, Any], path: Path) -> tuple[str, str]:
    if "token_file" in document:
        file = str(document["token_file"])
        return read_token(file), file
    if "token" in document:
        return str(document["token"]), str(path)
    token = os.environ.get(TOKEN_VARIABLE, "")
    if not token:
        raise NotPossible(
            f"the scheduler was started with a token in {TOKEN_VARIABLE}, which is kept nowhere: set it here"
        )
    return checked_token(token, TOKEN_VARIABLE), TOKEN_VARIABLE
