"""Which cluster is in a folder, and where its scheduler listens."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from artesian.clusters.local import LocalCluster
from artesian.clusters.mesos import settings as mesos_settings
from artesian.clusters.mesos.settings import MesosSettings
from artesian.clusters.mesos.substrate import MesosCluster
from artesian.clusters.port import Substrate
from artesian.mesos.errors import MesosError
from artesian.model.errors import NotPossible
from artesian.store.port import Store
from artesian.store.substrate_memory import StoredSubstrateMemory

PORT = 8700


@dataclass(frozen=True, slots=True)
class OpenedCluster:
    """`folder` is the cluster's. `substrate` makes the substrate of a store, the URL of our API and the
    checksum of the agent's file, and does nothing yet. `gives_agent`: nodes fetch that file from us."""

    folder: Path
    address: str
    port: int
    substrate: Callable[[Store, str, Callable[[], str]], Substrate]
    gives_agent: bool = False


def open_cluster(folder: Path) -> OpenedCluster:
    """Raises ArtesianError for a folder without a cluster."""
    folder = folder.resolve()
    settings = mesos_settings.load(folder)
    if settings is None:
        local = LocalCluster(folder)
        return OpenedCluster(folder, local.scheduler_address, PORT, lambda _store, _url, _sha256: local)
    mesos_settings.check(settings)
    return OpenedCluster(
        folder,
        settings.address or _address_towards(settings),
        settings.port,
        lambda store, url, sha256: MesosCluster(settings, StoredSubstrateMemory(store), url, sha256),
        gives_agent=True,
    )


def _address_towards(settings: MesosSettings) -> str:
    """The address of ours from which the master is reached: its agents reach us there too, most likely."""
    try:
        parts = urlsplit(settings.access().masters().url())
        kind = socket.AF_INET6 if _is_six(parts.hostname or "") else socket.AF_INET
        with socket.socket(kind, socket.SOCK_DGRAM) as asking:
            asking.connect((parts.hostname, parts.port or 5050))
            return str(asking.getsockname()[0])
    except (MesosError, OSError) as error:
        raise NotPossible(f"no address of ours leads to Mesos; name one with --address: {error}") from None


def _is_six(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False
