"""Login tokens: signed with the engine's key, so that every gateway accepts what one of them issued.

A token is opaque to clients: base64 text without quotes, blanks or padding. It lives for eight hours at
most and ends earlier with a logout, ten minutes without use, or a change of the user's password.
Logout and disuse are known to the gateway that saw them, not to the others: gateways share no memory.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import time
from collections.abc import Callable, Iterable

from artesian.embedded.state.model import User

LIFE_S = 8 * 3600.0
IDLE_S = 600.0
_CLOCK_TOLERANCE_S = 300.0  # how far the clocks of gateways may differ
_PURGE_EVERY_S = 60.0
_ENDED = float("-inf")


class Sessions:
    """The tokens that this gateway has issued or seen.

    Of its own tokens it remembers only those alive: one that is missing has ended. Of tokens that others
    issued (another gateway, or this one before it was restarted) it must remember also those that ended,
    until their eight hours are over.
    """

    def __init__(
        self, clock: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._issuer = os.urandom(4).hex()
        self._own: dict[str, float] = {}  # nonce → monotonic time of the last use
        self._foreign: dict[str, tuple[float, float]] = {}  # nonce → (last use, wall time of the end)
        self._next_purge = 0.0

    @property
    def remembered(self) -> int:
        """How many tokens this gateway holds in memory."""
        return len(self._own) + len(self._foreign)

    def issue(self, token_key: str, user: User) -> str:
        """A new token for this user."""
        self._purge()
        nonce = os.urandom(8).hex()
        payload = f"{user.id}:{int(self._clock() * 1000)}:{self._issuer}:{nonce}"
        self._own[nonce] = self._monotonic()
        token = f"{payload}:{_signature(token_key, payload, user)}"
        return base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")

    def user_of(self, token: str, token_key: str, users: Iterable[User]) -> User | None:
        """Whose valid token this is; it counts as used. None: it is none, or its time is over."""
        self._purge()
        found = self._verify(token, token_key, users)
        if found is None:
            return None
        user, issued_s, issuer, nonce = found
        now = self._monotonic()
        if issuer == self._issuer:
            last = self._own.get(nonce, _ENDED)
            if now - last > IDLE_S:
                return None
            self._own[nonce] = now
            return user
        last, end_s = self._foreign.get(nonce, (now, issued_s + LIFE_S))
        alive = now - last <= IDLE_S
        self._foreign[nonce] = (now if alive else _ENDED, end_s)
        return user if alive else None

    def end(self, token: str, token_key: str, users: Iterable[User]) -> None:
        """Logout: this gateway accepts the token no more."""
        found = self._verify(token, token_key, users)
        if found is None:
            return
        _user, issued_s, issuer, nonce = found
        if issuer == self._issuer:
            self._own.pop(nonce, None)
        else:
            self._foreign[nonce] = (_ENDED, issued_s + LIFE_S)

    def _verify(
        self, token: str, token_key: str, users: Iterable[User]
    ) -> tuple[User, float, str, str] | None:
        try:
            text = base64.urlsafe_b64decode(token.encode() + b"=" * (-len(token) % 4)).decode("ascii")
            user_id, issued_ms, issuer, nonce, signature = text.split(":")
            issued_s = int(issued_ms) / 1000
        except (ValueError, binascii.Error):
            return None
        age_s = self._clock() - issued_s
        if not -_CLOCK_TOLERANCE_S <= age_s <= LIFE_S:
            return None
        user = next((candidate for candidate in users if candidate.id == user_id), None)
        if user is None:
            return None
        payload = f"{user_id}:{issued_ms}:{issuer}:{nonce}"
        if not hmac.compare_digest(_signature(token_key, payload, user), signature):
            return None
        return user, issued_s, issuer, nonce

    def _purge(self) -> None:
        now = self._monotonic()
        if now < self._next_purge:
            return
        self._next_purge = now + _PURGE_EVERY_S
        self._own = {nonce: last for nonce, last in self._own.items() if now - last <= IDLE_S}
        wall = self._clock()
        self._foreign = {nonce: entry for nonce, entry in self._foreign.items() if entry[1] >= wall}


def _signature(token_key: str, payload: str, user: User) -> str:
    """Bound to the password's hash: changing the password ends the user's tokens everywhere."""
    return hmac.digest(bytes.fromhex(token_key), f"{payload}:{user.password_hash}".encode(), "sha256").hex()
