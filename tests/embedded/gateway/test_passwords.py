"""Passwords are kept as scrypt hashes and checked off the event loop."""

import asyncio

import pytest

from artesian.embedded.gateway.passwords import PasswordChecker, hash_password, verify_password
from artesian.embedded.state.model import User


def test_only_the_same_password_matches_its_hash() -> None:
    stored = hash_password("Pässword:1")
    assert verify_password("Pässword:1", stored)
    assert not verify_password("Pässword:2", stored)
    assert not verify_password("", stored)
    assert "ssword" not in stored


def test_the_same_password_has_another_hash_each_time() -> None:
    assert hash_password("secret") != hash_password("secret")


@pytest.mark.parametrize(
    "stored", ["", "secret", "scrypt$1$2", "scrypt$3$8$1$00$00", "md5$1$1$1$00$00", "scrypt$x$8$1$00$00"]
)
def test_a_hash_that_is_none_of_ours_matches_nothing(stored: str) -> None:
    assert not verify_password("secret", stored)


def test_a_right_password_is_remembered_only_as_long_as_it_is_right() -> None:
    now_s = 0.0
    user = User("00000000000000a1", "admin", "Administrator", hash_password("old"))

    async def check() -> None:
        nonlocal now_s
        checker = PasswordChecker(lambda: now_s)
        assert await checker.matches(user, "old")
        assert await checker.matches(user, "old")
        assert not await checker.matches(user, "new")
        changed = User(user.id, user.name, user.role, hash_password("new"))
        assert not await checker.matches(changed, "old")
        assert await checker.matches(changed, "new")
        now_s += 601
        assert await checker.matches(user, "old")
        assert not await checker.matches(None, "old")

    asyncio.run(check())
