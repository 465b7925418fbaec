"""What the leading manager sees at the moment: never replicated, lost with the leader, and observed anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ServerLive:
    """`changed_s`: the monotonic time at which `connected` took its value."""

    connected: bool
    changed_s: float
    version: int = 0  # the last assignment it has carried out
    process_id: int = 0
    excused_s: float = 0.0  # until then it was in maintenance, and its absence counts for nothing


@dataclass(frozen=True, slots=True)
class DeviceLive:
    """A server's report on one of its devices.

    `errors` of its disk since it was opened; `read_s` and `write_s`: how long that takes for a read or a
    flush, the mean of the last minute, None if there was none.
    """

    state: str  # "ready" | "opening" | "failed" | "refused"
    error: str | None = None
    uuid: str = ""
    slot_count: int = 0
    used_slots: int = 0
    damaged: bool = False
    dropped_volumes: tuple[int, ...] = ()
    allocated_volumes: tuple[int, ...] = ()
    volume_slots: Mapping[str, int] = field(default_factory=dict)
    read_bytes: int = 0
    read_count: int = 0
    write_bytes: int = 0
    write_count: int = 0
    open_chunks: int = 0
    bad_blocks: int = 0
    errors: int = 0
    read_s: float | None = None
    write_s: float | None = None


@dataclass(frozen=True, slots=True)
class ClientLive:
    connected: bool
    changed_s: float
    version: int = 0  # the last map it has acknowledged
    process_id: int = 0
    volumes: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JoinLive:
    state: str  # "copying" | "mirrored" | "failed"
    copied_bytes: int = 0
    total_bytes: int = 0
    error: str | None = None
    rate_bytes_per_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ManagerLive:
    connected: bool
    leader: bool


@dataclass(frozen=True, slots=True)
class Live:
    """`settled`: we have led long enough that whoever is alive has registered."""

    now_s: float
    settled: bool
    servers: Mapping[str, ServerLive] = field(default_factory=dict)
    devices: Mapping[str, DeviceLive] = field(default_factory=dict)
    clients: Mapping[str, ClientLive] = field(default_factory=dict)
    joins: Mapping[int, JoinLive] = field(default_factory=dict)
    managers: Mapping[str, ManagerLive] = field(default_factory=dict)
