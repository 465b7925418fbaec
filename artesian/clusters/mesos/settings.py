"""How the framework finds its Mesos, and what it wants there."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from pathlib import Path

from artesian.host.files import write_durably
from artesian.mesos.access import MesosAccess
from artesian.model.errors import NotPossible

FILE_NAME = "mesos.json"
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
    if not settings.node_folder.startswith("/"):
        raise NotPossible(f"--node-folder: {settings.node_folder} does not begin with a slash")
    settings.access()


def save(folder: Path, settings: MesosSettings) -> None:
    """Keep them in a cluster's folder. Raises OSError."""
    text = json.dumps(dataclasses.asdict(settings), indent=1) + "\n"
    write_durably(folder / FILE_NAME, text, 0o600)


def load(folder: Path) -> MesosSettings | None:
    """What was kept; None if the folder's cluster is none of Mesos. Raises NotPossible."""
    path = folder / FILE_NAME
    try:
        return MesosSettings(**json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NotPossible(f"{path}: {error.strerror}") from None
    except (ValueError, TypeError) as error:
        raise NotPossible(f"{path} cannot be read: {error}") from None
