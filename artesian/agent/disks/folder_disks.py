"""The disks of a node of one machine: the files in a folder that stands for /dev."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from artesian.agent.disks.errors import DisksUnknown
from artesian.agent.disks.facts import Probe
from artesian.agent.disks.files import FileFacts, look_at
from artesian.agent.disks.parallel import ParallelProber
from artesian.agent.disks.probing import probe_disk
from artesian.host.loops import loop_devices
from artesian.host.tools import RunTool, run_tool
from artesian.model.disk import Disk, Media
from artesian.model.names import device_name

MEDIA_FILE = ".media.json"
# File systems count time in ticks: what is written so soon after a look may leave the times as they were.
_SETTLED_NS = 20_000_000


@dataclass(frozen=True, slots=True)
class _Remembered:
    probe: Probe
    facts: FileFacts
    settled: bool  # no write can have happened since that the times do not show


class FolderDisks:
    """Takes every regular file in a folder for a disk; symlinks, hidden files and the like are left out.

    Remembers what it saw, so that looking again costs no processes while nothing changes. For one thread.
    """

    def __init__(self, folder: Path, run: RunTool = run_tool, links: Path | None = None) -> None:
        """`links`: a folder of names that stay with the disks; made when it is missing."""
        self._folder = Path(os.path.abspath(folder))
        self._links = links
        self._prober = ParallelProber(lambda path: probe_disk(path, run))
        self._remembered: dict[str, _Remembered] = {}  # by identity

    def find(self) -> tuple[Disk, ...]:
        """All disks by path, as they are now. Raises DisksUnknown if the folder cannot be listed."""
        troubles: dict[str, str] = {}
        files: dict[str, FileFacts] = {}
        for path in self._paths():
            printable = _printable(path)
            try:
                facts = look_at(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                troubles[printable] = f"it cannot be opened: {error.strerror}"
                continue
            if facts is not None and printable != path:
                troubles[printable] = "its name is not UTF-8"
            elif facts is not None:
                files[path] = facts
        probes = self._probes(files)
        media, loops = self._media(), loop_devices()
        disks = [
            Disk(
                path=path,
                identity=facts.identity,
                size_bytes=facts.size_bytes,
                media=media.get(os.path.basename(path), Media.UNKNOWN),
                read_only=facts.read_only,
                holders=loops.get((facts.device, facts.inode), ()),
                signatures=probes[path].signatures,
                label=probes[path].label,
                unreadable=probes[path].unreadable,
                other_paths=(f"/dev/{os.path.basename(path)}",),  # what the folder stands for
                stable_path=self._link(path, facts),
            )
            for path, facts in files.items()
        ]
        self._unlink_others({device_name(facts.identity) for facts in files.values()})
        disks += [
            Disk(path, None, 0, unreadable=trouble) for path, trouble in troubles.items() if path not in files
        ]
        return tuple(sorted(disks, key=lambda disk: disk.path))

    def _link(self, path: str, facts: FileFacts) -> str:
        """A name that means this very file, whatever happens to its other names; empty if there is none."""
        if self._links is None:
            return ""
        link = self._links / device_name(facts.identity)
        try:
            if _inode(link) != facts.inode:
                self._links.mkdir(parents=True, exist_ok=True)
                fresh = link.with_name(f".{link.name}")
                fresh.unlink(missing_ok=True)
                os.link(path, fresh, follow_symlinks=False)
                fresh.replace(link)
            return str(link) if _inode(link) == facts.inode else ""
        except OSError:
            return ""  # on another file system, or gone meanwhile

    def _unlink_others(self, names: Collection[str]) -> None:
        """A disk that was pulled out has no name any more."""
        if self._links is not None and self._links.is_dir():
            for link in self._links.iterdir():
                if link.name not in names:
                    link.unlink(missing_ok=True)

    def _paths(self) -> list[str]:
        try:
            names = sorted(os.listdir(self._folder))
        except OSError as error:
            raise DisksUnknown(f"the folder {self._folder} cannot be listed: {error.strerror}") from error
        return [os.path.join(self._folder, name) for name in names if not name.startswith(".")]

    def _probes(self, files: Mapping[str, FileFacts]) -> dict[str, Probe]:
        """What is on each file: remembered where that is certain to be still so, else looked at anew."""
        kept: dict[str, _Remembered] = {}
        probes: dict[str, Probe] = {}
        for path, facts in files.items():
            known = self._remembered.get(facts.identity)
            if known is not None and _still_holds(known, facts):
                kept[facts.identity] = known
                probes[path] = known.probe
        started_ns = time.time_ns()
        fresh = self._prober.probe_all(path for path in files if path not in probes)
        for path, probe in fresh.items():
            facts = files[path]
            probes[path] = _unless_replaced(path, facts, probe)
            if not probes[path].unreadable:
                settled = facts.touched_ns < started_ns - _SETTLED_NS
                kept[facts.identity] = _Remembered(probe, facts, settled)
        self._remembered = kept
        return probes

    def _media(self) -> dict[str, Media]:
        """What the file .media.json says by name: "ssd" or "hdd". Nothing if absent or not understood."""
        try:
            document = json.loads((self._folder / MEDIA_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return dict(_known_media(document.items())) if isinstance(document, dict) else {}


def _printable(path: str) -> str:
    """The path itself, unless it has bytes that are not UTF-8: those are written as \\xff."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _still_holds(known: _Remembered, facts: FileFacts) -> bool:
    """A disk of ours is written to all the time, and a look at it costs next to nothing."""
    return known.settled and known.facts == facts and known.probe.label is None


def _inode(path: Path) -> int | None:
    try:
        return path.lstat().st_ino
    except FileNotFoundError:
        return None


def _known_media(entries: Iterable[tuple[str, object]]) -> Iterable[tuple[str, Media]]:
    for name, word in entries:
        if word in ("ssd", "hdd"):
            yield name, Media(str(word))


def _unless_replaced(path: str, before: FileFacts, probe: Probe) -> Probe:
    """The probe, if the name still means the same file: else it may be of the one or the other."""
    try:
        after = look_at(path)
    except OSError:
        after = None
    if after is None or (after.device, after.identity) != (before.device, before.identity):
        return Probe(unreadable="it was replaced while it was looked at")
    return probe
