"""Writes below a folder without end, each time to stable storage, and reads everything back: FOLDER PROGRESS.

PROGRESS has one line for each round, with its number and the time it was done; its last line begins with
"error" if something was not as written. What is written in a round follows from its number.
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
import time
from pathlib import Path

FILES, _BYTES = 8, 64 << 10


def name_of(number: int) -> str:
    """The file that is written in a round."""
    return f"w{number % FILES}"


def content_of(number: int) -> bytes:
    """What is in it then."""
    return random.Random(number).randbytes(_BYTES)


def main(folder: Path, progress: Path) -> None:
    written: dict[str, str] = {}
    with progress.open("a", buffering=1) as told:
        try:
            for number in range(1 << 40):
                name = name_of(number)
                if name in written:
                    found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
                    if found != written[name]:
                        told.write(f"error: {name} is not what was written in round {number - FILES}\n")
                        return
                data = content_of(number)
                descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                os.write(descriptor, data)
                os.fsync(descriptor)
                os.close(descriptor)
                written[name] = hashlib.sha256(data).hexdigest()
                told.write(f"{number} {time.time():.3f}\n")
                time.sleep(0.02)
        except OSError as error:
            told.write(f"error: {error}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
