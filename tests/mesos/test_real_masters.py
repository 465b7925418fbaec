"""Our client against masters that want credentials, know few roles, or elect their leader."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from kazoo.client import KazooClient
from kazoo.security import make_digest_acl

from artesian.mesos.access import MesosAccess
from artesian.mesos.errors import MasterUnreachable, MesosError, NotAllowed, Refused
from artesian.mesos.masters import leader_in_zookeeper, parse_master
from artesian.mesos.operator import Operator
from artesian.mesos.scheduler import Pace, SchedulerClient
from tests.mesos.framework import SENT, Framework, framework_info
from tests.mesos.real import Cluster, Daemon, until

pytestmark = pytest.mark.slow


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.stop()


def _strict_master(cluster: Cluster) -> Daemon:
    credentials = cluster.folder / "credentials"
    credentials.write_text(json.dumps({"credentials": [{"principal": "artesian", "secret": "s3cret"}]}))
    return cluster.master(
        credentials=credentials,
        authenticate_http_frameworks="true",
        http_framework_authenticators="basic",
        authenticate_http_readwrite="true",
        authenticate_http_readonly="true",
        roles="artesian",
    ).ready()


async def _ending(access: MesosAccess, framework_id: str, **info: object) -> MesosError:
    """What ends a framework that the master does not take."""
    client = SchedulerClient(access, framework_info(framework_id, **info), on_call=SENT)
    with pytest.raises(MesosError) as ended:
        await asyncio.wait_for(client.run(lambda event: None), 60)
    return ended.value


def test_a_master_takes_whom_it_knows_in_the_roles_that_it_knows(cluster: Cluster) -> None:
    master = _strict_master(cluster)
    right = MesosAccess(master.address, "artesian", "s3cret")

    async def story() -> None:
        for wrong in (
            MesosAccess(master.address),
            MesosAccess(master.address, "artesian", "wrong"),
            MesosAccess(master.address, "nobody", "s3cret"),
        ):
            assert isinstance(await _ending(wrong, "art-1"), NotAllowed)
            with pytest.raises(NotAllowed, match="principal and secret"):
                await asyncio.to_thread(Operator(wrong).agents)
        refused = await _ending(right, "art-2", roles=["others"])
        assert isinstance(refused, Refused)
        assert "others" in str(refused) and "--roles" in str(refused)
        refused = await _ending(right, "art-3", principal="somebody")
        assert isinstance(refused, Refused)
        assert "somebody" in str(refused)

        subscribed = asyncio.Event()
        client = SchedulerClient(right, framework_info("art-4"), on_call=SENT)
        running = asyncio.create_task(client.run(lambda event: subscribed.set()))
        await asyncio.wait_for(subscribed.wait(), 60)
        known = await asyncio.to_thread(Operator(right).frameworks)
        assert [each["framework_info"]["principal"] for each in known] == ["artesian"]
        await client.call("TEARDOWN")
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(story())


def test_the_leader_is_found_by_redirects_and_by_zookeeper_and_its_successor_too(cluster: Cluster) -> None:
    zookeeper = cluster.zookeeper()
    path = f"zk://{zookeeper}/mesos"
    address = parse_master(path).zookeeper
    assert address is not None
    masters = [cluster.master(zk=path, quorum=2) for _ in range(3)]

    def leader() -> Daemon | None:
        try:
            url = leader_in_zookeeper(address)
            Operator(MesosAccess(url)).frameworks()
        except MasterUnreachable:
            return None
        return next(master for master in masters if url == f"http://{master.address}")

    first = until(leader, "a master leads", 60)
    others = [master for master in masters if master is not first]

    async def story() -> None:
        # By one that does not lead: its redirect is followed. It has to have noticed who does.
        redirecting = MesosAccess(others[0].address)
        await asyncio.to_thread(until, lambda: _answers(redirecting), "a follower knows the leader")
        named = ",".join(master.address for master in others)
        async with (
            Framework(named, "art-redirected") as redirected,
            Framework(path, "art-zookeeper") as found,
        ):
            for framework in (redirected, found):
                assert framework.client.is_subscribed
            first.kill()
            for framework in (redirected, found):
                await framework.wait("DISCONNECTED")
            for framework in (redirected, found):
                await framework.wait("SUBSCRIBED")
            second = await asyncio.to_thread(until, leader, "another master leads", 60)
            assert second in others
            operator = Operator(MesosAccess(path))
            known = await asyncio.to_thread(operator.frameworks)
            ids = {each["framework_info"]["id"]["value"] for each in known}
            assert ids == {"art-redirected", "art-zookeeper"}

    asyncio.run(story())


def test_a_zookeeper_tells_only_whom_it_may(cluster: Cluster) -> None:
    hosts = cluster.zookeeper()
    with pytest.raises(MasterUnreachable, match="knows no Mesos master at /nothing"):
        until(lambda: Operator(MesosAccess(f"zk://{hosts}/nothing")).agents(), "an answer")
    writer = KazooClient(hosts=hosts, auth_data=[("digest", "us:p w")])
    writer.start()
    acl = [make_digest_acl("us", "p w", all=True)]
    writer.create("/secret", acl=acl)
    for number, port in ((12, 1), (7, 2), (9, 3)):
        info = json.dumps({"address": {"hostname": "localhost", "ip": "127.0.0.9", "port": port}})
        writer.create(f"/secret/json.info_{number:010d}", info.encode(), acl=acl)
    writer.create("/secret/log_replicas", acl=acl)
    writer.stop()
    writer.close()

    address = parse_master(f"zk://us:p w@{hosts}/secret").zookeeper
    assert address is not None
    assert leader_in_zookeeper(address) == "http://127.0.0.9:2"
    assert leader_in_zookeeper(address, "https") == "https://localhost:2"
    stranger = parse_master(f"zk://{hosts}/secret").zookeeper
    assert stranger is not None
    with pytest.raises(MasterUnreachable, match="NoAuth"):
        leader_in_zookeeper(stranger)


def test_there_is_no_zookeeper() -> None:
    address = parse_master("zk://127.0.0.1:9/mesos").zookeeper
    assert address is not None
    with pytest.raises(MasterUnreachable, match=r"ZooKeeper \(127.0.0.1:9\)"):
        leader_in_zookeeper(address, timeout_s=0.5)


def _answers(access: MesosAccess) -> bool:
    try:
        Operator(access).frameworks()
    except MasterUnreachable:
        return False
    return True


def test_the_pace_is_kept_while_nobody_leads(cluster: Cluster) -> None:
    """A master that waits for others to elect answers 503, and is asked again without hurry."""
    zookeeper = cluster.zookeeper()
    master = cluster.master(zk=f"zk://{zookeeper}/mesos", quorum=2).ready()
    waits: list[float] = []

    async def sleep(delay_s: float) -> None:
        waits.append(delay_s)
        await asyncio.sleep(0.05)

    async def story() -> None:
        client = SchedulerClient(
            MesosAccess(master.address), framework_info("art-1"), pace=Pace(0.5, 4.0), sleep=sleep
        )
        running = asyncio.create_task(client.run(lambda event: None))
        await asyncio.to_thread(until, lambda: len(waits) >= 6, "six attempts")
        running.cancel()
        assert "cannot answer" in str(client.trouble)
        assert max(waits) <= 4.0

    asyncio.run(story())
