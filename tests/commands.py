"""`artesian …` as a user has it: a process of its own, with its output and exit code.

Most of such a process' time is taken by loading the program. It is loaded once for each worker, in a process
that does nothing but fork: what a command is given, and leaves behind, is its own as ever.
"""

from __future__ import annotations

import multiprocessing
import os
import pkgutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import artesian.cli
from artesian.cli import start

_PRELOADED = [one.name for one in pkgutil.walk_packages(artesian.cli.__path__, "artesian.cli.")]
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(_PRELOADED)


def run(
    arguments: Sequence[str | Path], timeout_s: float, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end. Raises subprocess.TimeoutExpired."""
    words = [str(one) for one in arguments]
    given = dict(os.environ if environment is None else environment)
    if "PYTHONPATH" in given:  # it may be another version than the one that is loaded
        command = [sys.executable, "-m", "artesian.cli.main", *words]
        return subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=timeout_s, env=given
        )
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder, name) for name in ("stdout", "stderr")]
        process = _context.Process(target=_be_command, args=(words, given, os.getcwd(), *map(str, outputs)))
        process.start()
        process.join(timeout_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(["artesian", *words], timeout_s)
        code = process.exitcode
        process.close()
        return subprocess.CompletedProcess(["artesian", *words], code, *(one.read_text() for one in outputs))


def _be_command(words: list[str], environment: dict[str, str], folder: str, stdout: str, stderr: str) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for descriptor, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, stdout, os.O_WRONLY | os.O_CREAT | os.O_APPEND),
        (2, stderr, os.O_WRONLY | os.O_CREAT | os.O_APPEND),
    ):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
    sys.argv = ["artesian", *words]
    sys.exit(start.main())
