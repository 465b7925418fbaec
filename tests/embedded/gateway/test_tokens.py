"""Login tokens are good at every gateway, for eight hours at most, and not after logout or disuse."""

import base64
from collections.abc import Iterator

import pytest

from artesian.embedded.gateway.tokens import IDLE_S, LIFE_S, Sessions
from artesian.embedded.state.model import User

KEY = "5a" * 32
ADMIN = User("00000000000000a1", "admin", "Administrator", "hash of a password")
USERS = [User("00000000000000a0", "monitor", "Monitor", "another hash"), ADMIN]


class Clock:
    """Wall and monotonic time, which pass together."""

    def __init__(self) -> None:
        self.now_s = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Iterator[Clock]:
    yield Clock()


def sessions(clock: Clock) -> Sessions:
    return Sessions(clock, clock)


def test_a_token_is_plain_text_that_needs_no_escaping(clock: Clock) -> None:
    token = sessions(clock).issue(KEY, ADMIN)
    assert token.isascii()
    assert not set(token) & set("\"' \n=:/+")


def test_every_gateway_of_the_engine_accepts_it(clock: Clock) -> None:
    token = sessions(clock).issue(KEY, ADMIN)
    assert sessions(clock).user_of(token, KEY, USERS) is ADMIN


def test_a_gateway_of_another_engine_does_not(clock: Clock) -> None:
    token = sessions(clock).issue(KEY, ADMIN)
    assert sessions(clock).user_of(token, "a5" * 32, USERS) is None


def test_changing_any_part_of_it_spoils_it(clock: Clock) -> None:
    here = sessions(clock)
    token = here.issue(KEY, USERS[0])
    text = base64.urlsafe_b64decode(token + "==").decode()
    forged = text.replace(USERS[0].id, ADMIN.id)
    assert here.user_of(base64.urlsafe_b64encode(forged.encode()).decode(), KEY, USERS) is None
    for position in range(len(text)):
        changed = text[:position] + chr(ord(text[position]) ^ 1) + text[position + 1 :]
        assert here.user_of(base64.urlsafe_b64encode(changed.encode()).decode(), KEY, USERS) is None


@pytest.mark.parametrize("token", ["", "x", "é", "a" * 10_000, "Og", "////"])
def test_what_is_no_token_is_nobodys(clock: Clock, token: str) -> None:
    assert sessions(clock).user_of(token, KEY, USERS) is None


@pytest.mark.parametrize("issued_here", [True, False])
def test_it_ends_after_eight_hours_however_busy(clock: Clock, issued_here: bool) -> None:
    here = sessions(clock)
    token = (here if issued_here else sessions(clock)).issue(KEY, ADMIN)
    for _ in range(int(LIFE_S // 300)):
        assert here.user_of(token, KEY, USERS) is ADMIN
        clock.now_s += 300
    clock.now_s += 1
    assert here.user_of(token, KEY, USERS) is None


@pytest.mark.parametrize("issued_here", [True, False])
def test_it_ends_after_ten_minutes_without_use_and_stays_so(clock: Clock, issued_here: bool) -> None:
    here = sessions(clock)
    token = (here if issued_here else sessions(clock)).issue(KEY, ADMIN)
    assert here.user_of(token, KEY, USERS) is ADMIN
    clock.now_s += IDLE_S
    assert here.user_of(token, KEY, USERS) is ADMIN
    clock.now_s += IDLE_S + 1
    assert here.user_of(token, KEY, USERS) is None
    assert here.user_of(token, KEY, USERS) is None


@pytest.mark.parametrize("issued_here", [True, False])
def test_it_ends_with_logout(clock: Clock, issued_here: bool) -> None:
    here = sessions(clock)
    issuer = here if issued_here else sessions(clock)
    token, other = issuer.issue(KEY, ADMIN), issuer.issue(KEY, ADMIN)
    here.end(token, KEY, USERS)
    assert here.user_of(token, KEY, USERS) is None
    assert here.user_of(other, KEY, USERS) is ADMIN


def test_it_ends_when_the_password_changes_or_the_user_goes(clock: Clock) -> None:
    here = sessions(clock)
    token = here.issue(KEY, ADMIN)
    changed = User(ADMIN.id, ADMIN.name, ADMIN.role, "hash of a new password")
    assert here.user_of(token, KEY, [changed]) is None
    assert here.user_of(token, KEY, []) is None
    assert here.user_of(token, KEY, [ADMIN]) is ADMIN


def test_a_token_from_the_future_is_refused(clock: Clock) -> None:
    ahead = Clock()
    ahead.now_s += 3600
    token = sessions(ahead).issue(KEY, ADMIN)
    assert sessions(clock).user_of(token, KEY, USERS) is None


def test_a_client_that_logs_in_for_every_call_costs_no_memory(clock: Clock) -> None:
    here = sessions(clock)
    for _ in range(5_000):
        token = here.issue(KEY, ADMIN)
        here.end(token, KEY, USERS)
    abandoned = [here.issue(KEY, ADMIN) for _ in range(5_000)]
    assert here.remembered == len(abandoned)
    clock.now_s += IDLE_S + 61
    here.issue(KEY, ADMIN)
    assert here.remembered == 1
