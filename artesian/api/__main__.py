"""`python -m artesian.api FOLDER [NUMBER] [--spec FILE] [--token-file FILE]`: a scheduler of the cluster in a
folder, and its API."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

from artesian.api.given import Given
from artesian.api.opening import open_cluster
from artesian.api.process import run_alone, run_among_several
from artesian.host.logs import log_as_json
from artesian.model.errors import ArtesianError
from artesian.scheduler.api_token import TOKEN_VARIABLE, checked_token, read_token
from artesian.scheduler.settings import load_settings

_AGAIN_AFTER_S = 1.0


class _Arguments(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def main(arguments: list[str]) -> int:
    """Runs until SIGTERM or SIGINT. Storage, mounts and agents go on without it."""
    try:
        asked = _parser().parse_args(arguments)
    except ValueError as error:
        print(f"error: {error}; {_parser().format_usage().strip()}", file=sys.stderr)
        return 2
    log_as_json(sys.stdout)
    token = os.environ.pop(TOKEN_VARIABLE, "")  # no other process of ours is to have it

    def again() -> int:
        time.sleep(_AGAIN_AFTER_S)
        plain = [one for one in arguments if one != "--again"]
        environment = {**os.environ, TOKEN_VARIABLE: token} if token else dict(os.environ)
        os.execve(
            sys.executable, [sys.executable, "-P", "-m", "artesian.api", *plain, "--again"], environment
        )

    try:
        given = _given(asked, token)
        cluster = open_cluster(asked.folder)
        settings = load_settings(cluster.folder)
        if not settings.store:
            return run_alone(cluster, given)
        return run_among_several(cluster, settings, asked.number, given, again, is_first=not asked.again)
    except (ArtesianError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = _Arguments(prog="python -m artesian.api", add_help=False, allow_abbrev=False)
    parser.add_argument("folder", metavar="FOLDER", type=Path)
    parser.add_argument("number", metavar="NUMBER", type=_number, nargs="?", default=1)
    parser.add_argument("--spec", metavar="FILE", type=Path)
    parser.add_argument("--token-file", metavar="FILE")
    # For one that has led before: the store may be away, and is waited for.
    parser.add_argument("--again", action="store_true", help=argparse.SUPPRESS)
    return parser


def _number(text: str) -> int:
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError("a scheduler's number is 1 or more")
    return int(text)


def _given(asked: argparse.Namespace, token: str) -> Given:
    if asked.token_file is not None:
        return Given(asked.spec, read_token(asked.token_file), asked.token_file)
    return Given(asked.spec, checked_token(token, TOKEN_VARIABLE) if token else "")


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    sys.exit(main(sys.argv[1:]))
