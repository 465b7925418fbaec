"""A manager that leads while a server is in maintenance, in simulated time."""

from __future__ import annotations

import pytest

from artesian.embedded.errors import CommandRefused
from artesian.embedded.mdm.observation import Observation
from artesian.embedded.mdm.process import Manager
from tests.embedded.mdm.engines import Engine
from tests.embedded.mdm.test_leader import SECRET, Cluster, Server, simulate

HOUR_S = 3600.0


def reasons(cluster: Cluster) -> set[str]:
    """Of all joins that servers have been told to feed."""
    return {join["reason"] for server in cluster.servers[1:] for join in server.assignment.get("joins", ())}


async def sleep_long(cluster: Cluster, seconds: float) -> None:
    """Nothing is joined in the meantime."""
    ends_s = cluster.loop.time() + seconds
    with pytest.raises(TimeoutError):
        await cluster.until(lambda: bool(reasons(cluster)), ends_s - cluster.loop.time())


def test_copies_of_a_server_in_maintenance_become_stale_and_are_not_remade_until_it_has_left() -> None:
    async def story(cluster: Cluster) -> None:
        server = cluster.servers[0]
        await cluster.command("enter_maintenance", server_id=server.server_id)
        server.die()
        await cluster.until(lambda: cluster.stale(server) > 0)
        await sleep_long(cluster, 60)
        await cluster.command("exit_maintenance", server_id=server.server_id)
        await sleep_long(cluster, cluster.config.rebuild_after_s - 1)
        await cluster.until(lambda: reasons(cluster) == {"rebuild"}, 3)

    simulate(story, servers=4)


def test_the_next_leader_knows_of_maintenance() -> None:
    async def story(cluster: Cluster) -> None:
        server = cluster.servers[0]
        await cluster.command("enter_maintenance", server_id=server.server_id)
        for one in cluster.servers:
            one.die()
        await cluster.manager.stop()
        cluster.manager = Manager(cluster.config, SECRET, cluster.fatal.append)
        await cluster.manager.start()
        await cluster.connect()
        for n in (1, 2, 3):
            cluster.servers[n] = Server(cluster, n)
        await sleep_long(cluster, 60)
        assert cluster.stale(server) > 0

    simulate(story, servers=4)


def test_who_is_there_is_told_by_the_leader_whatever_a_gateway_says() -> None:
    async def story(cluster: Cluster) -> None:
        server = cluster.servers[0]
        server.die()
        await cluster.until(lambda: cluster.stale(server) > 0)
        everybody = [one.server_id for one in cluster.servers]
        devices = list(cluster.state.devices)
        lies = {"connected_servers": everybody, "answering_devices": devices}
        with pytest.raises(CommandRefused, match="not connected"):
            await cluster.command("enter_maintenance", server_id=server.server_id, **lies)
        with pytest.raises(CommandRefused, match="only good copy"):
            await cluster.command("enter_maintenance", server_id=everybody[1], **lies)

    simulate(story)


def test_an_absence_is_excused_until_maintenance_is_left_or_the_server_comes_back() -> None:
    engine = Engine()
    server = engine.servers[0]
    observation = Observation(10.0)
    observation.server_connected(server, 1, 11.0)
    observation.server_lost(server, 12.0)
    engine.state.servers[server].in_maintenance = True
    assert observation.live(engine.state, {}, HOUR_S).servers[server].excused_s == HOUR_S
    engine.state.servers[server].in_maintenance = False
    seen = observation.live(engine.state, {}, HOUR_S + 5).servers[server]
    assert (seen.connected, seen.changed_s, seen.excused_s) == (False, 12.0, HOUR_S)
    observation.server_connected(server, 2, HOUR_S + 6)
    assert observation.live(engine.state, {}, HOUR_S + 7).servers[server].excused_s == 0.0
