"""How the framework finds its Mesos, and what it wants there."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from artesian.host.files import write_durably
from artesian.mesos.access import MesosAccess
from artesian.model.errors import NotPossible

FILE_NAME = "mesos.json"
FOLDER_ATTRIBUTE = "artesian-folder"  # where this node's agent keeps what it keeps
MAX_FOLDER_BYTES = 80  # the kernel limits the paths of sockets
_HOST = re.compile(r"[A-Za-z0-9_.-]+|[0-9A-Fa-f:.]+(%[A-Za-z0-9_.-]+)?")
_TYPES: Mapping[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "bool": (bool,),
    "float": (int, float),
}
_ROLE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


@dataclass(frozen=True, slots=True)
class MesosSettings:
    """`master` in any form that `artesian.mesos.masters` reads. `user` is whom the agent runs as: somebody
    who may open disks and mount. `node_folder` is what agents keep, `node_python` the interpreter on nodes
    that have none of our version in their path.
    """

    master: str
    role: str = "artesian"
    name: str = "artesian"
    principal: str | None = None
    secret_file: str | None = None
    ca_file: str | None = None
    user: str | None = None
    node_folder: str = "/var/lib/artesian"
    node_python: str = ""
    failover_timeout_s: float = 14 * 86400.0
    checkpoint: bool = True
    address: str = ""  # of the scheduler, as nodes reach it; empty: the one from which the master is reached
    port: int = 8700

    def access(self) -> MesosAccess:
        """What the client needs. Raises NotPossible if the secret cannot be read."""
        secret = None
        if self.secret_file is not None:
            try:
                secret = Path(self.secret_file).read_text().strip()
            except OSError as error:
                raise NotPossible(f"{self.secret_file}: {error.strerror}") from None
            except UnicodeDecodeError:
                raise NotPossible(f"{self.secret_file}: this is no text, and so no secret") from None
        ca_file = Path(self.ca_file) if self.ca_file is not None else None
        return MesosAccess(self.master, self.principal, secret, ca_file)


def check(settings: MesosSettings) -> None:
    """Raises NotPossible for what can never be."""
    try:
        MesosAccess(settings.master).masters()
    except ValueError as error:
        raise NotPossible(f"--master: {error}") from None
    if settings.role == "*":
        raise NotPossible("--role: nothing can be kept for role *; name one of its own, such as artesian")
    if _ROLE.fullmatch(settings.role) is None:
        raise NotPossible(f"--role: {settings.role!r} is no name for a role of Mesos")
    if (settings.principal is None) != (settings.secret_file is None):
        raise NotPossible("--principal and --secret-file are given together, or neither")
    if problem := folder_problem(settings.node_folder):
        raise NotPossible(f"--node-folder: {problem}")
    if settings.address and _HOST.fullmatch(settings.address) is None:
        raise NotPossible(f"--address: {settings.address!r} is neither an address nor a name of a machine")
    if not 0 < settings.port < 65536:
        raise NotPossible(f"--port: {settings.port} is no number of a port, which are 1 to 65535")
    _check_file(settings.ca_file)
    settings.access()


def folder_of(attributes: Mapping[str, str], node_folder: str) -> str:
    """Where a node with these attributes keeps what it keeps; `node_folder`: where all others do."""
    return attributes.get(FOLDER_ATTRIBUTE, node_folder)


def folder_problem(folder: str) -> str:
    """Why nodes cannot keep what they keep in a folder of this path; empty if they can."""
    if not folder.startswith("/"):
        return f"{folder} does not begin with a slash"
    if len(folder.encode()) > MAX_FOLDER_BYTES:
        return f"sockets are made in {folder}, so its path has at most {MAX_FOLDER_BYTES} bytes"
    return ""


def _check_file(name: str | None) -> None:
    if name is not None:
        try:
            Path(name).read_bytes()
        except OSError as error:
            raise NotPossible(f"{name}: {error.strerror}") from None


def save(folder: Path, settings: MesosSettings) -> None:
    """Keep them in a cluster's folder. Raises OSError."""
    text = json.dumps(dataclasses.asdict(settings), indent=1) + "\n"
    write_durably(folder / FILE_NAME, text, 0o600)


def load(folder: Path) -> MesosSettings | None:
    """What was kept; None if the folder's cluster is none of Mesos. Raises NotPossible."""
    path = folder / FILE_NAME
    try:
        return _with_right_types(MesosSettings(**json.loads(path.read_bytes())))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NotPossible(f"{path}: {error.strerror}") from None
    except (ValueError, TypeError) as error:
        raise NotPossible(f"{path} cannot be read: {error}") from None


def _with_right_types(settings: MesosSettings) -> MesosSettings:
    """Raises TypeError for a value that is of another type than it has to be."""
    for one in dataclasses.fields(settings):
        value, kind = getattr(settings, one.name), str(one.type)
        allowed = _TYPES[kind.partition(" ")[0]]
        if not (isinstance(value, allowed) or (value is None and kind.endswith("None"))):
            raise TypeError(f"{one.name} cannot be {value!r}")
    return settings
