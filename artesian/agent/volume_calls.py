"""What the plugin asks of the scheduler, as calls of this node's agent."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from artesian.agent.client import SchedulerClient, SchedulerRefuses, SchedulerUnreachable
from artesian.agent.config import AgentConfig
from artesian.volumes.ports import NewVolume, SchedulerAway, VolumeSeen


class VolumeCalls:
    """`artesian.volumes.ports.Volumes` over HTTP. Safe to use from several threads: each call has a
    connection of its own. `config` gives the present one; `is_mute`: a drill has cut this node off."""

    def __init__(self, config: Callable[[], AgentConfig], is_mute: Callable[[], bool]) -> None:
        self._config = config
        self._is_mute = is_mute

    def known(self, have: str) -> tuple[str, dict[str, int]] | None:
        """A digest, and the sizes of all volumes; None if that is as `have` says."""
        answer = self._ask("GET", f"/volumes?have={quote(have, safe='')}")
        if answer is None:
            return None
        return str(answer["digest"]), {str(one["name"]): int(one["size_bytes"]) for one in answer["volumes"]}

    def find(self, name: str) -> VolumeSeen:
        """One volume, also one that is being deleted."""
        return VolumeSeen.of(self._ask("GET", _path(name)))

    def create(self, name: str, wanted: NewVolume) -> None:
        """Wish for a volume; nothing changes if there is one."""
        self._ask("POST", "/volumes", {"name": name, **dataclasses.asdict(wanted)})

    def mount(self, name: str, path: str, hold: str, *, preempt: bool, force: bool) -> VolumeSeen:
        """Wish for it to be mounted on this node."""
        body = {"path": path, "hold": hold, "preempt": preempt, "force": force}
        return VolumeSeen.of(self._ask("PUT", f"{_path(name)}/mount", body))

    def release(self, name: str, hold: str) -> None:
        """Take that back."""
        self._ask("DELETE", f"{_path(name)}/mount?hold={quote(hold, safe='')}")

    def delete(self, name: str) -> None:
        """Wish for it to be no more."""
        self._ask("DELETE", _path(name))

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        if self._is_mute():
            raise SchedulerAway("this node is cut off from the scheduler")
        client = SchedulerClient.of(self._config())
        try:
            return client.ask(method, path, body)
        except SchedulerRefuses as error:
            raise error.error from None
        except SchedulerUnreachable as error:
            raise SchedulerAway(str(error)) from None
        finally:
            client.close()


def _path(name: str) -> str:
    return f"/volumes/{quote(name, safe='')}"
