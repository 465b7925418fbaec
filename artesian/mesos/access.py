"""Where a Mesos cluster is, and as whom to speak to it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from artesian.mesos.errors import NotAllowed
from artesian.mesos.masters import Masters, parse_master


@dataclass(frozen=True, slots=True)
class MesosAccess:
    """`master` as `parse_master` takes it. With a `ca_file`, masters named without a scheme speak TLS."""

    master: str
    principal: str | None = None
    secret: str | None = field(default=None, repr=False)
    ca_file: Path | None = None

    def masters(self) -> Masters:
        """Where to look for the leading master. Raises ValueError if `master` makes no sense."""
        return Masters(parse_master(self.master, "http" if self.ca_file is None else "https"))

    def credentials(self) -> httpx.BasicAuth | None:
        """What proves who we are; None if nobody has to be anybody."""
        if self.principal is None:
            return None
        return httpx.BasicAuth(self.principal, self.secret or "")

    def trust(self) -> ssl.SSLContext | bool:
        """Whose certificates to believe. Raises NotAllowed if the file of the authority cannot be read."""
        if self.ca_file is None:
            return True
        try:
            return ssl.create_default_context(cafile=str(self.ca_file))
        except (OSError, ssl.SSLError) as error:
            text = f"the authority of Mesos' certificates cannot be read from {self.ca_file}: {error}"
            raise NotAllowed(text) from None
