"""Options of `artesian up` for nodes that are agents of a Mesos cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from artesian.clusters.mesos import settings as mesos_settings
from artesian.clusters.mesos import trying
from artesian.clusters.mesos.settings import MesosSettings
from artesian.embedded.local.errors import NotRunning
from artesian.mesos.errors import MasterUnreachable, MesosError, NotMesos
from artesian.model.errors import Conflict, NotPossible


class Kind(StrEnum):
    """Where nodes come from."""

    LOCAL = "local"
    MESOS = "mesos"


_PANEL = "Mesos"
SubstrateKind = Annotated[
    Kind | None,
    typer.Option("--substrate", help="Where nodes come from (default local).", show_default=False),
]
Master = Annotated[
    str | None,
    typer.Option(help="host:port, https://…, or zk://host:port,…/mesos.", rich_help_panel=_PANEL),
]
Role = Annotated[
    str | None,
    typer.Option(help="Role that nodes' resources are kept for (default artesian).", rich_help_panel=_PANEL),
]
Principal = Annotated[str | None, typer.Option(help="Who we are to Mesos.", rich_help_panel=_PANEL)]
SecretFile = Annotated[
    str | None, typer.Option(help="File with the principal's secret.", rich_help_panel=_PANEL)
]
CaFile = Annotated[
    str | None, typer.Option(help="Authority of the masters' certificates.", rich_help_panel=_PANEL)
]
User = Annotated[
    str | None, typer.Option(help="Whom agents run as on nodes (default root).", rich_help_panel=_PANEL)
]
NodeFolder = Annotated[
    str | None,
    typer.Option(
        help="What agents keep on nodes is here (default /var/lib/artesian).", rich_help_panel=_PANEL
    ),
]
NodePython = Annotated[
    str | None, typer.Option(help="Python on nodes, if it is not in their path.", rich_help_panel=_PANEL)
]
Address = Annotated[
    str | None, typer.Option(help="The scheduler's address, as nodes reach it.", rich_help_panel=_PANEL)
]
Port = Annotated[
    int | None, typer.Option(help="The scheduler's port (default 8700).", rich_help_panel=_PANEL)
]

_NAMES = (
    "master", "role", "principal", "secret_file", "ca_file", "user", "node_folder", "node_python", "address",
    "port",
)  # fmt: skip


def asked(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What the options above say, of all parameters of a command; None: nothing was said."""
    return {name: parameters[name] for name in _NAMES}


def is_mesos(folder: Path, kind: Kind | None, asked: Mapping[str, Any]) -> bool:
    """Whether the folder's cluster is, or is to be, one of Mesos. Raises Conflict, NotPossible."""
    there = mesos_settings.load(folder) is not None
    local = (folder / "cluster.json").exists()
    named = [name for name, value in asked.items() if value is not None]
    if kind is Kind.MESOS and local:
        raise Conflict(f"the cluster in {folder} is one of this machine's own nodes; use another --dir")
    if kind is Kind.LOCAL and there:
        raise Conflict(f"the cluster in {folder} is on Mesos; use another --dir")
    if named and kind is not Kind.MESOS and not there:
        option = named[0].replace("_", "-")
        raise NotPossible(f"--{option} is for nodes of Mesos: add --substrate mesos")
    return there or kind is Kind.MESOS


def refuse_local(*options: object) -> None:
    """Raises NotPossible for what only nodes on this machine can have."""
    if any(one is not None for one in options):
        raise NotPossible(
            "--nodes, --disks-per-node, --disk-size and --attributes are for nodes made on this machine; "
            "those of Mesos have what they have"
        )


def ask_mesos(settings: MesosSettings) -> None:
    """Raises NotRunning, NotPossible if Mesos would not have us."""
    try:
        trying.try_out(settings)
    except (MasterUnreachable, NotMesos) as error:
        raise NotRunning(str(error)) from None
    except MesosError as error:
        raise NotPossible(str(error)) from None


def keep(
    folder: Path,
    asked: Mapping[str, Any],
    approve: Callable[[MesosSettings], None] = lambda settings: None,
    *,
    is_up: bool = False,
) -> bool:
    """Store what was asked for beside what was kept before, once it is approved of; whether that is
    something new. `is_up`: something of the cluster runs. Raises NotPossible, and what `approve` raises."""
    before = mesos_settings.load(folder)
    given = {name: value for name, value in asked.items() if value is not None}
    for name in {"secret_file", "ca_file"} & given.keys():
        given[name] = str(Path(given[name]).absolute())
    if before is None and "master" not in given:
        raise NotPossible("--substrate mesos needs --master: host:port, or zk://host:port,…/mesos")
    settings = replace(before, **given) if before is not None else MesosSettings(**given)
    mesos_settings.check(settings)
    if before is not None and is_up:
        _check_settled(before, settings)
    try:
        if before is None and folder.is_dir() and any(folder.iterdir()):
            raise NotPossible(f"{folder} is not empty, and there is no cluster in it")
        if settings != before:
            approve(settings)
        folder.mkdir(parents=True, exist_ok=True)
        if settings != before:
            mesos_settings.save(folder, settings)
    except OSError as error:
        raise NotPossible(f"{folder}: {error.strerror}") from None
    return settings != before


def _check_settled(before: MesosSettings, after: MesosSettings) -> None:
    """Raises NotPossible for what stays as it is while the cluster is up."""
    for option, old, new in (
        ("--role", before.role, after.role),
        ("--node-folder", before.node_folder, after.node_folder),
    ):
        if old != new:
            raise NotPossible(f"{option}: this cluster is up with {old}; take it down first: artesian down")
