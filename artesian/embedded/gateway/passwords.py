"""Passwords of users: scrypt hashes, and checking them without stalling the gateway."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import time
from collections.abc import Callable

from artesian.embedded.state.model import User

COST = 1 << 14  # 16 MiB and some 50 ms for each guess
BLOCK_SIZE = 8
PARALLELISM = 1
_SALT_BYTES = 16
_KEY_BYTES = 32
_LONGEST_PASSWORD_BYTES = 1024
_REMEMBER_S = 600.0
_REMEMBERED = 64


def hash_password(password: str, cost: int = COST) -> str:
    """A salted scrypt hash, as `User.password_hash` keeps it: "scrypt$cost$r$p$salt$key"."""
    salt = os.urandom(_SALT_BYTES)
    key = _derive(password, salt, cost, BLOCK_SIZE, PARALLELISM)
    return f"scrypt${cost}${BLOCK_SIZE}${PARALLELISM}${salt.hex()}${key.hex()}"


def verify_password(password: str, password_hash: str) -> bool:
    """Whether the password is the one that was hashed. A hash that is none of ours matches nothing."""
    try:
        scheme, cost, block_size, parallelism, salt, key = password_hash.split("$")
        if scheme != "scrypt" or len(password.encode()) > _LONGEST_PASSWORD_BYTES:
            return False
        derived = _derive(password, bytes.fromhex(salt), int(cost), int(block_size), int(parallelism))
        return hmac.compare_digest(derived, bytes.fromhex(key))
    except ValueError:
        return False


def _derive(password: str, salt: bytes, cost: int, block_size: int, parallelism: int) -> bytes:
    return hashlib.scrypt(
        password.encode(),
        salt=salt,
        n=cost,
        r=block_size,
        p=parallelism,
        maxmem=256 << 20,
        dklen=_KEY_BYTES,
    )


class PasswordChecker:
    """Checks passwords in threads, two at a time at most, so that guessing cannot starve the gateway.

    Clients such as PyPowerFlex log in for every call: a password that was right is remembered for ten
    minutes, as a keyed digest that is worth nothing outside this process and bound to the stored hash,
    so that a changed password is noticed at once.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._key = os.urandom(32)
        self._right: dict[bytes, float] = {}
        self._slots = asyncio.Semaphore(2)
        self._nobody = ""

    async def matches(self, user: User | None, password: str) -> bool:
        """Whether this is the user's password. An unknown user takes as long to refuse as a known one."""
        password_hash = user.password_hash if user is not None else ""
        name = user.name if user is not None else ""
        digest = hmac.digest(self._key, f"{name}\0{password_hash}\0{password}".encode(), "sha256")
        until = self._right.get(digest)
        if user is not None and until is not None and self._monotonic() < until:
            return True
        async with self._slots:
            if user is None:
                password_hash = await self._hash_of_nobody()
            right = await asyncio.to_thread(verify_password, password, password_hash)
        if right and user is not None:
            if len(self._right) >= _REMEMBERED:
                self._right.clear()
            self._right[digest] = self._monotonic() + _REMEMBER_S
        return right and user is not None

    async def _hash_of_nobody(self) -> str:
        if not self._nobody:
            self._nobody = await asyncio.to_thread(hash_password, os.urandom(16).hex())
        return self._nobody
