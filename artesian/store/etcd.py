"""Cells in etcd: a key each; the lead is a key with a lease, and a write asks when that key was created."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Collection, Mapping
from typing import Any

from artesian.store.etcd_calls import Document, EtcdCalls, coded, decoded
from artesian.store.keeper import HEAD, Beaten, Cell, Unclear
from artesian.store.port import StoreUnusable
from artesian.store.url import StoreUrl

_LEADER = "leader"
_DELETES_AT_ONCE = 100


class Etcd:
    """Raises StoreUnusable throughout, and when it is made and nobody answers."""

    def __init__(self, url: StoreUrl) -> None:
        self.shown = url.shown
        self.session_s = float(math.ceil(url.session_s))  # leases have whole seconds
        self._prefix = f"{url.path}/"
        self._lease = ""
        self._led_since = ""  # the revision that made our key
        self._calls = EtcdCalls(url)
        try:
            self._range(HEAD, keys_only=True)
        except BaseException:
            self._calls.close()
            raise

    def _key(self, name: str) -> str:
        return coded(self._prefix + name)

    # --- the lead

    def leader(self) -> bytes | None:
        """What the leader says of itself; None if nobody leads."""
        cell = self.read(_LEADER)
        return cell.body if cell is not None else None

    def take_lead(self, epoch: int, who: bytes, head: bytes, version: int | None) -> int:
        """The head's new version. Raises Beaten, Unclear."""
        granted = self._calls.do("/lease/grant", {"TTL": str(int(self.session_s))})
        self._lease = str(granted["ID"])  # anew each time: it lasts for a whole session from now
        answer = self._transact(
            [self._compared(_LEADER, "CREATE", "0"), self._compared(HEAD, "MOD", str(version or 0))],
            [self._put(_LEADER, who) | {"lease": self._lease}, self._put(HEAD, head)],
        )
        self._led_since = str(answer["header"]["revision"])
        return int(self._led_since)

    def beat(self) -> None:
        """Let the lease last. Raises Beaten if it has ended, Unclear."""
        answer = self._calls.ask("/lease/keepalive", {"ID": self._lease})
        if int(answer.get("result", {}).get("TTL", 0)) <= 0:
            raise Beaten("its lease has ended")

    # --- cells

    def read(self, name: str) -> Cell | None:
        """One cell."""
        found = self._range(name)
        if not found:
            return None
        return Cell(decoded(found[0].get("value", "")), int(found[0]["mod_revision"]))

    def names(self, folder: str) -> list[str]:
        """The cells of a folder."""
        start = f"{self._prefix}{folder}/"
        found = self._range(f"{folder}/", end=_after(start), keys_only=True)
        return sorted(decoded(one["key"]).decode()[len(start) :] for one in found)

    def write(self, cells: Mapping[str, bytes], head: bytes | None, version: int) -> int:
        """The head's version then. Raises Beaten, Unclear."""
        puts = [self._put(name, body) for name, body in cells.items()]
        if head is not None:
            puts.append(self._put(HEAD, head))
        answer = self._transact(
            [
                self._compared(_LEADER, "CREATE", self._led_since),
                self._compared(HEAD, "MOD", str(version)),
            ],
            puts,
        )
        return int(answer["header"]["revision"]) if head is not None else version

    def delete(self, names: Collection[str]) -> None:
        """Whether they are there or not."""
        waiting = list(names)
        for at in range(0, len(waiting), _DELETES_AT_ONCE):
            keys = [self._key(name) for name in waiting[at : at + _DELETES_AT_ONCE]]
            deletes = [{"request_delete_range": {"key": key}} for key in keys]
            self._calls.ask("/kv/txn", {"success": deletes})

    def erase(self) -> None:
        """Delete everything."""
        ends = {"key": coded(self._prefix), "range_end": coded(_after(self._prefix))}
        self._calls.ask("/kv/deleterange", ends)

    def close(self) -> None:
        """The lease ends, and the lead with it, at once if somebody answers."""
        if self._lease:
            with contextlib.suppress(StoreUnusable, Unclear, RuntimeError):
                self._calls.do("/lease/revoke", {"ID": self._lease})
            self._lease = ""
        self._calls.close()

    # --- how it is said

    def _range(self, name: str, *, end: str = "", keys_only: bool = False) -> list[Any]:
        asked: Document = {"key": self._key(name), "keys_only": keys_only}
        if end:
            asked["range_end"] = coded(end)
        found: list[Any] = self._calls.ask("/kv/range", asked).get("kvs", [])
        return found

    def _compared(self, name: str, what: str, revision: str) -> Document:
        """CREATE or MOD revision of a cell; "0": there is none."""
        field = "create_revision" if what == "CREATE" else "mod_revision"
        return {"key": self._key(name), "target": what, "result": "EQUAL", field: revision}

    def _put(self, name: str, body: bytes) -> Document:
        return {"key": self._key(name), "value": coded(body)}

    def _transact(self, compared: list[Document], puts: list[Document]) -> Document:
        success = [{"request_put": one} for one in puts]
        answer = self._calls.do("/kv/txn", {"compare": compared, "success": success})
        if not answer.get("succeeded", False):
            raise Beaten("another scheduler leads, or the lease has ended")
        return answer


def _after(prefix: str) -> str:
    """The first text behind all that begins with this."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
