"""A cluster as the scheduler asks it: what is not answered is the port's EngineUnreachable."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from artesian.engines.ceph.conf import monitor_address
from artesian.engines.ceph.errors import BindingsMissing, MonitorsSilent, NotLetIn
from artesian.engines.ceph.monitors import Monitors
from artesian.engines.port import EngineUnreachable

_CONNECT_S, _ANSWER_S = 3.0, 4.0


class KeyRefused(EngineUnreachable):
    """The cluster is there, and does not know us."""


class CephSession(Monitors):
    """Whatever is asked raises CommandFailed or EngineUnreachable."""

    def __init__(self, monitors: Sequence[str], entity: str, key: str) -> None:
        """`monitors` are addresses with or without their port."""
        addresses = [monitor_address(one) for one in monitors]
        super().__init__("", addresses, entity, key, answer_s=_ANSWER_S, connect_s=_CONNECT_S)

    @property
    def rados(self) -> Any:
        """The connection itself, for what works on objects."""
        with _in_words_of_the_port():
            return super().rados

    def follow_map(self) -> None:
        """Until disks are asked with all that the monitors know by now."""
        with _in_words_of_the_port():
            super().follow_map()

    def command(
        self, prefix: str, payload: bytes = b"", *, monitor: str | None = None, **arguments: object
    ) -> bytes:
        """One command; what it answers. `monitor`: that very one is asked."""
        with _in_words_of_the_port():
            return super().command(prefix, payload, monitor=monitor, **arguments)


@contextlib.contextmanager
def _in_words_of_the_port() -> Iterator[None]:
    try:
        yield
    except NotLetIn as error:
        raise KeyRefused(str(error)) from None
    except (MonitorsSilent, BindingsMissing) as error:
        raise EngineUnreachable(str(error)) from None
