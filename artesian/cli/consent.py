"""Asking before something that cannot be taken back."""

from __future__ import annotations

import sys

import typer

from artesian.cli.outcome import ExitCode


def confirm(question: str, unasked: type[Exception], what: str = "this deletes data") -> None:
    """Go on only if somebody types yes. Raises `unasked` where nobody can be asked."""
    if not sys.stdin.isatty():
        raise unasked(f"{what}; say --yes if that is meant")
    if input(f"{question} Type yes to go on: ").strip().lower() != "yes":
        print("Nothing was done.", file=sys.stderr)
        raise typer.Exit(ExitCode.FAILED)
