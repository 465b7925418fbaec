"""Loopback addresses and ports: every engine has a network of its own, every node an address in it."""

from __future__ import annotations

import errno
import hashlib
import socket
from pathlib import Path

from artesian.embedded.errors import EngineError

_TRIES = 64


def network_for(folder: Path, ports: list[int]) -> str:
    """The first three numbers of an engine's addresses, derived from its folder.

    Two engines get the same network only by chance; then one of the preferred ports is in use there, if the
    other one runs, and another network is taken.
    """
    for attempt in range(_TRIES):
        digest = hashlib.sha256(f"{folder.resolve()}\0{attempt}".encode()).digest()
        network = f"127.{1 + digest[0] % 254}.{digest[1]}"
        if all(is_free(f"{network}.1", port) for port in ports):
            return network
    raise EngineError("no free loopback network was found on this machine")


def free_port(ip: str, preferred: int, taken: set[tuple[str, int]]) -> int:
    """The preferred port, or the next one that is free; it is added to those taken."""
    for port in range(preferred, 65536):
        if (ip, port) not in taken and is_free(ip, port):
            taken.add((ip, port))
            return port
    raise EngineError(f"no port from {preferred} on is free on {ip}")


def is_free(ip: str, port: int) -> bool:
    """Whether a process could listen there now. Raises EngineError if the address cannot be used at all."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ip, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise EngineError(f"the loopback address {ip} cannot be used: {error.strerror}") from None
    return True
