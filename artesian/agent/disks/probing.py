"""What tools, the kernel and engines' superblocks say of disks. Only ever reads."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

from artesian.agent.disks.errors import DisksUnknown
from artesian.agent.disks.facts import SOMEBODY, JsonObject, Probe
from artesian.agent.disks.label import read_label
from artesian.host.signatures import is_held_exclusively, signatures_by_blkid, signatures_by_wipefs
from artesian.host.tools import RunTool, ToolTrouble, run_tool

COLUMNS = (
    "NAME,KNAME,PATH,MAJ:MIN,PKNAME,TYPE,SIZE,MODEL,WWN,SERIAL,ROTA,RO,MOUNTPOINTS,FSTYPE,PTTYPE,PARTTYPE"
)
_SYS_BLOCK = Path("/sys/class/block")
_DEV_DISK = Path("/dev/disk")


def list_block_devices(run: RunTool = run_tool) -> JsonObject:
    """What `lsblk --json` (util-linux 2.37 or newer) prints. Raises DisksUnknown."""
    try:
        answer = run(("lsblk", "--json", "--bytes", "--output", COLUMNS))
        if answer.exit_code != 0:
            raise DisksUnknown(f"lsblk cannot list the disks: {answer.complaint or answer.exit_code}")
        document = json.loads(answer.output)
    except ToolTrouble as trouble:
        raise DisksUnknown(f"the disks cannot be listed: {trouble}") from trouble
    except ValueError as error:
        raise DisksUnknown(f"lsblk printed what is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise DisksUnknown("lsblk printed JSON without devices")
    return document


def links_to_devices(dev_disk: Path = _DEV_DISK) -> dict[str, tuple[str, ...]]:
    """By path of a device, its links in /dev/disk/by-id and by-path, sorted."""
    links: dict[str, list[str]] = {}
    for folder in (dev_disk / "by-id", dev_disk / "by-path"):
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            continue  # without udev there are no such names
        for name in names:
            link = os.path.join(folder, name)
            links.setdefault(os.path.realpath(link), []).append(link)
    return {path: tuple(sorted(names)) for path, names in links.items()}


def probe_disk(path: str, run: RunTool = run_tool, sys_block: Path = _SYS_BLOCK) -> Probe:
    """What is on a file or block device, and who holds it. Never raises for trouble with the disk."""
    reading = read_label(path)
    troubles = [reading.unreadable] if reading.unreadable else []
    signatures: list[str] = []
    # A whole superblock of an engine covers where others begin; behind it are volumes, whose contents may
    # look like anything, at their writers' will. One that does not say of which engine it is says too little.
    is_whole = reading.label is not None and reading.label.system_id
    tools = () if is_whole else (signatures_by_blkid, signatures_by_wipefs)
    for signatures_by in tools:
        try:
            signatures += signatures_by(path, run)
        except ToolTrouble as trouble:
            troubles.append(str(trouble))
    holders: tuple[str, ...] = ()
    try:
        if stat.S_ISBLK(os.stat(path).st_mode):
            holders = _holders_in_sys(path, sys_block)
            # An engine's disk is not tried: its engine may be about to open it, and would find it busy.
            if not holders and reading.label is None and is_held_exclusively(path):
                holders = (SOMEBODY,)
    except OSError as error:
        troubles.append(f"whether it is in use cannot be found out: {error.strerror}")
    return Probe(
        signatures=tuple(dict.fromkeys(signatures)),
        label=reading.label,
        label_uuid=reading.uuid,
        holders=holders,
        unreadable="; ".join(troubles),
    )


def _holders_in_sys(path: str, sys_block: Path) -> tuple[str, ...]:
    folder = sys_block / os.path.basename(os.path.realpath(path)) / "holders"
    return tuple(f"/dev/{name}" for name in sorted(os.listdir(folder)))
