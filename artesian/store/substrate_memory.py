"""The part of a store that is the substrate's."""

from __future__ import annotations

from collections.abc import Mapping

from artesian.store.port import Store

_PREFIX = "substrate/"


class StoredSubstrateMemory:
    """Documents of a substrate among the others, under names of their own. Only for a store that leads."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def confirm(self) -> None:
        """Nobody else can lead. Raises NotLeading, StoreUnusable."""
        self._store.confirm()

    def load(self) -> Mapping[str, str]:
        """All of it. Raises StoreUnusable."""
        documents = self._store.load()
        return {key.removeprefix(_PREFIX): text for key, text in documents.items() if key.startswith(_PREFIX)}

    def save(self, changes: Mapping[str, str | None]) -> None:
        """Store texts by key (None: remove), all or nothing. Raises StoreUnusable."""
        self._store.commit({f"{_PREFIX}{key}": text for key, text in changes.items()})
