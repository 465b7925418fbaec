"""Who is asking: login with a password, then a token in Basic (any user name) or Bearer form."""

from __future__ import annotations

import base64
import binascii

from artesian.embedded.gateway.failures import unauthorized
from artesian.embedded.gateway.passwords import PasswordChecker
from artesian.embedded.gateway.tokens import Sessions
from artesian.embedded.state.model import State, User


class Authenticator:
    """Checks credentials against the users in the replicated state. Never logs them."""

    def __init__(self, sessions: Sessions, passwords: PasswordChecker) -> None:
        self._sessions = sessions
        self._passwords = passwords

    async def login(self, header: str | None, state: State) -> str:
        """A new token. Raises ApiError 401."""
        credentials = _basic(header)
        if credentials is None:
            raise unauthorized()
        name, password = credentials
        user = next((user for user in state.users.values() if user.name == name), None)
        if not await self._passwords.matches(user, password) or user is None:
            raise unauthorized()
        return self._sessions.issue(state.token_key, user)

    def user(self, header: str | None, state: State) -> User:
        """Whose token the request carries. Raises ApiError 401."""
        token = _token(header)
        user = None
        if token is not None:
            user = self._sessions.user_of(token, state.token_key, state.users.values())
        if user is None:
            raise unauthorized()
        return user

    def logout(self, header: str | None, state: State) -> None:
        """Ends the token that the request carries. Raises ApiError 401 if it is none."""
        self.user(header, state)
        self._sessions.end(_token(header) or "", state.token_key, state.users.values())


def _basic(header: str | None) -> tuple[str, str] | None:
    scheme, _, encoded = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    name, separator, password = text.partition(":")
    return (name, password) if separator else None


def _token(header: str | None) -> str | None:
    """The password's place carries the token; the user name before it means nothing."""
    scheme, _, rest = (header or "").partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip() or None
    credentials = _basic(header)
    return credentials[1] if credentials is not None else None
