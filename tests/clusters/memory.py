"""What a substrate has to know after a restart, of a scheduler that leads, or does not any more."""

from __future__ import annotations

from collections.abc import Mapping

from artesian.store.port import NotLeading


class Memory:
    """`SubstrateMemory` in this process."""

    def __init__(self) -> None:
        self.documents: dict[str, str] = {}
        self.leads = True

    def confirm(self) -> None:
        if not self.leads:
            raise NotLeading("another scheduler leads")

    def load(self) -> Mapping[str, str]:
        return dict(self.documents)

    def save(self, changes: Mapping[str, str | None]) -> None:
        for key, text in changes.items():
            self.documents.pop(key, None)
            if text is not None:
                self.documents[key] = text
