"""Managers as real processes: they lead, are killed, come back, and lose nothing that they acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from artesian.embedded.control import ManagerLink, connect
from artesian.embedded.errors import CommandRefused, EngineError, NotLeader
from tests.embedded.mdm.managers import SECRET, ManagerProcesses, ignore
from tests.patience import PATIENCE

BOOTSTRAP = {"name": "engine", "password_hash": "scrypt$x", "system_id": "0123456789abcdef"}


def run(
    folder: Path, story: Callable[[ManagerProcesses, ManagerLink], Awaitable[None]], **options: Any
) -> None:
    managers = ManagerProcesses(folder, **options)

    async def told() -> None:
        async with managers.link() as link:
            await story(managers, link)

    try:
        asyncio.run(asyncio.wait_for(told(), 120 * PATIENCE))
    except BaseException:
        print(managers.log())
        raise
    finally:
        managers.stop()


async def add_domain(link: ManagerLink, name: str, timeout_s: float = 10.0 * PATIENCE) -> dict[str, Any]:
    body = {"name": "add_protection_domain", "args": {"name": name}}
    return await link.request("command", body, timeout_s)


async def names(link: ManagerLink) -> set[str]:
    state = (await link.request("query", {}))["state"]
    return {domain["name"] for domain in state["protection_domains"].values()}


def test_a_new_engine_is_bootstrapped_once_and_found_again_after_a_clean_stop(tmp_path: Path) -> None:
    async def story(managers: ManagerProcesses, link: ManagerLink) -> None:
        managers.start_all()
        with pytest.raises(EngineError, match="not been bootstrapped"):
            await link.request("query", {})
        with pytest.raises(EngineError, match="not been bootstrapped"):
            await add_domain(link, "early")
        assert await link.request("bootstrap", BOOTSTRAP) == {"system_id": BOOTSTRAP["system_id"]}
        assert await link.request("bootstrap", BOOTSTRAP) == {"system_id": BOOTSTRAP["system_id"]}
        with pytest.raises(CommandRefused):
            await link.request("bootstrap", BOOTSTRAP | {"system_id": "f" * 16})
        await add_domain(link, "kept")
        with pytest.raises(CommandRefused):
            await add_domain(link, "kept")
        with pytest.raises(CommandRefused):
            await link.request("command", {"name": "mark_stale", "args": {"device_ids": []}})
        for n in range(3):
            assert managers.terminate(n) == 0
        managers.start_all()
        answer = await link.request("query", {})
        assert answer["state"]["system_id"] == BOOTSTRAP["system_id"]
        assert [one["name"] for one in answer["state"]["protection_domains"].values()] == ["kept"]
        assert [one["name"] for one in answer["state"]["managers"].values()] == ["mdm0", "mdm1", "mdm2"]
        leaders = [one for one in answer["live"]["managers"].values() if one["leader"]]
        assert len(leaders) == 1

    run(tmp_path, story)


def test_followers_name_the_leader(tmp_path: Path) -> None:
    async def story(managers: ManagerProcesses, link: ManagerLink) -> None:
        managers.start_all()
        await link.request("bootstrap", BOOTSTRAP)
        leader = await managers.leader()
        where = "{ip}:{control_port}".format(**managers.peers[leader])
        for n in {0, 1, 2} - {leader}:
            peer = managers.peers[n]
            connection = await connect(peer["ip"], peer["control_port"], SECRET, "gateway", ignore)
            with pytest.raises(NotLeader) as error:
                await connection.request("query", {})
            assert error.value.leader == where

    run(tmp_path, story)


def test_nothing_acknowledged_is_lost_when_leaders_are_killed_while_commands_run(tmp_path: Path) -> None:
    async def story(managers: ManagerProcesses, link: ManagerLink) -> None:
        managers.start_all()
        await link.request("bootstrap", BOOTSTRAP)
        acknowledged: set[str] = set()
        going = True

        async def write(worker: int) -> None:
            count = 0
            while going:
                count += 1
                name = f"d{worker}-{count}"
                try:
                    await add_domain(link, name)
                except CommandRefused as refusal:  # done before its answer was lost, and then done again
                    assert "already in use" in str(refusal) or "name" in str(refusal).lower()
                acknowledged.add(name)
                await asyncio.sleep(0.002)

        writers = [asyncio.create_task(write(worker)) for worker in range(4)]
        waits_s = []
        for turn in range(6):
            await asyncio.sleep(0.4)
            leader = await managers.leader()
            managers.kill(leader)
            began_s = time.monotonic()
            await add_domain(link, f"after {turn}")
            waits_s.append(time.monotonic() - began_s)
            acknowledged.add(f"after {turn}")
            managers.start(leader)
            await asyncio.sleep(0.8)
        going = False
        await asyncio.gather(*writers)
        print(f"commands: {len(acknowledged)}; waits for the next leader: {[f'{s:.2f} s' for s in waits_s]}")
        assert max(waits_s) < 3
        assert len(acknowledged) > 100
        assert acknowledged <= await names(link)
        for n in range(3):  # and all managers have it on disk
            managers.kill(n)
        managers.start_all()
        assert acknowledged <= await names(link)

    run(tmp_path, story)


def test_a_stopped_leader_that_wakes_up_again_does_not_answer_for_the_others(tmp_path: Path) -> None:
    async def story(managers: ManagerProcesses, link: ManagerLink) -> None:
        import signal

        managers.start_all()
        await link.request("bootstrap", BOOTSTRAP)
        leader = await managers.leader()
        peer = managers.peers[leader]
        connection = await connect(peer["ip"], peer["control_port"], SECRET, "gateway", ignore)
        managers.running[leader].send_signal(signal.SIGSTOP)
        began_s = time.monotonic()
        await add_domain(link, "meanwhile")
        assert time.monotonic() - began_s < 7  # three seconds of silence, and an election
        managers.running[leader].send_signal(signal.SIGCONT)
        with contextlib.suppress(ConnectionError, NotLeader):
            answer = await connection.request("query", {})
            found = {one["name"] for one in answer["state"]["protection_domains"].values()}
            assert "meanwhile" in found

    run(tmp_path, story)


def test_a_dead_manager_is_replaced_while_the_engine_runs(tmp_path: Path) -> None:
    async def story(managers: ManagerProcesses, link: ManagerLink) -> None:
        for n in range(3):
            managers.start(n)
        await link.request("bootstrap", BOOTSTRAP)
        await add_domain(link, "before")
        leader = await managers.leader()
        gone = next(n for n in range(3) if n != leader)
        managers.kill(gone)
        state = (await link.request("query", {}))["state"]
        present = list(state["managers"].values())
        new = managers.peers[3] | {"id": "3" * 16}
        with pytest.raises(EngineError, match="mdm3 does not answer at"):
            await link.request("command", {"name": "set_managers", "args": {"managers": [*present, new]}})
        managers.start(3)
        await link.request("command", {"name": "set_managers", "args": {"managers": [*present, new]}})
        staying = [one for one in present if one["name"] != f"mdm{gone}"] + [new]
        with pytest.raises(EngineError):
            await link.request("command", {"name": "set_managers", "args": {"managers": staying[:1]}})
        await link.request("command", {"name": "set_managers", "args": {"managers": staying}})
        managers.kill(leader)
        await add_domain(link, "after")
        assert await names(link) == {"before", "after"}

    run(tmp_path, story, count=4, running=3)


def test_two_managers_on_one_folder_are_refused(tmp_path: Path) -> None:
    async def story(managers: ManagerProcesses, link: ManagerLink) -> None:
        managers.start_all()
        await link.request("bootstrap", BOOTSTRAP)
        first = managers.running[0]
        managers.start(0)
        assert managers.running[0].wait(10) == 1
        assert "another manager is running" in managers.log()
        managers.running[0] = first

    run(tmp_path, story)
