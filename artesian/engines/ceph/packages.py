"""The distribution's packages of Ceph: installed when a node needs them and does not have them."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from artesian.engines.ceph.bindings import find as find_bindings
from artesian.engines.ceph.errors import BindingsMissing, BindingsUnfit, CephNodeError
from artesian.engines.ceph.process_config import Role

_TIMEOUT_S = 1800.0
_BLOCK_DRIVERS = (
    "/usr/lib/*/qemu/block-rbd.so",
    "/usr/lib64/qemu*/block-rbd.so",
    "/usr/lib/qemu/block-rbd.so",
)
_TOOLS: Mapping[Role, tuple[str, ...]] = {
    Role.MON: ("ceph-mon", "monmaptool", "setpriv"),
    Role.MGR: ("ceph-mgr",),
    Role.OSD: ("ceph-osd", "ceph-bluestore-tool", "blkid", "wipefs", "setpriv"),
    Role.CLIENT: ("qemu-storage-daemon",),
}


@dataclass(frozen=True, slots=True)
class Manager:
    """How a distribution installs packages; `commands` are run one after the other."""

    tool: str
    packages: tuple[str, ...]
    commands: tuple[tuple[str, ...], ...]
    environment: Mapping[str, str]


_DEBIAN = ("ceph-mon", "ceph-mgr", "ceph-osd", "ceph-common", "python3-rados", "python3-rbd")
_DEBIAN_QEMU = ("qemu-system-common", "qemu-block-extra", "util-linux")
_FEDORA = ("ceph-mon", "ceph-mgr", "ceph-osd", "ceph-common", "python3-rados", "python3-rbd")
_FEDORA_QEMU = ("qemu-img", "qemu-block-rbd", "util-linux")
MANAGERS = (
    Manager(
        "apt-get",
        (*_DEBIAN, *_DEBIAN_QEMU),
        (
            ("apt-get", "update", "--quiet=2"),
            (
                *("apt-get", "install", "--quiet=2", "--yes", "--no-install-recommends"),
                *("-o", "Dpkg::Use-Pty=0", "-o", "Dpkg::Options::=--force-confold"),
                *_DEBIAN,
                *_DEBIAN_QEMU,
            ),
        ),
        {"DEBIAN_FRONTEND": "noninteractive"},
    ),
    Manager(
        "dnf",
        (*_FEDORA, *_FEDORA_QEMU),
        (
            (
                *("dnf", "install", "--quiet", "--assumeyes", "--setopt=install_weak_deps=False"),
                *_FEDORA,
                *_FEDORA_QEMU,
            ),
        ),
        {},
    ),
)


def missing(roles: Iterable[Role]) -> list[str]:
    """What processes of these kinds need, and is not there. Raises BindingsUnfit."""
    wanted = set(roles)
    lacking = [
        tool for role in _TOOLS if role in wanted for tool in _TOOLS[role] if shutil.which(tool) is None
    ]
    if Role.CLIENT in wanted and not any(glob.glob(pattern) for pattern in _BLOCK_DRIVERS):
        lacking.append("the rbd driver of qemu-storage-daemon")
    for module in ("rados", "rbd") if wanted else ():
        try:
            find_bindings(module)
        except BindingsUnfit:
            raise
        except BindingsMissing as error:
            lacking.append(str(error))
    return lacking


def manager(which: Callable[[str], str | None] = shutil.which) -> Manager | None:
    """This distribution's."""
    return next((one for one in MANAGERS if which(one.tool) is not None), None)


def why_not(lacking: Sequence[str], user_id: int, found: Manager | None) -> str:
    """Why we cannot install what is lacking; empty if we can."""
    what = "; ".join(lacking)
    if found is None:
        return f"Ceph is not whole on this node ({what}), and neither apt-get nor dnf is here to install it"
    if user_id != 0:
        names = " ".join(found.packages)
        return f"Ceph is not whole on this node ({what}), and only root can install it: {names}"
    return ""


def prepare(path: Path) -> None:
    """Install them; what the tools say is in our log. Raises CephNodeError."""
    found = manager()
    refusal = why_not(["packages"], os.getuid(), found)
    if refusal or found is None:
        raise CephNodeError(refusal)
    for command in found.commands:
        try:
            subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stderr=sys.stderr,
                check=True,
                timeout=_TIMEOUT_S,
                env=os.environ | dict(found.environment),
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise CephNodeError(f"{command[0]} has failed: {error}") from None
    path.unlink(missing_ok=True)
