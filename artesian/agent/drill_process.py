"""`python -m artesian.agent.drill_process MODE FOLDER PATH DRILL [BYTES]`: a drill's own user of its volume.

`write` puts numbered records on the volume mounted at PATH, each on stable storage before it counts as
acknowledged; `verify` reads back all of them past every cache of this machine; `fill` writes BYTES of data
that nobody can make smaller. What they have come to is in FOLDER, which is on the node's own disk.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import sys
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

RECORD_BYTES = 4096
RECORDS, FILLING = "records", "filling"
ACKNOWLEDGED = "acknowledged"
_PAUSE_S = 0.01
_STATUS_S = 0.25
_AT_ONCE = 256  # records that are read back together
_PIECE_BYTES = 1 << 20
_NUMBER_BYTES = 8
_FILL_BYTES_PER_S = 64 << 20  # so that what is said of it is never far behind, and others get on


@dataclass(frozen=True, slots=True)
class Status:
    """What a process writes down of itself. `done_bytes`: of filling; `verified`: None until all is read."""

    acknowledged: int = 0
    pause_s: float = 0.0
    verified: int | None = None
    done_bytes: int = 0
    error: str = ""


def record(drill: str, number: int) -> bytes:
    """The content of a record: its number, and bytes that belong to this one and no other."""
    payload = hashlib.shake_128(f"{drill} {number}".encode()).digest(RECORD_BYTES - _NUMBER_BYTES)
    return number.to_bytes(_NUMBER_BYTES, "little") + payload


def read_status(folder: Path, mode: str) -> Status:
    """What a process has written down last; nothing if it has not yet."""
    try:
        return Status(**json.loads((folder / f"{mode}.json").read_bytes()))
    except (OSError, ValueError, TypeError):
        return Status()


def write_status(folder: Path, mode: str, status: Status) -> None:
    """Replace it as a whole. A crash of the machine may lose it: it is about this very moment."""
    temporary = folder / f"{mode}.json.new"
    temporary.write_text(json.dumps(asdict(status)))
    temporary.replace(folder / f"{mode}.json")


def acknowledged(folder: Path) -> int:
    """How many records are on stable storage. A crash of the node may make it fewer, and never more."""
    try:
        return int.from_bytes((folder / ACKNOWLEDGED).read_bytes()[:_NUMBER_BYTES], "little")
    except FileNotFoundError:
        return 0


class _Pauses:
    """The longest time between two acknowledgements, the one that goes on included."""

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._last_s = time.monotonic()

    def note(self) -> None:
        now_s = time.monotonic()
        self._longest_s = max(self._longest_s, now_s - self._last_s)
        self._last_s = now_s

    @property
    def longest_s(self) -> float:
        return max(self._longest_s, time.monotonic() - self._last_s)


def write(folder: Path, path: Path, drill: str) -> None:
    """Record after record, until we are ended. Raises OSError when the volume fails."""
    count = acknowledged(folder)
    pauses = _Pauses(read_status(folder, "write").pause_s)
    counter = os.open(folder / ACKNOWLEDGED, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    state = [count]

    def tell() -> None:
        while True:
            write_status(folder, "write", Status(state[0], pauses.longest_s))
            time.sleep(_STATUS_S)

    descriptor = os.open(path / RECORDS, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    threading.Thread(target=tell, daemon=True).start()
    while True:
        number = state[0]
        os.pwrite(descriptor, record(drill, number), number * RECORD_BYTES)
        os.fsync(descriptor)
        os.pwrite(counter, (number + 1).to_bytes(_NUMBER_BYTES, "little"), 0)
        state[0] = number + 1
        pauses.note()
        time.sleep(_PAUSE_S)


def verify(folder: Path, path: Path, drill: str) -> None:
    """Read back all that was acknowledged. Raises OSError; ValueError for what is not as it was written."""
    count = acknowledged(folder)
    buffer = mmap.mmap(-1, _AT_ONCE * RECORD_BYTES)  # aligned, as reading past the cache needs it
    descriptor = _open_uncached(path / RECORDS)
    try:
        for first in range(0, count, _AT_ONCE):
            got = os.preadv(descriptor, [buffer], first * RECORD_BYTES)
            for number in range(first, min(first + _AT_ONCE, count)):
                at = (number - first) * RECORD_BYTES
                if at + RECORD_BYTES > got:
                    raise ValueError(f"record {number} of {count} that were acknowledged is not there")
                if buffer[at : at + RECORD_BYTES] != record(drill, number):
                    raise ValueError(f"record {number} of {count} is not as it was written")
    finally:
        os.close(descriptor)
    before = read_status(folder, "write")
    write_status(folder, "verify", Status(count, before.pause_s, count))


def _open_uncached(path: Path) -> int:
    """What is read was not just kept in memory, as far as the file system can do that."""
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
    except OSError:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        return descriptor


def fill(folder: Path, path: Path, amount_bytes: int) -> None:
    """Data that cannot be left out, up to an amount. Raises OSError when the volume fails."""
    descriptor = os.open(path / FILLING, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    done = min(read_status(folder, "fill").done_bytes, os.fstat(descriptor).st_size)
    began, before = time.monotonic(), done
    while done < amount_bytes:
        time.sleep(max(0.0, began + (done - before) / _FILL_BYTES_PER_S - time.monotonic()))
        piece = os.urandom(min(_PIECE_BYTES, amount_bytes - done))
        done += os.pwrite(descriptor, piece, done)
        if done % (16 * _PIECE_BYTES) == 0 or done >= amount_bytes:
            os.fsync(descriptor)
            write_status(folder, "fill", Status(done_bytes=done))


def check_mounted(path: Path) -> None:
    """Raises OSError if nothing is mounted there: what is meant for the volume must not go elsewhere."""
    if os.stat(path).st_dev == os.stat(path.parent).st_dev:
        raise OSError(f"nothing is mounted at {path}")


def main(arguments: list[str]) -> int:
    """Until the work is done, or we are killed."""
    mode, folder, path, drill = arguments[0], Path(arguments[1]), Path(arguments[2]), arguments[3]
    try:
        check_mounted(path)
        if mode == "write":
            write(folder, path, drill)
        elif mode == "verify":
            verify(folder, path, drill)
        else:
            fill(folder, path, int(arguments[4]))
    except (OSError, ValueError) as error:
        words = " ".join(str(error).split()) or type(error).__name__
        write_status(folder, mode, replace(_last(folder, mode), error=words))
        return 1
    return 0


def _last(folder: Path, mode: str) -> Status:
    if mode == "fill":
        return read_status(folder, mode)
    return replace(read_status(folder, "write"), acknowledged=acknowledged(folder))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
