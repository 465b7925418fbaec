"""Real processes, killed by a seeded schedule, under clients that verify: fio on NBD, PostgreSQL on a mount.

`ENGINE_DRILLS=20 pytest tests/drills` runs more seeds.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.database import Load, Postgres, find_postgres
from demo.engine import Engine

SEEDS = range(int(os.environ.get("ENGINE_DRILLS", "2")))
SECONDS = 20
HANG_S = 5.5  # servers that say nothing for 4 s count as lost


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = Engine(tmp_path / "e")
    made.up(nodes=3, disks_per_node=2, disk_size="1GiB")
    yield made
    made.down(destroy=True)


def misfortune(engine: Engine, choose: random.Random) -> str:
    """Kill something, wait a while, start it again; or let a server hang for longer than it is waited for."""
    node = choose.choice((1, 2, 3))
    if choose.random() < 0.2:
        hanging = engine.process_ids("sds", node)
        for process_id in hanging:
            os.kill(process_id, signal.SIGSTOP)
        time.sleep(HANG_S)
        for process_id in hanging:
            os.kill(process_id, signal.SIGCONT)
        return f"the server of node {node} hung for {HANG_S:g} s"
    role = choose.choice(("sds", "sds", "mdm", "sdc", "all")) if node != 1 else choose.choice(("sds", "mdm"))
    engine.run("node", "kill", str(node), "--role", role)
    pause_s = choose.choice((0.0, 0.5, 2.0))
    time.sleep(pause_s)
    engine.run("node", "start", str(node))
    return f"{role} of node {node} away for {pause_s:g} s"


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_fio_finds_every_byte_that_it_wrote(engine: Engine, seed: int, tmp_path: Path) -> None:
    if shutil.which("fio") is None:
        pytest.skip("fio is not installed")
    print(f"seed {seed}")
    choose = random.Random(seed)
    engine.run("volume", "create", "v", "1GiB")
    engine.run("map", "v", "1")
    uri = engine.nbd_uri("v", 1)
    workload = (
        "--rw=randwrite --bsrange=4k-1m --iodepth=8 --size=200M --io_size=2G --rate_iops=,200 --fsync=64"
    )
    checking = (
        f"--verify=crc32c --verify_fatal=1 --do_verify=1 --randseed={seed} --runtime={SECONDS} --thread"
    )
    command = ["fio", "--name=drill", "--ioengine=nbd", f"--uri={uri}", *workload.split(), *checking.split()]
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path
    )
    story = []
    began = time.monotonic()
    while time.monotonic() - began < SECONDS - 8 and running.poll() is None:
        time.sleep(choose.uniform(0.5, 2.0))
        story.append(misfortune(engine, choose))
        engine.wait_healthy(90)
    output, _ = running.communicate(timeout=180)
    assert running.returncode == 0, f"seed {seed}, {story}: {output[-2000:]}"
    engine.wait_healthy()


@pytest.mark.slow
def test_postgresql_notices_neither_a_servers_death_nor_a_managers(engine: Engine, tmp_path: Path) -> None:
    programs = find_postgres()
    if programs is None or os.geteuid() != 0:
        pytest.skip("PostgreSQL is not installed, or we are not root")
    mountpoint, sockets = (
        Path("/tmp") / f"artesian-{os.getpid()}-m",
        Path("/tmp") / f"artesian-{os.getpid()}-s",
    )
    mountpoint.mkdir()
    engine.run("volume", "create", "v", "1GiB")
    engine.run("map", "v", "1")
    engine.run("mount", "v", str(mountpoint), "--node", "1")
    database = Postgres(programs, mountpoint, sockets, 54331)
    try:
        database.start()
        arguments = ["-h", str(sockets), "-p", "54331", "-U", "postgres"]
        pgbench = database.command(str(programs / "pgbench"), *arguments)
        subprocess.run(
            [*pgbench, "-i", "-q", "-s", "1", "postgres"], check=True, capture_output=True, cwd="/"
        )
        running = subprocess.Popen(
            [*pgbench, "-c", "2", "-T", "20", "postgres"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, cwd="/",
        )  # fmt: skip
        load = Load(database.writer(), 1)
        time.sleep(2)
        engine.run("node", "kill", "2", "--role", "sds")
        time.sleep(3)
        leader = next(int(manager["node"]) for manager in engine.status()["managers"] if manager["leader"])
        engine.run("node", "kill", str(leader), "--role", "mdm")
        time.sleep(4)
        engine.run("node", "start", "2")
        engine.run("node", "start", str(leader))
        output, errors = running.communicate(timeout=120)
        load.stop()
        assert running.returncode == 0, errors
        assert "aborted" not in output + errors
        assert load.error is None
        assert load.acknowledged <= database.committed()
        assert len(load.acknowledged) > 50
    finally:
        database.stop()
        engine.run("unmount", "v", "--node", "1", "--force")
        shutil.rmtree(sockets, ignore_errors=True)
        mountpoint.rmdir()
