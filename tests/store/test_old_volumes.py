"""A store of before volumes had limits."""

from __future__ import annotations

import json

from artesian.store.codec import state_from_documents


def test_a_volume_of_an_old_store_has_no_limits() -> None:
    old = {"name": "data", "pool": {"domain": "a", "pool": "b"}, "size_bytes": 1 << 30, "node": "node-1"}
    wish = state_from_documents({"volumes/data": json.dumps(old)}).volumes["data"]
    assert (wish.node, wish.limit_iops, wish.limit_bandwidth_bytes_per_s) == ("node-1", 0, 0)
