"""Which names a volume can have, and a snapshot."""

from __future__ import annotations

import re

_NAME = re.compile(r"(?![0-9a-f]{16}$)[A-Za-z0-9][A-Za-z0-9._-]{0,30}")  # and no id


def name_problem(name: str, what: str = "volume") -> str | None:
    """Why this is no name for a volume, or something else of ours; None if it is one."""
    if _NAME.fullmatch(name) is not None:
        return None
    shown = ascii(name if len(name) <= 64 else f"{name[:64]}…")
    return (
        f"{shown} is no name for a {what}: up to 31 letters, digits, dots, dashes and underscores, that "
        "begin with a letter or digit, and not 16 hexadecimal digits, as ids are"
    )
