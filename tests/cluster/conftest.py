"""What tests of whole clusters share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def chapters_so_far() -> list[str]:
    """Those of a story that went wrong."""
    return []


@pytest.fixture
def in_order(request: pytest.FixtureRequest, chapters_so_far: list[str]) -> Iterator[None]:
    """For stories, whose tests go on where the one before has ended: a chapter makes no sense after one that
    went wrong."""
    if chapters_so_far:
        pytest.skip(f"the story has ended in {chapters_so_far[0]}")
    failed = request.session.testsfailed
    yield
    if request.session.testsfailed > failed:
        chapters_so_far.append(request.node.name)
