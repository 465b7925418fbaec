"""Parameters of requests, read as leniently as PowerFlex does.

Clients send numbers and booleans natively or as text in any case, an empty text or null for "not given",
and parameters that this version does not know; the latter are ignored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from artesian.embedded.gateway import failures

_ID = re.compile(r"[0-9A-Fa-f]{1,16}", re.ASCII)
_NUMBER = re.compile(r"[+-]?[0-9]{1,30}", re.ASCII)
_SURROGATE = re.compile("[\ud800-\udfff]")


def parse_body(body: bytes) -> dict[str, Any]:
    """The parameters of a request: nothing, null and {} are alike. Raises ApiError 400."""
    if not body.strip():
        return {}
    try:
        decoded = json.loads(body)
    except (ValueError, RecursionError):
        raise failures.bad_request("Request message is not valid: The request body is not JSON") from None
    if decoded is None:
        return {}
    if not isinstance(decoded, dict):
        raise failures.bad_request("Request message is not valid: The request body must be a JSON object")
    return decoded


def identifier(text: str) -> str:
    """An object id in its only form, 16 lower-case hex digits. Raises ApiError 400."""
    if not _ID.fullmatch(text):
        raise failures.malformed_id(text)
    return text.lower().zfill(16)


def as_text(name: str, value: Any) -> str | None:
    """A text, or None if it is not given. Raises ApiError 400 for lists and objects."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str):
        raise failures.bad_request(f"{name} should be a text")
    if _SURROGATE.search(value):
        raise failures.bad_request(f"{name} is not valid Unicode")
    return value


class Parameters:
    """The parameters of one request. All readers raise ApiError 400 for values that make no sense."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def raw(self, name: str) -> Any:
        return self._values.get(name)

    def text(self, *names: str) -> str | None:
        """The first given of these parameters (older clients use other names)."""
        for name in names:
            found = as_text(name, self._values.get(name))
            if found is not None:
                return found
        return None

    def required_text(self, *names: str) -> str:
        found = self.text(*names)
        if found is None:
            raise failures.missing_parameters(names[0])
        return found

    def number(self, name: str) -> int | None:
        value = self._values.get(name)
        if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
            value = int(value)
        text = as_text(name, value)
        if text is None:
            return None
        if isinstance(value, bool) or not _NUMBER.fullmatch(text.strip()):
            raise failures.bad_request(f"{name} should be a number, but its value is {text[:64]}")
        return int(text)

    def required_number(self, name: str) -> int:
        found = self.number(name)
        if found is None:
            raise failures.missing_parameters(name)
        return found

    def flag(self, name: str) -> bool | None:
        text = self.text(name)
        if text is None:
            return None
        known = {"true": True, "1": True, "false": False, "0": False}.get(text.strip().lower())
        if known is None:
            raise failures.bad_request(
                f"{name} should get one of the following values: TRUE, FALSE, but its value is {text[:64]}"
            )
        return known

    def required_flag(self, name: str) -> bool:
        found = self.flag(name)
        if found is None:
            raise failures.missing_parameters(name)
        return found

    def choice(self, name: str, allowed: Sequence[str]) -> str | None:
        """One of `allowed`, matched without regard to case."""
        text = self.text(name)
        if text is None:
            return None
        for word in allowed:
            if word.lower() == text.strip().lower():
                return word
        raise failures.bad_request(
            f"{name} should get one of the following values: {', '.join(allowed)}, "
            f"but its value is {text[:64]}"
        )

    def required_choice(self, name: str, allowed: Sequence[str]) -> str:
        found = self.choice(name, allowed)
        if found is None:
            raise failures.missing_parameters(name)
        return found

    def identifier(self, *names: str) -> str | None:
        text = self.text(*names)
        return None if text is None else identifier(text)

    def required_identifier(self, *names: str) -> str:
        found = self.identifier(*names)
        if found is None:
            raise failures.missing_parameters(names[0])
        return found

    def texts(self, name: str) -> list[str]:
        """A list of texts; a single one counts as a list of one, null and "" as none."""
        value = self._values.get(name)
        items = value if isinstance(value, list) else [value]
        return [text for text in (as_text(name, item) for item in items) if text is not None]

    def identifiers(self, name: str) -> list[str]:
        return [identifier(text) for text in self.texts(name)]

    def objects(self, name: str) -> list[Parameters]:
        """A list of objects."""
        value = self._values.get(name)
        if value is None or value == "":
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise failures.bad_request(f"{name} should be a list of objects")
        return [Parameters(item) for item in value]
