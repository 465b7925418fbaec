"""What concerns the application as a whole: several gateways, lost leaders, the log, its own bugs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from artesian.embedded.gateway import application, dispatch
from artesian.embedded.gateway.application import Gateway
from artesian.embedded.gateway.context import Timing

from .calls import basic, call, logged_in
from .engine import PASSWORD, MemoryEngine, Topology


@pytest.fixture
def log() -> Iterator[list[Any]]:
    structlog.reset_defaults()
    with capture_logs() as entries:
        yield entries


def test_a_token_and_every_change_are_known_to_all_gateways(engine: MemoryEngine, topology: Topology) -> None:
    async def scenario() -> None:
        one, two = Gateway(engine), Gateway(engine)
        authorization = await logged_in(one)
        body = json.dumps({"storagePoolId": topology.pool, "volumeSizeInGb": 1}).encode()
        created = await call(two, "POST", "/api/types/Volume/instances", body, authorization=authorization)
        path = f"/api/instances/Volume::{created.body['id']}"
        for gateway in (one, two):
            assert (await call(gateway, "GET", path, authorization=authorization)).status == 200

    asyncio.run(scenario())


def test_clients_that_create_the_same_name_at_once_get_one_volume(
    engine: MemoryEngine, topology: Topology
) -> None:
    async def scenario() -> None:
        gateways = [Gateway(engine), Gateway(engine)]
        authorization = await logged_in(gateways[0])
        body = json.dumps({"storagePoolId": topology.pool, "volumeSizeInGb": 1, "name": "vol1"}).encode()
        path = "/api/types/Volume/instances"
        answers = await asyncio.gather(
            *(call(gateway, "POST", path, body, authorization=authorization) for gateway in gateways * 5)
        )
        assert sorted(answer.status for answer in answers) == [200] + [500] * 9
        assert {answer.body["errorCode"] for answer in answers if answer.status == 500} == {99}

    asyncio.run(scenario())


def test_a_creation_survives_the_loss_of_the_leader(engine: MemoryEngine, topology: Topology) -> None:
    async def scenario() -> None:
        gateway = Gateway(engine)
        authorization = await logged_in(gateway)
        engine.lost_answers = 1
        body = json.dumps({"storagePoolId": topology.pool, "volumeSizeInGb": 1, "name": "vol1"}).encode()
        answer = await call(gateway, "POST", "/api/types/Volume/instances", body, authorization=authorization)
        assert answer.body == {"id": next(iter(engine.state.volumes))}
        assert len(engine.state.volumes) == 1

    asyncio.run(scenario())


def test_a_command_whose_outcome_cannot_be_known_is_answered_with_503(
    engine: MemoryEngine, topology: Topology
) -> None:
    async def scenario() -> None:
        gateway = Gateway(engine)
        authorization = await logged_in(gateway)
        engine.lost_commands = 99
        path = "/api/types/ProtectionDomain/instances"
        answer = await call(gateway, "POST", path, b'{"name": "new"}', authorization=authorization)
        assert (answer.status, answer.body["httpStatusCode"]) == (503, 503)

    asyncio.run(scenario())


def test_a_thick_volume_waits_for_its_servers_no_longer_than_allowed(
    engine: MemoryEngine, topology: Topology
) -> None:
    now_s = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal now_s
        now_s += seconds
        if now_s > 50:
            engine.servers_work = True

    async def scenario() -> None:
        timing = Timing(monotonic=lambda: now_s, sleep=sleep)
        gateway = Gateway(engine, timing)
        authorization = await logged_in(gateway)
        engine.servers_work = False
        parameters = {"storagePoolId": topology.pool, "volumeSizeInGb": 1, "volumeType": "ThickProvisioned"}
        body = json.dumps(parameters).encode()
        answer = await call(gateway, "POST", "/api/types/Volume/instances", body, authorization=authorization)
        assert answer.status == 200
        assert 50 < now_s < 51

    asyncio.run(scenario())


@pytest.mark.parametrize(("goes_away", "status"), [(False, 408), (True, 400)])
def test_a_body_that_never_arrives_does_not_hold_the_request(
    engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch, goes_away: bool, status: int
) -> None:
    monkeypatch.setattr(application, "BODY_TIMEOUT_S", 0.02)

    async def scenario() -> None:
        gateway = Gateway(engine)
        before = engine.document()
        answer = await call(
            gateway,
            "POST",
            "/api/types/ProtectionDomain/instances",
            b'{"name": ',
            authorization=await logged_in(gateway),
            unfinished="http.disconnect" if goes_away else "nothing",
        )
        assert (answer.status, answer.body["httpStatusCode"]) == (status, status)
        assert engine.document() == before

    asyncio.run(scenario())


def test_neither_passwords_nor_tokens_nor_bodies_are_logged(
    engine: MemoryEngine, topology: Topology, log: list[Any]
) -> None:
    async def scenario() -> str:
        gateway = Gateway(engine)
        await call(gateway, "GET", "/api/login", authorization=basic("admin", "a wrong secret"))
        authorization = await logged_in(gateway)
        user = b'{"name": "ann", "userRole": "Monitor", "password": "annas secret"}'
        await call(gateway, "POST", "/api/types/User/instances", user, authorization=authorization)
        await call(gateway, "GET", "/api/logout", authorization=authorization)
        return authorization

    authorization = asyncio.run(scenario())
    text = str(log)
    assert [entry["status"] for entry in log] == [401, 200, 200, 200]
    for secret in (PASSWORD, "secret", authorization.split()[1]):
        assert secret not in text


def test_a_bug_is_answered_in_powerflex_form_and_logged(
    engine: MemoryEngine, log: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_view: Any) -> Any:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(dispatch.objects, "everything", broken)

    async def scenario() -> None:
        gateway = Gateway(engine)
        answer = await call(gateway, "GET", "/api/instances", authorization=await logged_in(gateway))
        assert (answer.status, answer.body["errorCode"]) == (500, 1)
        assert "a bug" not in answer.body["message"]

    asyncio.run(scenario())
    assert any(entry["event"] == "gateway.internal_error" for entry in log)
