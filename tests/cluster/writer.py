"""Writes below a folder without end, each time to stable storage, and reads everything back: FOLDER PROGRESS.

PROGRESS has one line for each round; its last line begins with "error" if something was not as written.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from pathlib import Path

_FILES, _BYTES = 8, 64 << 10


def main(folder: Path, progress: Path) -> None:
    written: dict[int, str] = {}
    with progress.open("a", buffering=1) as told:
        try:
            for number in range(1 << 40):
                slot = number % _FILES
                if slot in written:
                    found = hashlib.sha256((folder / f"w{slot}").read_bytes()).hexdigest()
                    if found != written[slot]:
                        told.write(f"error: file {slot} is not what was written in round {number}\n")
                        return
                data = os.urandom(_BYTES)
                descriptor = os.open(folder / f"w{slot}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                os.write(descriptor, data)
                os.fsync(descriptor)
                os.close(descriptor)
                written[slot] = hashlib.sha256(data).hexdigest()
                told.write(f"{number}\n")
                time.sleep(0.02)
        except OSError as error:
            told.write(f"error: {error}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
