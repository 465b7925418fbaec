"""What counts as a key of Ceph's."""

from __future__ import annotations

import pytest

from artesian.engines.ceph.keys import cephx_key, is_key

KEY = cephx_key("a secret", "client.admin")


def test_a_key_that_is_made_here_is_one() -> None:
    assert is_key(KEY)


@pytest.mark.parametrize(
    "text", ["", "x", "of the house", "AQ==", KEY[:-4], f"{KEY}!", KEY.replace("AQ", "Bw"), "é"]
)
def test_what_ceph_could_not_read_is_none(text: str) -> None:
    assert not is_key(text)
