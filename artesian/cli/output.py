"""What commands print: a table or a sentence for people, one JSON document for programs; never both."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType

Progress = Callable[[str], None]
_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class Output:
    """The output of one command. Results go to standard output, progress and errors to standard error."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    def result(self, document: Any, text: str | Callable[[], RenderableType]) -> None:
        """The one result of a command; `text` may make something that rich prints."""
        if self.as_json:
            print(json.dumps(document, indent=2), flush=True)
        elif isinstance(text, str):
            print(text, flush=True)
        else:
            from rich.console import Console  # loaded only where a table is printed

            Console(highlight=False).print(text())

    def warn(self, text: str) -> None:
        """Something that people should know beforehand; a JSON document has it among its results."""
        if not self.as_json:
            clear = "\r\x1b[K" if sys.stderr.isatty() else ""
            print(f"{clear}warning: {text}", file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def progress(self) -> Iterator[Progress]:
        """Tell what is being done while it is; only where somebody watches."""
        if self.as_json or not sys.stderr.isatty():
            yield lambda _: None
            return
        with _Spinner() as spinner:
            yield spinner.say


class _Spinner:
    """One line on the terminal that changes."""

    def __init__(self) -> None:
        self._text = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._turn, daemon=True)

    def say(self, text: str) -> None:
        self._text = text

    def __enter__(self) -> _Spinner:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def _turn(self) -> None:
        count = 0
        while not self._ended.wait(0.1):
            if self._text:
                frame = _FRAMES[count % len(_FRAMES)]
                print(f"\r\x1b[K{frame} {self._text}", end="", file=sys.stderr, flush=True)
                count += 1


def moment(seconds: float) -> str:
    """A Unix time as the clock on the wall shows it."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
