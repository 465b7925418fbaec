"""Pauses as documents."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from artesian.model.state import FrameworkState

Document = dict[str, Any]


def pauses_view(state: FrameworkState) -> list[Document]:
    """Every pause, that of everything first. `until_s` None: until somebody ends it."""
    return [asdict(one) | {"sentence": one.sentence} for one in state.pauses_in_force()]
