"""Cells in ZooKeeper: a node each; the lead is two ephemeral nodes, one of a fixed name, one of the epoch's.

ZooKeeper compares versions of data only, and each new `leader` begins at 0. The epoch's node is what a write
asks for: nobody else ever makes one of that name.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kazoo.client import KazooClient, KazooState, TransactionRequest
from kazoo.exceptions import (
    AuthFailedError,
    BadVersionError,
    InvalidACLError,
    KazooException,
    NoAuthError,
    NodeExistsError,
    NoNodeError,
    RolledBackError,
    RuntimeInconsistency,
)
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.security import make_digest_acl

from artesian.store.keeper import BLOBS, HEAD, LOG, Beaten, Cell, Unclear
from artesian.store.port import StoreUnusable
from artesian.store.url import StoreUrl

_LEADER = "leader"
_EPOCHS = "epochs"
_CONDITIONS = (BadVersionError, NodeExistsError, NoNodeError, RolledBackError, RuntimeInconsistency)
_REFUSALS = (NoAuthError, AuthFailedError, InvalidACLError)
_DELETES_AT_ONCE = 100

_silent = logging.getLogger("artesian.store.kazoo")  # what matters of it is said by our own errors
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


class ZooKeeper:
    """Raises StoreUnusable throughout, and when it is made and nobody answers."""

    def __init__(self, url: StoreUrl) -> None:
        self.shown = url.shown
        self.session_s = url.session_s
        self._root = url.path
        self._answer_s = url.session_s
        self._epoch = 0
        login = f"{url.user}:{url.password}" if url.user else None
        self._client = KazooClient(
            ",".join(f"{host}:{port}" for host, port in url.hosts),
            timeout=url.session_s,
            connection_retry={"max_tries": -1, "delay": 0.05, "max_delay": 1.0},
            auth_data=[("digest", login)] if login else None,
            default_acl=[make_digest_acl(url.user, url.password, all=True)] if login else None,
            logger=_silent,
        )
        self._note_session()
        try:
            self._client.start(timeout=url.session_s)
            with self._reading():
                for folder in (LOG, BLOBS, _EPOCHS):
                    self._client.ensure_path(f"{self._root}/{folder}")
        except KazooTimeoutError:
            raise StoreUnusable(f"the store {self.shown} cannot be reached: nobody answers there") from None
        except BaseException:
            self.close()
            raise

    def _note_session(self) -> None:
        """The servers have the last word on how long a session lasts, and the library keeps it to itself."""
        connect = self._client._connection._connect

        def noting(*arguments: Any) -> Any:
            read_ms, connect_ms = connect(*arguments)
            self.session_s = read_ms * 1.5 / 1000
            return read_ms, connect_ms

        self._client._connection._connect = noting

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    # --- what goes wrong

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """For what changes nothing, or may as well have been done."""
        try:
            self._check_connected()
            yield
        except _REFUSALS as error:
            raise self._refused(error) from None
        except (KazooException, KazooTimeoutError) as error:
            raise StoreUnusable(f"the store {self.shown} does not answer: {_reason(error)}") from None

    def _check_connected(self) -> None:
        if self._client.state != KazooState.CONNECTED:
            raise StoreUnusable(f"the store {self.shown} does not answer: there is no connection")

    def _refused(self, error: Exception) -> StoreUnusable:
        return StoreUnusable(
            f"the store {self.shown} refuses access ({_reason(error)}): its URL needs the user and password "
            "with which it was made"
        )

    def _commit(self, transaction: TransactionRequest, answer_s: float = 0.0) -> list[Any]:
        """Raises Beaten, Unclear."""
        self._check_connected()
        try:
            results: list[Any] = transaction.commit_async().get(timeout=answer_s or self._answer_s / 2)
        except _REFUSALS as error:
            raise self._refused(error) from None
        except (KazooException, KazooTimeoutError) as error:
            raise Unclear(f"it has not answered: {_reason(error)}") from None
        failed = [one for one in results if isinstance(one, Exception)]
        for one in failed:
            if isinstance(one, _REFUSALS):
                raise self._refused(one)
        if failed and all(isinstance(one, _CONDITIONS) for one in failed):
            raise Beaten("another scheduler leads, or the session has ended")
        if failed:
            raise StoreUnusable(f"the store {self.shown} refuses a change: {_reason(failed[0])}")
        return results

    # --- the lead

    def leader(self) -> bytes | None:
        """What the leader says of itself; None if nobody leads."""
        cell = self.read(_LEADER)
        return cell.body if cell is not None else None

    def take_lead(self, epoch: int, who: bytes, head: bytes, version: int | None) -> int:
        """The head's new version. Raises Beaten, Unclear."""
        transaction = self._client.transaction()
        if version is None:
            transaction.create(self._path(HEAD), head)
        else:
            transaction.set_data(self._path(HEAD), head, version)
        transaction.create(self._path(_LEADER), who, ephemeral=True)
        transaction.create(self._path(f"{_EPOCHS}/{epoch}"), ephemeral=True)
        results = self._commit(transaction)
        self._epoch = epoch
        return 0 if version is None else int(results[0].version)

    def beat(self) -> None:
        """The library keeps the session alive; we ask whether it still does. Raises Beaten, Unclear.

        As a transaction, which a majority has to answer: a member that is cut off from the others would go on
        answering plain questions, while the others have given the lead to somebody else.
        """
        transaction = self._client.transaction()
        transaction.check(self._path(f"{_EPOCHS}/{self._epoch}"), 0)
        self._commit(transaction, self._answer_s / 3)

    # --- cells

    def read(self, name: str) -> Cell | None:
        """One cell; with all that was written before."""
        with self._reading():
            if name in (HEAD, _LEADER):  # the server that we ask may not know of it yet
                self._client.sync_async(self._root).get(timeout=self._answer_s / 2)
            try:
                body, stat = self._client.get_async(self._path(name)).get(timeout=self._answer_s / 2)
            except NoNodeError:
                return None
        return Cell(body, stat.version)

    def names(self, folder: str) -> list[str]:
        """The cells of a folder."""
        with self._reading():
            found = self._client.get_children_async(self._path(folder)).get(timeout=self._answer_s / 2)
        return sorted(found)

    def write(self, cells: Mapping[str, bytes], head: bytes | None, version: int) -> int:
        """The head's version then. Raises Beaten, Unclear."""
        transaction = self._client.transaction()
        transaction.check(self._path(f"{_EPOCHS}/{self._epoch}"), 0)
        if head is None:
            transaction.check(self._path(HEAD), version)
        else:
            transaction.set_data(self._path(HEAD), head, version)
        for name, body in cells.items():
            transaction.create(self._path(name), body)
        results = self._commit(transaction)
        return version if head is None else int(results[1].version)

    def delete(self, names: Collection[str]) -> None:
        """Whether they are there or not."""
        waiting = list(names)
        with self._reading():
            for at in range(0, len(waiting), _DELETES_AT_ONCE):
                asked = [
                    self._client.delete_async(self._path(one)) for one in waiting[at : at + _DELETES_AT_ONCE]
                ]
                for one in asked:
                    try:
                        one.get(timeout=self._answer_s)
                    except NoNodeError:
                        pass

    def erase(self) -> None:
        """Delete everything; the root too, if nothing else is in it."""
        with self._reading():
            self._client.delete(self._path(HEAD))
            self._client.delete(self._root, recursive=True)

    def close(self) -> None:
        """The session ends, and the lead with it, at once if somebody answers."""
        try:
            self._client.stop()
            self._client.close()
        except (KazooException, KazooTimeoutError, OSError, AttributeError):
            pass  # the session ends by itself


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__.removesuffix("Error")
