"""Reading YAML as people write it: every value checked, every complaint with its line and what may be meant.

A reader is a function of a place and a node that gives a value, or raises SpecError. Readers are put together
to larger ones: `mapping` reads keys and their values, `list_of` items.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import yaml

from artesian.model.errors import SpecError
from artesian.model.sizes import parse_duration, parse_size

T = TypeVar("T")
Reader = Callable[["Place", yaml.Node], Any]
_YES = ("true", "yes", "on")
_NO = ("false", "no", "off")
_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{1,9})?", re.ASCII)


class Place:
    """Where in a file something is, for messages. `key` is the path of keys that leads there."""

    def __init__(self, file: str, key: str = "") -> None:
        self.file = file
        self.key = key

    def within(self, key: str) -> Place:
        """A place below."""
        return Place(self.file, f"{self.key}.{key}" if self.key else key)

    def wrong(self, node: yaml.Node, problem: str) -> SpecError:
        """What to raise about a node."""
        where = f" {self.key}:" if self.key else ""
        return SpecError(f"{self.file}, line {line_of(node)}:{where} {problem}")


def line_of(node: yaml.Node) -> int:
    """The line on which a node begins, counted from 1."""
    return int(node.start_mark.line) + 1


def compose(text: str, name: str) -> yaml.Node | None:
    """The root of a document; None if it is empty. `name` is what messages call it. Raises SpecError."""
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
        raise SpecError(f"{name}, line {line}: this is not YAML: {error.problem}") from error
    except (yaml.YAMLError, RecursionError) as error:
        summary = str(error).splitlines() or ["it is nested too deeply"]
        raise SpecError(f"{name}: this is not YAML: {summary[0]}") from error


def nearest(word: str, known: Mapping[str, object]) -> str:
    """A hint at what was meant by a word that is not known."""
    close = difflib.get_close_matches(word, known, 1)
    return f"; is {close[0]} meant?" if close else f"; known here are {', '.join(known)}"


# --- what is put together


def mapping(
    place: Place, node: yaml.Node, known: Mapping[str, Reader], required: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The values of the keys that are there, each read by the reader of its key."""
    return {key: value for key, (value, _) in located(place, node, known, required).items()}


def located(
    place: Place, node: yaml.Node, known: Mapping[str, Reader], required: tuple[str, ...] = ()
) -> dict[str, tuple[Any, yaml.Node]]:
    """Like `mapping`, with the node of each value, for what is to be said of it later."""
    if not isinstance(node, yaml.MappingNode):
        raise place.wrong(node, f"here come keys and values ({', '.join(known)})")
    found: dict[str, tuple[Any, yaml.Node]] = {}
    for key_node, value_node in node.value:
        key = str(key_node.value)
        if key not in known:
            raise place.wrong(key_node, f"{key} is not known{nearest(key, known)}")
        if key in found:
            raise place.wrong(key_node, f"{key} is there twice")
        found[key] = (known[key](place.within(key), value_node), value_node)
    for key in required:
        if key not in found:
            raise place.wrong(node, f"{key} is missing")
    return found


def list_of(place: Place, node: yaml.Node, read: Callable[[Place, yaml.Node], T]) -> tuple[T, ...]:
    """Every item of a list."""
    if not isinstance(node, yaml.SequenceNode):
        raise place.wrong(node, "a list is expected here")
    return tuple(read(place, item) for item in node.value)


# --- single values


def text(place: Place, node: yaml.Node) -> str:
    """A word or a text that is not empty."""
    if not isinstance(node, yaml.ScalarNode) or not node.value.strip():
        raise place.wrong(node, "a word or a text is expected here")
    return str(node.value).strip()


def texts(place: Place, node: yaml.Node) -> tuple[str, ...]:
    """A list of them; a single one needs no brackets."""
    if isinstance(node, yaml.ScalarNode):
        return (text(place, node),)
    return list_of(place, node, text)


def text_pairs(place: Place, node: yaml.Node) -> Mapping[str, str]:
    """Keys and values that are not known beforehand."""
    if not isinstance(node, yaml.MappingNode):
        raise place.wrong(node, "keys and values are expected here")
    return MappingProxyType({text(place, key): text(place, value) for key, value in node.value})


def size(place: Place, node: yaml.Node) -> int:
    """Bytes, more than 0: `20GiB`."""
    try:
        found = parse_size(text(place, node))
    except ValueError as error:
        raise place.wrong(node, str(error)) from error
    if found <= 0:
        raise place.wrong(node, "a size is more than nothing")
    return found


def duration(place: Place, node: yaml.Node) -> float:
    """Seconds: `1h30m`."""
    try:
        return parse_duration(text(place, node))
    except ValueError as error:
        raise place.wrong(node, str(error)) from error


def share(least: float, most: float) -> Reader:
    """A share of 1, written as `85%` or `0.85`, within bounds."""

    def read(place: Place, node: yaml.Node) -> float:
        written = text(place, node)
        plain = written.removesuffix("%").strip()
        found = float(plain) if _NUMBER.fullmatch(plain) else math.nan
        found = found / 100 if written.endswith("%") else found
        if not least <= found <= most:
            raise place.wrong(node, f"a share from {100 * least:g}% to {100 * most:g}% is expected here")
        return found

    return read


def signed_share(least: float, most_less: float, most: float) -> Reader:
    """A share by which something changes, written as `50%` or `-30%`: up to `most` more or `most_less` less,
    and by `least` at least."""

    def read(place: Place, node: yaml.Node) -> float:
        written = text(place, node)
        plain = written.removesuffix("%").strip()
        number = plain.removeprefix("+") if plain.startswith("+") else plain.removeprefix("-")
        found = float(number) if _NUMBER.fullmatch(number) else math.nan
        found = found / 100 if written.endswith("%") else found
        found = -found if plain.startswith("-") else found
        if not (least <= found <= most or -most_less <= found <= -least):
            bounds = f"{100 * least:g}% to {100 * most:g}%, or -{100 * least:g}% to -{100 * most_less:g}%"
            raise place.wrong(node, f"a share from {bounds} is expected here")
        return found

    return read


def percentage(most: int) -> Reader:
    """A whole percentage up to `most`; the sign may be left out."""

    def read(place: Place, node: yaml.Node) -> int:
        plain = text(place, node).removesuffix("%").strip()
        if not _NUMBER.fullmatch(plain) or "." in plain or int(plain) > most:
            raise place.wrong(node, f"a share from 0% to {most}% is expected here")
        return int(plain)

    return read


def count(least: int, most: int = 10**9) -> Reader:
    """A whole number within bounds."""

    def read(place: Place, node: yaml.Node) -> int:
        plain = text(place, node)
        if not _NUMBER.fullmatch(plain) or "." in plain or not least <= int(plain) <= most:
            bounds = f"of at least {least}" if most >= 10**9 else f"from {least} to {most}"
            raise place.wrong(node, f"a whole number {bounds} is expected here")
        return int(plain)

    return read


def amount(place: Place, node: yaml.Node) -> float:
    """A number such as a price, 0 or more."""
    plain = text(place, node)
    if not _NUMBER.fullmatch(plain):
        raise place.wrong(node, "a number like 0.08 is expected here")
    return float(plain)


def boolean(place: Place, node: yaml.Node) -> bool:
    """`yes` or `no`."""
    word = text(place, node).lower()
    if word not in (*_YES, *_NO):
        raise place.wrong(node, "yes or no is expected here")
    return word in _YES


def choice(choices: type[T]) -> Callable[[Place, yaml.Node], T]:
    """A member of a StrEnum."""

    def read(place: Place, node: yaml.Node) -> T:
        word = text(place, node)
        try:
            return choices(word)  # type: ignore[call-arg]
        except ValueError as error:
            words = [str(one) for one in choices]  # type: ignore[attr-defined]
            raise place.wrong(node, f"{word!r} is none of {', '.join(words)}") from error

    return read
