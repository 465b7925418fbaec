"""Who uses which volume on this node: kept on the disk, so that nothing is forgotten with a process.

A use is stored before the scheduler is asked for anything, and taken back before it is told: a volume with an
entry and without uses is one that is still to be let go of.
"""

from __future__ import annotations

import dataclasses
import json
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import structlog

from artesian.host.files import write_durably

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Use:
    """`since_s`: after the machine's boot; `token` is new with each Mount, and empty once several were told
    of it; `confirmed`: somebody was told that it is mounted."""

    since_s: float
    token: str
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """A volume that containers use, or have used. `uses` are by the id that was given with the Mount; those
    who give none are one."""

    hold: str
    path: str
    uses: Mapping[str, Use] = field(default_factory=lambda: MappingProxyType({}))

    def with_use(self, use_id: str, use: Use) -> Entry:
        """The entry with this use."""
        return replace(self, uses=MappingProxyType({**self.uses, use_id: use}))

    def without(self, *use_ids: str) -> Entry:
        """The entry without these uses."""
        left = {key: one for key, one in self.uses.items() if key not in use_ids}
        return replace(self, uses=MappingProxyType(left))


class Uses:
    """Every entry of this node. Safe to use from several threads; everything raises OSError.

    `boot`: which run of the machine this is: no container outlives it.
    """

    def __init__(self, path: Path, boot: str, make_token: Callable[[], str] | None = None) -> None:
        self._path = path
        self._boot = boot
        self._make_token = make_token or (lambda: secrets.token_hex(8))
        self._lock = threading.Lock()
        self._entries = self._load()

    def find(self, name: str) -> Entry | None:
        """The entry of a volume."""
        return self._entries.get(name)

    def all(self) -> dict[str, Entry]:
        """By volume."""
        return dict(self._entries)

    def add(self, name: str, use_id: str, path: str, now_s: float) -> tuple[Entry, Use, bool]:
        """Begin a use: the entry, the use, and whether there was no such use before. A volume that is still
        to be let go of gets a new hold, so that it is not taken away by what was begun for the old one."""
        with self._lock:
            entry = self._entries.get(name)
            if entry is None or not entry.uses:
                entry = Entry(self._make_token(), path)
            before = entry.uses.get(use_id)
            use = Use(now_s, self._make_token(), before is not None and before.confirmed)
            entry = entry.with_use(use_id, use)
            self._store({**self._entries, name: entry})
            return entry, use, before is None or not before.confirmed

    def confirm(self, name: str, use_id: str, path: str, token: str) -> bool:
        """The volume is mounted at `path`, and whoever asked is about to hear it; False if that use was
        taken back meanwhile. Of several who have asked for the same at once none takes it from the others."""
        with self._lock:
            entry = self._entries.get(name)
            use = entry.uses.get(use_id) if entry is not None else None
            if entry is None or use is None:
                return False
            told = replace(use, confirmed=True, token="" if use.confirmed else token)
            self._store({**self._entries, name: replace(entry.with_use(use_id, told), path=path)})
            return True

    def take_back(self, name: str, use_id: str, token: str) -> None:
        """A Mount that came to nothing, unless somebody has asked for the same since."""
        with self._lock:
            entry = self._entries.get(name)
            use = entry.uses.get(use_id) if entry is not None else None
            if entry is not None and use is not None and use.token == token:
                self._store({**self._entries, name: entry.without(use_id)})

    def end(self, name: str, *use_ids: str) -> Entry | None:
        """These uses are over; what is left, None if there was no entry."""
        with self._lock:
            entry = self._entries.get(name)
            if entry is None:
                return None
            left = entry.without(*use_ids)
            if left != entry:
                self._store({**self._entries, name: left})
            return left

    def forget(self, name: str, hold: str) -> None:
        """It was let go of."""
        with self._lock:
            entry = self._entries.get(name)
            if entry is not None and entry.hold == hold and not entry.uses:
                self._store({key: one for key, one in self._entries.items() if key != name})

    def _load(self) -> dict[str, Entry]:
        """Uses that nobody was told of have ended with the agent, and all of them with the machine."""
        try:
            document = json.loads(self._path.read_bytes())
            same_boot = document["boot"] == self._boot
            return {
                str(name): Entry(
                    str(one["hold"]),
                    str(one["path"]),
                    MappingProxyType(
                        {
                            str(key): Use(float(use["since_s"]), str(use["token"]), True)
                            for key, use in one["uses"].items()
                            if same_boot and use["confirmed"]
                        }
                    ),
                )
                for name, one in document["volumes"].items()
            }
        except FileNotFoundError:
            return {}
        except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
            log.error("who uses volumes cannot be read", path=str(self._path), reason=str(error))
            return {}

    def _store(self, entries: dict[str, Entry]) -> None:
        volumes = {
            name: {
                "hold": entry.hold,
                "path": entry.path,
                "uses": {key: dataclasses.asdict(use) for key, use in entry.uses.items()},
            }
            for name, entry in entries.items()
        }
        text = json.dumps({"boot": self._boot, "volumes": volumes})
        write_durably(self._path, text + "\n", 0o600)
        self._entries = entries
