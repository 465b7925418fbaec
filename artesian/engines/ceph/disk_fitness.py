"""Whether a disk may become an OSD: what is on it, looked at without writing a byte."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from artesian.engines.ceph.bluestore_label import Label, read_label

MIN_BYTES = 1 << 30
_BLKID_NOTHING = 2
_BLKID_AMBIVALENT = 8
_TOOL_S = 30.0


@dataclass(frozen=True, slots=True)
class Fitness:
    """What is known of a disk. It is fit if nothing is `wrong`, and carries nothing but perhaps our `label`.

    `failed`: it is not there, or cannot be read; what is on it is not known.
    """

    size_bytes: int = 0
    label: Label | None = None
    wrong: str = ""
    failed: bool = False


def look(path: str | None, owner: str) -> Fitness:
    """Of the disk that is, or is to be, the OSD with the uuid `owner`."""
    if path is None:
        return Fitness(wrong="the disk is not there", failed=True)
    try:
        size_bytes, is_block = _size(path)
        label = read_label(path)
    except OSError as error:
        return Fitness(wrong=f"{path} cannot be read: {error.strerror}", failed=True)
    except ValueError as error:
        return Fitness(wrong=str(error))
    if label is not None:
        if label.uuid == owner and label.is_understood:
            return Fitness(size_bytes, label)
        if label.uuid == owner:
            return Fitness(size_bytes, label, f"the label of {path} is not understood")
        return Fitness(size_bytes, label, f"{path} is the OSD {label.uuid} of cluster {label.fsid or '?'}")
    if size_bytes < MIN_BYTES:
        return Fitness(size_bytes, wrong=f"{path} has {size_bytes} bytes, and an OSD needs {MIN_BYTES}")
    try:
        signatures = _blkid(path) + _wipefs(path)
        if not signatures and is_block and _is_held(path):
            return Fitness(size_bytes, wrong=f"{path} is in use")
    except ValueError as error:
        return Fitness(size_bytes, wrong=f"what is on {path} is not known: {error}")
    if signatures:
        found = ", ".join(dict.fromkeys(signatures))
        return Fitness(size_bytes, wrong=f"{path} is not empty: {found} is on it")
    return Fitness(size_bytes)


def find(paths: Sequence[str]) -> str | None:
    """The first of a disk's names that means something."""
    return next((path for path in paths if os.path.exists(path)), None)


def _size(path: str) -> tuple[int, bool]:
    """Bytes, and whether it is a block device. Raises OSError, or ValueError if it is no disk."""
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISBLK(mode):
        raise ValueError(f"{path} is neither a block device nor a file")
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        return os.lseek(descriptor, 0, os.SEEK_END), stat.S_ISBLK(mode)
    finally:
        os.close(descriptor)


def _is_held(path: str) -> bool:
    """Whether it is mounted, swapped to, or a part of something: the kernel refuses it then."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
    except OSError as error:
        if error.errno == errno.EBUSY:
            return True
        raise ValueError(f"{error.strerror}") from None
    return False


def _blkid(path: str) -> list[str]:
    code, output, complaint = _run("blkid", "-p", "-o", "export", path)
    if code == 0:
        fields = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
        named = [fields[key] for key in ("TYPE", "PTTYPE") if fields.get(key)]
        return named or [fields.get("USAGE") or "something unknown"]
    if code == _BLKID_AMBIVALENT:
        return ["several things at once"]
    # It ends in the same way for a disk that it could not open: then it complains.
    if code == _BLKID_NOTHING and not complaint:
        return []
    raise ValueError(f"blkid says {complaint or code}")


def _wipefs(path: str) -> list[str]:
    code, output, complaint = _run("wipefs", "--json", "--no-act", path)
    if code != 0:
        raise ValueError(f"wipefs says {complaint or code}")
    if not output.strip():
        return []  # of an empty disk some versions print nothing
    try:
        return [str(one.get("type") or "something unknown") for one in json.loads(output)["signatures"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"wipefs is not understood: {error!r}") from None


def _run(*words: str) -> tuple[int, str, str]:
    try:
        result = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TOOL_S,
            check=False,
            env=os.environ | {"LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ValueError(f"{words[0]} cannot be asked: {error}") from None
    return result.returncode, result.stdout, " ".join(result.stderr.split())
