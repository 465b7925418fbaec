"""Our client against a real master and real agents."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pytest

from artesian.mesos import calls, resources
from artesian.mesos.errors import FailedOver, FrameworkRemoved, NotSubscribed, Refused
from artesian.mesos.operator import Operator
from artesian.mesos.scheduler import MesosAccess
from tests.mesos.definitions import EXECUTOR, OPERATOR, Recorder, call_types, check_call
from tests.mesos.framework import ROLE, SENT, Framework
from tests.mesos.real import Cluster, Daemon, recorded_calls, sandbox, until

pytestmark = pytest.mark.slow
_ASKED = Recorder(OPERATOR)


@dataclass(frozen=True)
class Mesos:
    master: Daemon
    agents: dict[str, Daemon]
    operator: Operator

    def agent(self, name: str) -> dict[str, object]:
        """What the master says of an agent."""
        found = [each for each in self.operator.agents() if each["agent_info"]["hostname"] == name]
        return found[0] if found else {}

    def ours(self, name: str, framework: Framework) -> resources.Split:
        """What of an agent is whose."""
        total = self.agent(name)["total_resources"]
        assert isinstance(total, list)
        return resources.split(total, framework.mark)


@pytest.fixture(scope="module")
def mesos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesos]:
    cluster = Cluster(tmp_path_factory.mktemp("m"))
    try:
        master = cluster.master().ready()
        agents = {name: cluster.agent(master.address, name) for name in ("h1", "h2")}
        for agent in agents.values():
            agent.ready()
        operator = Operator(MesosAccess(master.address), on_call=_ASKED)
        until(lambda: len(operator.agents()) == 2, "two agents are registered")
        yield Mesos(master, agents, operator)
    finally:
        cluster.stop()


def _amounts(found: Iterable[resources.Resource]) -> tuple[float, float]:
    """Processors and memory in MiB."""
    values = {one["name"]: one["scalar"]["value"] for one in found}
    return values["cpus"], values["mem"]


def test_offers_are_reserved_used_and_given_back(mesos: Mesos) -> None:
    async def story() -> None:
        async with Framework(mesos.master.address, "art-reserve") as framework:
            offer = await framework.offer("h1")
            assert {each["name"]: each["text"]["value"] for each in offer["attributes"]}["rack"] == "r1"
            reserving = framework.amounts(cpus=1.5, mem=128.0)
            await framework.client.call(
                *calls.accept([offer["id"]["value"]], [calls.reserve(reserving)], 0.0)
            )

            offer = await framework.offer("h1")
            assert _amounts(resources.split(offer["resources"], framework.mark).ours) == (1.5, 128.0)
            assert _amounts(mesos.ours("h1", framework).ours) == (1.5, 128.0)
            others = resources.split(
                offer["resources"], resources.Mark(ROLE, labels={"framework": "another"})
            )
            assert not others.ours

            back = framework.amounts(cpus=0.5)
            await framework.client.call(*calls.accept([offer["id"]["value"]], [calls.unreserve(back)], 0.0))
            offer = await framework.offer("h1")
            assert _amounts(resources.split(offer["resources"], framework.mark).ours) == (1.0, 128.0)

            back = framework.amounts(cpus=1.0, mem=128.0)
            await framework.client.call(*calls.accept([offer["id"]["value"]], [calls.unreserve(back)], 0.0))
            offer = await framework.offer("h1")
            assert not resources.split(offer["resources"], framework.mark).ours

    asyncio.run(story())


def test_a_task_of_our_executor_is_launched_told_of_and_killed(mesos: Mesos) -> None:
    async def story() -> None:
        async with Framework(mesos.master.address, "art-task") as framework:
            offer = await framework.launch("h1", "t1")
            agent_id = offer["agent_id"]["value"]
            running = await framework.state("t1", "TASK_RUNNING")
            assert running["message"] == "it runs"
            assert running["healthy"] is True
            assert running["source"] == "SOURCE_EXECUTOR"
            folder = sandbox(mesos.agents["h1"], "art-task", "e")
            labels = {each["key"]: each["value"] for each in running["labels"]["labels"]}
            assert labels["path"].endswith(os.readlink(folder).rpartition("/")[2])

            await framework.launch("h1", "t2")
            await framework.state("t2", "TASK_RUNNING")

            await framework.client.call(*calls.message(agent_id, "e", b"\x00 you"))
            heard = await framework.wait("MESSAGE")
            assert base64.b64decode(heard["message"]["data"]) == b"heard \x00 you"

            await framework.client.call(*calls.kill("t1", agent_id, grace_s=2.5))
            killed = await framework.state("t1", "TASK_KILLED")
            assert base64.b64decode(killed["data"]) == b"2500000000"

            await framework.client.call(*calls.shutdown("e", agent_id))
            await asyncio.to_thread(until, (folder / "end").exists, "the executor ends")
            assert (folder / "end").read_text().splitlines()[0] == "shutdown"
            ended = await framework.state("t2", "TASK_KILLED")
            assert ended["reason"] == "REASON_EXECUTOR_TERMINATED"
            types = set()
            for call in recorded_calls(folder):
                check_call(EXECUTOR, call)
                types.add(call["type"])
            assert types == call_types(EXECUTOR) - {"HEARTBEAT"}

    asyncio.run(story())


def test_an_update_comes_again_until_it_is_acknowledged(mesos: Mesos) -> None:
    async def story() -> None:
        async with Framework(mesos.master.address, "art-again") as framework:
            framework.acknowledges = False
            await framework.launch("h1", "t1")
            first = await framework.state("t1", "TASK_RUNNING")
            await framework.stop()
            framework.start()
            again = await framework.state("t1", "TASK_RUNNING")
            assert again["uuid"] == first["uuid"]
            await framework.acknowledge(again)
            await framework.client.call(*calls.reconcile([]))
            told = await framework.state("t1", "TASK_RUNNING")
            assert calls.acknowledge(told) is None
            assert told["reason"] == "REASON_RECONCILIATION"

    asyncio.run(story())


def test_an_agent_comes_back_and_is_told_what_it_missed(mesos: Mesos) -> None:
    async def story() -> None:
        async with Framework(mesos.master.address, "art-away") as framework:
            framework.acknowledges = False
            await framework.launch("h1", "t1")
            await framework.launch("h1", "t2")
            await framework.state("t1", "TASK_RUNNING")
            await framework.state("t2", "TASK_RUNNING")
            agent = mesos.agents["h1"]
            folder = sandbox(agent, "art-away", "e")
            agent.kill()
            (folder / "finish").write_text("t1")
            await asyncio.to_thread(until, (folder / "finished").exists, "the executor has told it")
            framework.acknowledges = True
            agent.start()
            await framework.state("t1", "TASK_FINISHED")
            await framework.client.call(*calls.kill("t2"))
            await framework.state("t2", "TASK_KILLED")
            subscriptions = [each for each in recorded_calls(folder) if each["type"] == "SUBSCRIBE"]
            assert len(subscriptions) >= 2
            missed = subscriptions[-1]["subscribe"]["unacknowledged_updates"]
            assert "TASK_FINISHED" in [each["status"]["state"] for each in missed]
            for call in subscriptions:
                check_call(EXECUTOR, call)

    asyncio.run(story())


def test_the_death_of_an_executor_is_told(mesos: Mesos) -> None:
    async def story() -> None:
        async with Framework(mesos.master.address, "art-death") as framework:
            await framework.launch("h2", "t1")
            await framework.state("t1", "TASK_RUNNING")
            pid = int((sandbox(mesos.agents["h2"], "art-death", "e") / "pid").read_text())
            os.kill(pid, signal.SIGKILL)
            await framework.state("t1", "TASK_FAILED")
            failure = await framework.wait("FAILURE", lambda event: "executor_id" in event["failure"])
            assert failure["failure"]["executor_id"] == {"value": "e"}

    asyncio.run(story())


def test_a_master_that_is_killed_is_found_again(mesos: Mesos) -> None:
    async def story() -> None:
        async with Framework(mesos.master.address, "art-master") as framework:
            offer = await framework.launch("h1", "t1")
            await framework.state("t1", "TASK_RUNNING")
            mesos.master.kill()
            lost = await framework.wait("DISCONNECTED")
            assert mesos.master.address in lost["reason"]
            assert not framework.client.is_subscribed
            assert framework.client.trouble
            with pytest.raises(NotSubscribed, match="no subscription"):
                await framework.client.call(*calls.revive())
            mesos.master.start()
            subscribed = await framework.wait("SUBSCRIBED")
            assert subscribed["subscribed"]["framework_id"] == {"value": "art-master"}
            assert framework.client.trouble is None

            for _ in range(300):  # no answer comes before the task's agent is back
                await framework.client.call(*calls.reconcile([("t1", offer["agent_id"]["value"])]))
                try:
                    told = await framework.state("t1", "TASK_RUNNING", timeout_s=0.2)
                    break
                except AssertionError:
                    continue
            assert told["reason"] == "REASON_RECONCILIATION"
            await framework.offer("h1")
            await framework.offer("h2")  # of what no agent is named for, Mesos speaks when all are back
            await framework.client.call(*calls.reconcile([("nobody", None)]))
            await framework.state("nobody", "TASK_UNKNOWN")

    asyncio.run(story())


def test_offers_are_declined_suppressed_and_revived(mesos: Mesos) -> None:
    async def story() -> None:
        async with Framework(mesos.master.address, "art-decline") as framework:
            offers = [await framework.offer(name) for name in ("h1", "h2")]
            await framework.client.call(*calls.suppress([ROLE]))
            await framework.client.call(*calls.decline([offer["id"]["value"] for offer in offers], 3600.0))
            with pytest.raises(AssertionError, match="no offer"):
                await framework.take(lambda: framework.offers, "offer", timeout_s=1.0)
            await framework.client.call(*calls.revive([ROLE]))
            await framework.offer("h1")
            await framework.offer("h2")

    asyncio.run(story())


def test_offers_of_an_agent_that_is_lost_are_rescinded(mesos: Mesos) -> None:
    async def story() -> None:
        async with Framework(mesos.master.address, "art-rescind") as framework:
            await framework.take(lambda: len(framework.offers) == 2, "two offers")
            mesos.agents["h2"].kill()
            await framework.wait("RESCIND")
            assert [offer["hostname"] for offer in framework.offers.values()] == ["h1"]
            mesos.agents["h2"].start()
            await framework.offer("h2")

    asyncio.run(story())


def test_a_task_on_an_offer_that_is_gone_is_told_as_dropped(mesos: Mesos) -> None:
    async def story() -> None:
        async with Framework(mesos.master.address, "art-late") as framework:
            offer = await framework.offer("h1")
            await framework.client.call(*calls.decline([offer["id"]["value"]], 0.0))
            launch = calls.launch([framework.task("t1", offer)])
            await framework.client.call(*calls.accept([offer["id"]["value"]], [launch], 0.0))
            dropped = await framework.state("t1", "TASK_DROPPED")
            assert dropped["reason"] == "REASON_INVALID_OFFERS"

    asyncio.run(story())


def test_maintenance_is_asked_for_by_inverse_offers(mesos: Mesos) -> None:
    machine = {"hostname": "h2", "ip": mesos.agents["h2"].ip}
    begin_ns = round((time.time() + 3600) * 1e9)
    unavailability = {"start": {"nanoseconds": begin_ns}, "duration": {"nanoseconds": 3600 * 10**9}}
    window = {"machine_ids": [machine], "unavailability": unavailability}

    async def story() -> None:
        async with Framework(mesos.master.address, "art-leave") as framework:
            await framework.launch("h2", "t1")
            await framework.state("t1", "TASK_RUNNING")
            body = {"schedule": {"windows": [window]}}
            await asyncio.to_thread(mesos.operator.call, "UPDATE_MAINTENANCE_SCHEDULE", body)
            asked = await framework.wait("INVERSE_OFFERS")
            inverse = asked["inverse_offers"]["inverse_offers"][0]
            assert inverse["unavailability"]["start"] == unavailability["start"]
            await framework.client.call(*calls.decline_inverse_offers([inverse["id"]["value"]], 0.0))
            asked = await framework.wait("INVERSE_OFFERS")
            inverse = asked["inverse_offers"]["inverse_offers"][0]
            await framework.client.call(*calls.accept_inverse_offers([inverse["id"]["value"]]))
            await asyncio.to_thread(until, _accepted, "the master knows our answer")
            empty = {"schedule": {"windows": []}}
            await asyncio.to_thread(mesos.operator.call, "UPDATE_MAINTENANCE_SCHEDULE", empty)

    def _accepted() -> bool:
        status = mesos.operator.call("GET_MAINTENANCE_STATUS")["get_maintenance_status"]["status"]
        said = [each for machine in status["draining_machines"] for each in machine.get("statuses", [])]
        return any(each["status"] == "ACCEPT" for each in said)

    asyncio.run(story())


def test_a_second_scheduler_with_the_id_takes_over(mesos: Mesos) -> None:
    async def story() -> None:
        first = Framework(mesos.master.address, "art-two")
        async with first:
            await first.launch("h1", "t1")
            await first.state("t1", "TASK_RUNNING")
            first.tears_down = False
            async with Framework(mesos.master.address, "art-two") as second:
                assert first.running is not None
                with pytest.raises(FailedOver):
                    await asyncio.wait_for(first.running, 60)
                await second.client.call(*calls.reconcile([]))
                await second.state("t1", "TASK_RUNNING")
        with pytest.raises(NotSubscribed):
            await first.client.call(*calls.revive())

    asyncio.run(story())


def test_a_framework_that_is_torn_down_is_removed_for_good(mesos: Mesos) -> None:
    async def story() -> None:
        framework = Framework(mesos.master.address, "art-end")
        framework.start()
        await framework.wait("SUBSCRIBED")
        listed = await asyncio.to_thread(mesos.operator.frameworks)
        assert "art-end" in [each["framework_info"]["id"]["value"] for each in listed]
        await framework.client.call(*calls.teardown())
        assert framework.running is not None
        with pytest.raises(FrameworkRemoved, match="has been removed"):
            await asyncio.wait_for(framework.running, 60)

    asyncio.run(story())


def test_what_mesos_does_not_understand_is_refused_in_its_words(mesos: Mesos) -> None:
    async def story() -> None:
        async with Framework(mesos.master.address, "art-bad") as framework:
            unchecked = framework.client
            unchecked._on_call = lambda call: None
            with pytest.raises(Refused, match="kill"):
                await unchecked.call("KILL", {"task_id": {}})
            assert unchecked.is_subscribed

    asyncio.run(story())


def test_an_agent_is_drained_deactivated_and_gone(mesos: Mesos) -> None:
    operator = mesos.operator
    assert operator.version() == "1.11.0"
    agent = mesos.agent("h2")
    info = agent["agent_info"]
    assert isinstance(info, dict)
    agent_id = info["id"]["value"]
    operator.deactivate_agent(agent_id)
    assert mesos.agent("h2")["deactivated"] is True
    operator.reactivate_agent(agent_id)
    assert not mesos.agent("h2").get("deactivated")
    operator.drain_agent(agent_id, max_grace_s=10.0)
    assert "drain_info" in mesos.agent("h2")
    with pytest.raises(Refused):
        operator.drain_agent("no-such-agent")
    operator.mark_agent_gone(agent_id)
    until(lambda: not mesos.agent("h2"), "the agent is gone")


def test_every_call_that_we_have_was_made_as_mesos_defines_it(mesos: Mesos) -> None:
    """Each was checked as it was sent; here, that none was forgotten. It wants those before it."""
    built = {"SUBSCRIBE", "TEARDOWN", "ACCEPT", "DECLINE", "ACCEPT_INVERSE_OFFERS", "DECLINE_INVERSE_OFFERS"}
    built |= {"REVIVE", "SUPPRESS", "KILL", "SHUTDOWN", "ACKNOWLEDGE", "RECONCILE", "MESSAGE"}
    assert built <= SENT.types
    assert _ASKED.types >= {"GET_AGENTS", "GET_FRAMEWORKS", "GET_VERSION", "MARK_AGENT_GONE", "DRAIN_AGENT"}
