"""Managers in a simulated network: killed, cut off and started again at random, they lose nothing.

Real code down to the journal's files; only time and network are simulated. What a manager had not synced
when it is killed is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from artesian.embedded.errors import EngineError, NotLeader
from artesian.embedded.mdm.raft import OutcomeUnknown, Raft
from tests.embedded.simulation.loop import SimulatedLoop, SimulatedProcess

SECRET = b"the engine's secret, 32 bytes..."


class Numbers:
    """A state machine that keeps the numbers it is given, and checks that all managers get the same.

    `history` is what all managers share: what was applied anywhere, in its order.
    """

    def __init__(self, history: list[int]) -> None:
        self.system_id = ""
        self.items: list[int] = []
        self._history = history

    def apply(self, command: str) -> dict[str, Any]:
        number = json.loads(command)["args"]["number"]
        self.items.append(number)
        if len(self.items) > len(self._history):
            self._history.append(number)
        assert self._history[len(self.items) - 1] == number, "two managers applied different commands"
        if number == 0:
            self.system_id = "0123456789abcdef"
        return {"result": {"count": len(self.items)}}

    def capture(self) -> dict[str, Any]:
        return {"items": list(self.items), "system_id": self.system_id}

    def install(self, state: dict[str, Any]) -> None:
        assert self._history[: len(state["items"])] == state["items"]
        self.items = list(state["items"])
        self.system_id = state["system_id"]


class Cluster:
    """Managers that can be killed and started again."""

    def __init__(
        self, loop: SimulatedLoop, folder: Path, roles: str = "MMM", compact_entries: int = 5000
    ) -> None:
        self.loop = loop
        self.folder = folder
        self.roles = roles
        self.compact_entries = compact_entries
        self.addresses = [f"127.0.0.{n + 1}:6700" for n in range(len(roles))]
        self.running: dict[int, tuple[SimulatedProcess, Raft]] = {}
        self.machines: dict[int, Numbers] = {}
        self.history: list[int] = []
        self.acknowledged: list[int] = []
        self.errors: list[Exception] = []
        self.numbers = iter(range(1, 1 << 30))

    async def start(self, n: int) -> None:
        process = SimulatedProcess(self.loop, self.addresses[n])
        await process.run(self._start(n, process))

    async def _start(self, n: int, process: SimulatedProcess) -> None:
        self.machines[n] = Numbers(self.history)
        raft = Raft(
            self.addresses[n],
            self.addresses,
            self.folder / str(n),
            SECRET,
            self.machines[n],
            lambda: None,
            self.errors.append,
            tiebreaker=self.roles[n] == "T",
            compact_entries=self.compact_entries,
        )
        self.running[n] = (process, raft)
        await raft.start()

    def kill(self, n: int) -> None:
        process, raft = self.running.pop(n)
        process.kill()
        raft._transport._stopped = True  # nothing more happens when its tasks are swept up
        os.close(raft._lock)
        raft._journal.close()

    def cut(self, one: int, other: int) -> None:
        self.loop.blocked.add(frozenset((self.addresses[one], self.addresses[other])))

    def mend(self) -> None:
        self.loop.blocked.clear()

    def leaders(self) -> list[int]:
        return [n for n, (_, raft) in self.running.items() if raft.leading]

    async def leader(self, within_s: float) -> int:
        """Waits for one. Raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while not self.leaders():
                await asyncio.sleep(0.01)
        return self.leaders()[0]

    async def propose(self, n: int, number: int) -> None:
        process, raft = self.running[n]
        await process.run(raft.propose("add", {"number": number}))
        self.acknowledged.append(number)

    async def write(self, seconds: float) -> None:
        """Propose numbers, several at once, to whoever leads."""
        end = self.loop.time() + seconds
        while self.loop.time() < end:
            await asyncio.sleep(self.loop.random.uniform(0, 0.02))
            if leaders := self.leaders():
                burst = self.loop.random.choice((1, 1, 5, 30))
                work = [
                    self.loop.create_task(self.propose(self.loop.random.choice(leaders), next(self.numbers)))
                    for _ in range(burst)
                ]
                _, waiting = await asyncio.wait(work, timeout=0.5)
                for task in waiting:  # its manager is dead, or cannot know
                    task.cancel()
                for task in work:
                    if task not in waiting and (error := task.exception()) is not None:
                        assert isinstance(error, NotLeader | OutcomeUnknown), error

    async def agree(self, within_s: float = 10) -> None:
        """Start all, mend all, and see that everybody has everything that was acknowledged."""
        self.mend()
        for n in range(len(self.roles)):
            if n not in self.running:
                await self.start(n)
        async with asyncio.timeout(within_s):
            while True:
                await asyncio.sleep(0.05)
                leader = await self.leader(within_s)
                try:
                    await self.propose(leader, next(self.numbers))
                except EngineError:
                    continue
                await asyncio.sleep(0.5)
                if all(self.machines[n].items == self.machines[leader].items for n in self.running):
                    break
        assert not self.errors
        for n, (_, raft) in self.running.items():
            others = {node.id for node in raft._node.otherNodes}
            assert others == set(self.addresses) - {self.addresses[n]}
        everything = set(self.machines[leader].items)
        assert not [number for number in self.acknowledged if number not in everything]


def simulate(story: Callable[[Cluster], Awaitable[None]], seed: int = 1, **options: Any) -> None:
    """Run a story; the seed decides everything."""
    random.seed(seed)
    loop = SimulatedLoop(seed)
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        cluster = Cluster(loop, Path(folder), **options)
        try:
            loop.run_until_complete(story(cluster))
        finally:
            for n in list(cluster.running):
                cluster.kill(n)
            for task in asyncio.all_tasks(loop):
                task._log_destroy_pending = False  # type: ignore[attr-defined]
            loop.close()


async def all_of(cluster: Cluster) -> None:
    for n in range(len(cluster.roles)):
        await cluster.start(n)


# --- single events


def test_managers_find_a_leader_and_agree() -> None:
    async def story(cluster: Cluster) -> None:
        await all_of(cluster)
        await cluster.leader(3)
        await cluster.write(1)
        assert len(cluster.acknowledged) > 50
        await cluster.agree()

    simulate(story)


@pytest.mark.parametrize("seed", range(10))
def test_the_next_leader_is_there_within_a_second_of_a_kill(seed: int) -> None:
    async def story(cluster: Cluster) -> None:
        await all_of(cluster)
        leader = await cluster.leader(3)
        await cluster.write(0.5)
        cluster.kill(leader)
        await cluster.leader(1)
        await cluster.agree()

    simulate(story, seed)


@pytest.mark.parametrize("seed", range(10))
def test_the_next_leader_is_there_within_three_seconds_of_a_silent_death(seed: int) -> None:
    async def story(cluster: Cluster) -> None:
        await all_of(cluster)
        leader = await cluster.leader(3)
        for other in {0, 1, 2} - {leader}:
            cluster.cut(leader, other)
        async with asyncio.timeout(3):
            while set(cluster.leaders()) in (set(), {leader}):
                await asyncio.sleep(0.01)
        async with asyncio.timeout(3):
            while leader in cluster.leaders():
                await asyncio.sleep(0.01)
        await cluster.agree()

    simulate(story, seed)


@pytest.mark.parametrize("seed", range(5))
def test_a_manager_that_only_misses_the_leader_itself_does_not_depose_it(seed: int) -> None:
    async def story(cluster: Cluster) -> None:
        await all_of(cluster)
        leader = await cluster.leader(3)
        await cluster.write(0.3)
        term = cluster.running[leader][1].term
        cluster.cut(leader, (leader + 1) % 3)
        await cluster.write(6)
        assert cluster.leaders() == [leader] and cluster.running[leader][1].term == term
        await cluster.agree()

    simulate(story, seed)


def test_a_manager_with_a_greater_term_than_the_leader_finds_back() -> None:
    async def story(cluster: Cluster) -> None:
        await all_of(cluster)
        leader = await cluster.leader(3)
        await cluster.write(0.3)
        cluster.running[(leader + 1) % 3][1]._node._SyncObj__setCurrentTerm(50, None)
        await asyncio.sleep(2)
        assert cluster.running[await cluster.leader(3)][1].term > 50
        await cluster.agree(4)

    simulate(story)


def test_without_a_majority_nothing_is_acknowledged_and_the_leader_steps_down() -> None:
    async def story(cluster: Cluster) -> None:
        await all_of(cluster)
        leader = await cluster.leader(3)
        for other in {0, 1, 2} - {leader}:
            cluster.kill(other)
        lost = cluster.loop.create_task(cluster.propose(leader, next(cluster.numbers)))
        await asyncio.wait([lost], timeout=3)
        assert isinstance(lost.exception(), OutcomeUnknown)
        assert not cluster.leaders()
        await cluster.agree()

    simulate(story)


def test_a_leader_that_was_cut_off_does_not_confirm_that_it_leads() -> None:
    async def story(cluster: Cluster) -> None:
        await all_of(cluster)
        leader = await cluster.leader(3)
        process, raft = cluster.running[leader]
        await process.run(raft.confirm())
        for other in {0, 1, 2} - {leader}:
            cluster.cut(leader, other)
        assert raft.leading  # it cannot know yet
        with pytest.raises(NotLeader):
            await process.run(raft.confirm())

    simulate(story)


def test_a_manager_that_is_far_behind_gets_a_snapshot() -> None:
    async def story(cluster: Cluster) -> None:
        await all_of(cluster)
        leader = await cluster.leader(3)
        late = (leader + 1) % 3
        cluster.kill(late)
        await cluster.write(3)
        assert cluster.running[leader][1]._journal.first_index > 100
        await cluster.agree()
        assert cluster.running[late][1]._journal.first_index > 1

    simulate(story, compact_entries=20)


def test_a_single_manager_leads_at_once_and_keeps_everything() -> None:
    async def story(cluster: Cluster) -> None:
        for _ in range(3):
            await cluster.start(0)
            await cluster.leader(0.3)
            await cluster.write(0.5)
            cluster.kill(0)
        await cluster.agree()

    simulate(story, roles="M", compact_entries=50)


# --- tiebreakers


def test_a_tiebreaker_leads_only_when_no_manager_can() -> None:
    async def story(cluster: Cluster) -> None:
        await all_of(cluster)
        for _ in range(3):
            leader = await cluster.leader(3)
            assert cluster.roles[leader] == "M"
            await cluster.write(0.3)
            cluster.kill(leader)
            assert cluster.roles[await cluster.leader(3)] == "M"
            await cluster.agree()

    simulate(story, roles="MTM")


def test_a_tiebreaker_that_alone_has_everything_leads_until_a_manager_has_caught_up() -> None:
    async def story(cluster: Cluster) -> None:
        await all_of(cluster)
        leader = await cluster.leader(3)
        behind = 2 - leader
        cluster.cut(leader, behind)
        cluster.cut(behind, 1)
        await cluster.write(0.3)
        cluster.kill(leader)
        cluster.mend()
        async with asyncio.timeout(5):
            while cluster.leaders() != [1]:
                await asyncio.sleep(0.01)
        process, raft = cluster.running[1]
        await cluster.propose(1, next(cluster.numbers))
        async with asyncio.timeout(5):
            while cluster.leaders() != [behind]:
                process.call(raft.hand_over, {cluster.addresses[behind]})
                await asyncio.sleep(0.1)
        await cluster.agree()

    simulate(story, roles="MTM")


# --- lost disks


def test_a_manager_that_lost_its_disk_does_not_vote_away_what_it_had_acknowledged() -> None:
    async def story(cluster: Cluster) -> None:
        await all_of(cluster)
        leader = await cluster.leader(3)
        await cluster.propose(leader, 0)
        await cluster.write(0.5)
        emptied, behind = (n for n in range(3) if n != leader)
        cluster.kill(behind)
        await cluster.write(0.5)  # acknowledged by the leader and by the one that is about to lose its disk
        cluster.kill(emptied)
        cluster.kill(leader)
        for file in (cluster.folder / str(emptied)).iterdir():
            file.unlink()
        await cluster.start(emptied)
        await cluster.start(behind)
        with pytest.raises(TimeoutError):
            await cluster.leader(8)
        await cluster.start(leader)
        await cluster.agree()

    simulate(story)


@pytest.mark.parametrize("head_start_s", [0.0, 8.0])
def test_two_empty_managers_cannot_take_the_engine_from_the_third(head_start_s: float) -> None:
    async def story(cluster: Cluster) -> None:
        await all_of(cluster)
        leader = await cluster.leader(3)
        await cluster.propose(leader, 0)
        await cluster.write(2)
        held = cluster.running[leader][1]._journal[:]
        for n in range(3):
            cluster.kill(n)
        for n in {0, 1, 2} - {leader}:
            for file in (cluster.folder / str(n)).iterdir():
                file.unlink()
        history, cluster.history = cluster.history, []  # the empty ones begin another, if they can
        for n in {0, 1, 2} - {leader}:
            await cluster.start(n)
        await asyncio.sleep(head_start_s)
        others_lead = bool(cluster.leaders())
        assert others_lead == (head_start_s > 0)
        cluster.history = history
        await cluster.start(leader)
        for _ in range(3):
            await asyncio.sleep(3)
            for n in cluster.leaders():
                with contextlib.suppress(TimeoutError, EngineError):
                    await asyncio.wait_for(cluster.propose(n, -1), 1)
        assert not cluster.errors
        journal = cluster.running[leader][1]._journal
        assert [entry for entry in held if entry in journal[:]] == held
        assert cluster.machines[leader].system_id

    simulate(story)


# --- membership


def test_a_manager_is_replaced_by_adding_one_and_removing_one() -> None:
    async def story(cluster: Cluster) -> None:
        everyone = cluster.addresses
        cluster.addresses = everyone[:3]
        for n in range(3):
            await cluster.start(n)
        leader = await cluster.leader(3)
        await cluster.propose(leader, 0)
        await cluster.write(0.3)
        gone = (leader + 1) % 3
        cluster.kill(gone)
        cluster.addresses = everyone
        await cluster.start(3)
        process, raft = cluster.running[leader]
        await process.run(raft.change_members("add", everyone[3]))
        assert raft.members == set(everyone)
        await process.run(raft.change_members("remove", everyone[gone]))
        assert raft.members == set(everyone) - {everyone[gone]}
        await cluster.write(0.5)
        for n in list(cluster.running):  # who is a member survives a restart
            cluster.kill(n)
        for n in {0, 1, 2, 3} - {gone}:
            await cluster.start(n)
        leader = await cluster.leader(3)
        assert cluster.running[leader][1].members == set(everyone) - {everyone[gone]}
        await cluster.write(0.5)
        cluster.kill(leader)
        await cluster.leader(3)
        everything = cluster.history
        assert not [number for number in cluster.acknowledged if number not in everything]

    simulate(story, roles="MMMM")


# --- everything at once


@pytest.mark.parametrize("seed", range(8))
def test_nothing_acknowledged_is_lost_whatever_happens(seed: int) -> None:
    async def story(cluster: Cluster) -> None:
        choose = cluster.loop.random
        await all_of(cluster)
        await cluster.leader(5)
        await cluster.propose(cluster.leaders()[0], 0)
        writing = cluster.loop.create_task(cluster.write(40))
        while not writing.done():
            await asyncio.sleep(choose.uniform(0, 1.5))
            event = choose.random()
            alive = list(cluster.running)
            dead = [n for n in range(len(cluster.roles)) if n not in cluster.running]
            if event < 0.3 and len(alive) > 1:
                leaders = cluster.leaders()
                cluster.kill(choose.choice(leaders if leaders and choose.random() < 0.6 else alive))
            elif event < 0.65 and dead:
                await cluster.start(choose.choice(dead))
            elif event < 0.8:
                one, other = choose.sample(range(len(cluster.roles)), 2)
                cluster.cut(one, other)
            else:
                cluster.mend()
        await writing
        await cluster.agree(20)
        assert len(cluster.acknowledged) > 100

    roles = "MMM" if seed % 3 else "MMMTT"
    simulate(story, seed, roles=roles, compact_entries=(5000, 30, 200)[seed % 3])
