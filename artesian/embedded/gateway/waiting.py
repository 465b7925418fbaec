"""Waiting for what the servers do after a command: formatting a device, allocating a thick volume."""

from __future__ import annotations

import contextlib

from artesian.embedded.errors import CommandRefused
from artesian.embedded.gateway.context import Context
from artesian.embedded.gateway.failures import (
    COMMUNICATION_ERROR_CODE,
    VOLUME_CREATE_FAILED_CODE,
    ApiError,
)
from artesian.embedded.state.model import Lifecycle

DEVICE_REFUSED_CODE = 71


async def until_formatted(context: Context, device_id: str) -> None:
    """Returns when the server has made the new device ours.

    Raises ApiError with the server's reason if it refused, or if it did not answer in time; the device
    is no longer in the state then.
    """
    deadline = context.timing.monotonic() + context.timing.device_s
    reason: str | None = None
    while True:
        view = await context.look_again()
        device = view.state.devices.get(device_id)
        seen = view.live.devices.get(device_id)
        if seen is not None and seen.error:
            reason = seen.error
        if device is None:
            message = f"The SDS refused the device: {reason or 'see its log for the reason'}"
            raise ApiError(500, message, DEVICE_REFUSED_CODE)
        if device.lifecycle is not Lifecycle.ADDING:
            return
        if context.timing.monotonic() >= deadline:
            await _give_up(context, "remove_device", device_id=device_id)
            server = view.state.servers.get(device.server_id)
            connected = server is not None and view.server_connected(server)
            told = "did not format the device in time" if connected else "is not connected"
            raise ApiError(500, f"The SDS {told}; the device was not added", COMMUNICATION_ERROR_CODE)
        await context.timing.sleep(context.timing.poll_s)


async def until_allocated(context: Context, volume_id: str) -> bool:
    """Whether all space of a thick volume was allocated in time. Raises ApiError if the volume is gone."""
    deadline = context.timing.monotonic() + context.timing.volume_s
    while True:
        view = await context.look_again()
        volume = view.state.volumes.get(volume_id)
        if volume is None:
            raise ApiError(500, "The volume was removed meanwhile", VOLUME_CREATE_FAILED_CODE)
        if volume.lifecycle is not Lifecycle.ADDING:
            return True
        if context.timing.monotonic() >= deadline:
            return False
        await context.timing.sleep(context.timing.poll_s)


async def created_thick(context: Context, volume_id: str) -> None:
    """Waits for a new thick volume. Raises ApiError if its space was not allocated; it is removed then."""
    if not await until_allocated(context, volume_id):
        await _give_up(context, "remove_volume", volume_id=volume_id)
        message = "The space of the volume could not be allocated in time; the volume was not created"
        raise ApiError(500, message, VOLUME_CREATE_FAILED_CODE)


async def _give_up(context: Context, command: str, **args: str) -> None:
    """Undoes a creation; what has gone by itself meanwhile needs no undoing."""
    with contextlib.suppress(CommandRefused):
        await context.command(command, **args)
