"""Whether a disk carries anything: asked of util-linux, never guessed."""

from __future__ import annotations

import json
import os
import stat
import subprocess

from artesian.embedded.errors import DeviceError

TIMEOUT_S = 30
_NOTHING_FOUND = 2  # blkid's exit code


def foreign_signature(path: str) -> str | None:
    """What is on the disk, in words; None when libblkid finds nothing and nobody uses it.

    Raises DeviceError when that cannot be found out: an unknown disk is never taken for an empty one.
    """
    if stat.S_ISBLK(os.stat(path).st_mode):
        used = _use(path)
        if used is not None:
            return used
    probed = _run("blkid", "-p", "-o", "export", path)
    if probed.returncode == 0:
        found = dict(line.split("=", 1) for line in probed.stdout.splitlines() if "=" in line)
        kind = found.get("TYPE") or found.get("PTTYPE") or found.get("USAGE") or "unknown"
        return f"{kind} signature" if "PTTYPE" not in found else f"{kind} partition table"
    if probed.returncode != _NOTHING_FOUND:
        raise DeviceError(f"blkid could not examine {path}: {probed.stderr.strip() or 'ambivalent result'}")
    listed = _run("wipefs", "--no-act", "--json", path)
    if listed.returncode != 0:
        raise DeviceError(f"wipefs could not examine {path}: {listed.stderr.strip()}")
    signatures = json.loads(listed.stdout).get("signatures", []) if listed.stdout.strip() else []
    if signatures:
        return f"{signatures[0].get('type', 'unknown')} signature"
    return None


def _use(path: str) -> str | None:
    """Whether a block device is mounted, held, partitioned or read-only."""
    listed = _run("lsblk", "--json", "--output", "PATH,MOUNTPOINTS,RO,TYPE", path)
    if listed.returncode != 0:
        raise DeviceError(f"lsblk could not examine {path}: {listed.stderr.strip()}")
    for device in json.loads(listed.stdout)["blockdevices"]:
        if any(device.get("mountpoints") or []):
            return "mounted file system"
        if device.get("children"):
            return "partitions, or another device built on it"
        if device.get("ro"):
            return "write protection"
    return None


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=TIMEOUT_S, check=False
        )
    except FileNotFoundError:
        raise DeviceError(f"{command[0]} (util-linux) is needed to examine disks, and is missing") from None
    except subprocess.TimeoutExpired:
        raise DeviceError(f"{command[0]} did not answer within {TIMEOUT_S} s for {command[-1]}") from None
