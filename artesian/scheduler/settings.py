"""How many schedulers a local cluster has, and where they keep what they remember.

DIR/schedulers.json   readable by its owner only: a store's URL may hold a password; not there: one scheduler,
                      and its store is a file
DIR/scheduler         the first one's folder; DIR/scheduler-2 the second one's, and so on
"""

from __future__ import annotations

import dataclasses
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from artesian.host.files import write_durably
from artesian.model.errors import Conflict, NotPossible
from artesian.store.url import read_store_url

MAX_SCHEDULERS = 9
_FILE = "schedulers.json"


@dataclass(frozen=True, slots=True)
class SchedulerSettings:
    """`store`: its URL; empty: a file. `cluster`: what the store calls this cluster."""

    store: str = ""
    count: int = 1
    cluster: str = ""


def load_settings(folder: Path) -> SchedulerSettings:
    """Raises NotPossible for what cannot be read."""
    path = folder / _FILE
    try:
        document = json.loads(path.read_bytes())
        return SchedulerSettings(str(document["store"]), int(document["count"]), str(document["cluster"]))
    except FileNotFoundError:
        return SchedulerSettings()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NotPossible(f"{path} cannot be read: {error or type(error).__name__}") from None


def changed_settings(
    folder: Path, store: str | None, count: int | None, cluster: str | None = None
) -> SchedulerSettings:
    """Take another URL of the same store, or another number; None: as before. `cluster`: what a store calls
    a cluster that is the same one in whichever folder its scheduler runs.

    Raises NotPossible, SpecError for a URL that makes no sense, Conflict if the state would stay behind.
    """
    before = load_settings(folder)
    if store:
        _check_same_place(folder, before, store)
    after = dataclasses.replace(
        before,
        store=store or before.store,
        count=count or before.count,
        cluster=before.cluster or cluster or secrets.token_hex(8),
    )
    if after.count > 1 and not after.store:
        raise NotPossible("several schedulers need a store that they share: --store zk://… or etcd://…")
    if after.count > MAX_SCHEDULERS:
        raise NotPossible(f"a local cluster has at most {MAX_SCHEDULERS} schedulers")
    return after


def save_settings(folder: Path, settings: SchedulerSettings) -> None:
    """In the folder of a cluster that is there. Raises OSError."""
    if settings.store and settings != load_settings(folder):
        write_durably(folder / _FILE, json.dumps(dataclasses.asdict(settings)) + "\n", 0o600)


def _check_same_place(folder: Path, before: SchedulerSettings, store: str) -> None:
    wanted = read_store_url(store)
    if before.store:
        kept = read_store_url(before.store)
        if not wanted.is_same_place(kept):
            raise Conflict(f"the state of this cluster is in {kept.shown}, and {wanted.shown} lacks it")
    elif (home_of(folder, 1) / "store.sqlite").exists():
        raise Conflict(
            f"the state of this cluster is in {home_of(folder, 1) / 'store.sqlite'}, and {wanted.shown} "
            "lacks it: a store is chosen when a cluster is made"
        )


ENDED = "ended"  # a note in the first scheduler's folder: all was ended, and no scheduler has begun since


def home_of(folder: Path, number: int) -> Path:
    """What a scheduler keeps for itself. The first one has number 1."""
    return folder / ("scheduler" if number == 1 else f"scheduler-{number}")


def urls_of(address: str, first_port: int, settings: SchedulerSettings) -> tuple[str, ...]:
    """Where agents ask, one after the other: all listen at one address."""
    return tuple(f"http://{address}:{first_port + number}" for number in range(settings.count))
