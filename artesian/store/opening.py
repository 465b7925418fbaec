"""The store that a URL names."""

from __future__ import annotations

from artesian.store.journal import JournalStore
from artesian.store.keeper import Keeper
from artesian.store.url import StoreUrl
from artesian.store.who import Who


def open_store(url: StoreUrl, who: Who) -> JournalStore:
    """Raises StoreUnusable if nobody answers there."""
    return JournalStore(_keeper(url), who)


def _keeper(url: StoreUrl) -> Keeper:
    """Each client library is loaded where it is used only."""
    if url.scheme == "zk":
        from artesian.store.zookeeper import ZooKeeper

        return ZooKeeper(url)
    from artesian.store.etcd import Etcd

    return Etcd(url)
