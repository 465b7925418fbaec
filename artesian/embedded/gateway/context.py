"""What one authorised request works with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from artesian.embedded.gateway.managers import Managers
from artesian.embedded.gateway.rates import RateMeter
from artesian.embedded.gateway.values import Parameters
from artesian.embedded.gateway.view import View
from artesian.embedded.state.model import User


@dataclass(slots=True)
class Timing:
    """How long a request waits for what the servers do, and the clocks it goes by."""

    device_s: float = 60.0  # for a server to format a new device
    volume_s: float = 100.0  # for the space of a thick volume; clients give up after 120 s
    poll_s: float = 0.1
    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(slots=True)
class Context:
    """`view` is the engine as it was when the request came."""

    view: View
    user: User
    managers: Managers
    rates: RateMeter
    timing: Timing

    async def command(self, name: str, /, **args: Any) -> dict[str, Any]:
        """Changes the engine. Raises CommandRefused or that the managers cannot be reached."""
        return await self.managers.command(name, args, self.view)

    async def look_again(self) -> View:
        self.view = await self.managers.look()
        return self.view


Handler = Callable[[Context, str, Parameters], Awaitable[Any]]
"""Carries out an action on the object of this id and gives the body of the answer; None stands for {}."""

Creator = Callable[[Context, Parameters], Awaitable[str]]
"""Creates an object and gives its id."""
