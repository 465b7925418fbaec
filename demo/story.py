"""The framework on real parts, each claim verified: `python -m demo.story`, or `make demo`.

A bare cluster of three nodes becomes storage after its plan was agreed to; a volume carries a real database;
while rows are committed a fourth node joins, a node dies, a manager dies, the framework itself dies; then the
database's own node dies and another takes the volume over. At the end every row whose commit was
acknowledged must be there. `SUBSTRATE=mesos` tells it on a real Mesos, `ENGINE=ceph` with Ceph.
`DEMO_REPORT=FILE` writes what was checked as JSON; the exit status says whether all of it held.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from demo import second_half
from demo.cluster import NEEDS_APPROVAL, Cluster, CommandFailed
from demo.database import Database, Load, Postgres, Sqlite, find_postgres
from demo.engines import EngineKind, choose_engine
from demo.machines import LocalMachines, Machines, choose_machines, kill
from demo.telling import ROWS, Story

VOLUME = "ledger"


def choose_database(mountpoint: Path, folder: Path) -> Database:
    """PostgreSQL if it is installed and may be run, else SQLite."""
    programs = find_postgres()
    if programs is not None and shutil.which("setpriv"):
        return Postgres(programs, mountpoint, folder / "pg", 54329)
    return Sqlite(mountpoint)


def bare_nodes(story: Story, cluster: Cluster, machines: Machines, engine: EngineKind) -> Path:
    """The plan is shown, and nothing is done before somebody agrees; the disk that must stay as it is."""
    disks = {1: "a raw disk", 2: "two raw disks"}[engine.disks_per_node]
    story.chapter(
        f"Three bare nodes, {machines.describes}, with {disks} each, and a disk with somebody's files"
    )
    try:
        cluster.run("up", *machines.up)
        waited = False
    except CommandFailed as asked:
        waited = asked.code == NEEDS_APPROVAL
    foreign = machines.dev("node-2") / "sdz"
    foreign.write_bytes(b"")
    os.truncate(foreign, 1 << 30)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-L", "precious", str(foreign)], check=True)
    story.check("nothing was done without an agreement", waited and not cluster.status()["pools"])
    cluster.wait_until("the new disk is seen", lambda _: _verdict(cluster, foreign) == "refused", 20.0)
    story.show(cluster.text("plan"))
    story.check("the plan leaves the disk with an ext4 file system alone", not _is_planned(cluster, foreign))
    return foreign


def _verdict(cluster: Cluster, disk: Path) -> str | None:
    return next((one["verdict"] for one in cluster.run("disk", "list") if one["path"] == str(disk)), None)


def _is_planned(cluster: Cluster, disk: Path) -> bool:
    return any(step["arguments"].get("path") == str(disk) for step in cluster.run("plan")["steps"])


def deploy(story: Story, cluster: Cluster, engine: EngineKind, mountpoint: Path) -> None:
    """From the approval to a mounted volume."""
    story.chapter("The plan is approved")
    began = time.monotonic()
    cluster.run("apply", "--approve", cluster.run("plan")["id"])
    status = cluster.status()
    roles = [role for node in status["nodes"] for role in node["roles"]]
    story.check("every node is a server and a client, three have a manager, and there is one pool",
                roles.count("client") == 3 and roles.count("server of default") == 3
                and len(status["managers"]) == 3
                and status["pools"][0]["devices"] == 3 * engine.disks_per_node,
                storage_after_s=round(time.monotonic() - began, 2))  # fmt: skip
    volume = cluster.run("volume", "create", VOLUME, "2GiB", "--node", "node-1", "--mount", str(mountpoint))
    story.check("a volume is mounted on node-1", os.path.ismount(mountpoint) and volume["ready"],
                mounted_after_s=round(time.monotonic() - began, 2))  # fmt: skip


def fourth_node(story: Story, cluster: Cluster, machines: Machines, load: Load) -> None:
    story.chapter("A fourth node is put into the rack")
    machines.add("node-4")
    cluster.wait_until("node-4 is seen", _waits_for_node_4, 20.0)
    story.check("it is not touched before somebody agrees", not _node(cluster, "node-4")["roles"])
    began = time.monotonic()
    cluster.run("apply", "--yes")
    story.check("it serves and consumes by the same rules",
                _node(cluster, "node-4")["roles"] == ["server of default", "client"],
                joined_after_s=round(time.monotonic() - began, 2))  # fmt: skip
    story.survives(load, "the database went on while data moved to it", "join")
    cluster.wait_healthy()


def _waits_for_node_4(status: dict[str, list[dict[str, dict[str, str]]]]) -> bool:
    return any(step["arguments"].get("node") == "node-4" for step in status["held"])


def _node(cluster: Cluster, name: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = next(one for one in cluster.status()["nodes"] if one["name"] == name)
    return found


def node_dies(story: Story, cluster: Cluster, machines: Machines, load: Load) -> None:
    story.chapter("kill -9: everything on node-2 dies while the database commits")
    machines.off("node-2")
    story.survives(load, "the database went on without an error", "node_death")
    machines.on("node-2")
    healed_s = cluster.wait_healthy()
    story.check("node-2 came back, and everything has two good copies again", True,
                healed_after_s=round(healed_s, 2))  # fmt: skip


def manager_dies(story: Story, cluster: Cluster, engine: EngineKind, load: Load) -> None:
    node = next(one["node"] for one in cluster.status()["managers"] if one["leads"])
    story.chapter(f"kill -9: the leading manager, on {node}")
    process_id = cluster.process_id(node, engine.manager)
    began = time.monotonic()
    if process_id is not None:
        os.kill(process_id, signal.SIGKILL)
    story.survives(load, "the database did not notice", "manager_death")
    cluster.wait_until("the manager is back", lambda status: cluster.process_id(node, engine.manager)
                       not in (None, process_id), 30.0)  # fmt: skip
    cluster.wait_healthy()
    story.check("its agent started it again, and all managers are in step", True,
                manager_back_after_s=round(time.monotonic() - began, 2))  # fmt: skip


def framework_dies(story: Story, cluster: Cluster, machines: Machines, load: Load) -> None:
    story.chapter("kill -9: the scheduler and every agent")
    files = [cluster.folder / "scheduler" / "scheduler.pid", *machines.agent_pid_files()]
    killed = sum(kill(file) for file in files)
    story.survives(load, f"{killed} processes are gone, and the database did not notice", "framework_death")
    began = time.monotonic()
    cluster.run("up")
    cluster.wait_healthy()
    story.check("`up` adopted everything as it was", True, adopted_after_s=round(time.monotonic() - began, 2))


def take_over(
    story: Story,
    cluster: Cluster,
    machines: Machines,
    database: Database,
    load: Load,
    mountpoint: Path,
    folder: Path,
) -> None:
    story.chapter("kill -9: node-1, on which the database runs; node-3 takes the volume over")
    load.stop()
    began = time.monotonic()
    database.crash()
    machines.off("node-1")
    other = folder / "taken-over"
    cluster.run("volume", "attach", VOLUME, "--node", "node-3", "--mount", str(other))
    database.move(other)
    database.start()
    story.check("the database runs on node-3", True, takeover_s=round(time.monotonic() - began, 2))
    rows = database.committed()
    missing = load.acknowledged - rows
    story.check(f"every acknowledged row is there: {len(load.acknowledged)} of {len(load.acknowledged)}"
                if not missing else f"{len(missing)} acknowledged rows are LOST",
                not missing, acknowledged_rows=len(load.acknowledged))  # fmt: skip
    machines.on("node-1")
    cluster.wait_healthy()
    story.check("node-1 came back and left the volume where it is now",
                not os.path.ismount(mountpoint) and os.path.ismount(other))  # fmt: skip


def ending(story: Story, cluster: Cluster, foreign: Path, before: str) -> None:
    story.chapter("Down, with a receipt")
    receipt = cluster.down()["receipt"]
    story.check("everything was let go of, and said so", len(receipt) > 10, receipt_lines=len(receipt))
    story.check("the disk with somebody's files is what it was, byte for byte", _digest(foreign) == before)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tell(story: Story, engine: EngineKind, folder: Path) -> None:
    """Everything, in order."""
    cluster = Cluster(folder / "c")
    machines = choose_machines(cluster, folder, engine)
    mountpoint = folder / "mounted"
    database: Database | None = None
    try:
        foreign = bare_nodes(story, cluster, machines, engine)
        before = _digest(foreign)
        deploy(story, cluster, engine, mountpoint)
        database = choose_database(mountpoint, folder)
        story.chapter(f"{database.name} on the volume commits row after row")
        database.start()
        load = Load(database.writer(), 1)
        story.check(f"{ROWS} rows are committed", load.wait_for(ROWS, 60.0))
        load.longest_wait_s = 0.0
        fourth_node(story, cluster, machines, load)
        node_dies(story, cluster, machines, load)
        manager_dies(story, cluster, engine, load)
        framework_dies(story, cluster, machines, load)
        take_over(story, cluster, machines, database, load, mountpoint, folder)
        story.chapter("The second half: the cluster mends itself")
        load = Load(database.writer(), max(load.acknowledged) + 1)
        filler = second_half.fills_up(story, cluster, machines, engine, load, folder)
        second_half.disk_dies(story, cluster, machines, engine, load, filler)
        second_half.everything_is_there(story, database, load, filler)
        database.stop()
        ending(story, cluster, foreign, before)
    finally:
        if database is not None:
            database.stop()
        _clear_away(cluster, machines)


def _clear_away(cluster: Cluster, machines: Machines) -> None:
    """Whatever has happened; what failed before is what is told."""
    try:
        if cluster.folder.exists():
            cluster.down(destroy=isinstance(machines, LocalMachines), discard=True)
    except CommandFailed as error:
        print(f"what is left could not be ended: {error}", file=sys.stderr)
    finally:
        machines.end()


def main() -> int:
    """Tell the story; 0 when everything held."""
    console = Console()
    engine = choose_engine()
    story = Story(console, engine.stall_limit_s)
    folder = Path(tempfile.mkdtemp(prefix="artesian-demo-"))
    folder.chmod(0o755)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        tell(story, engine, folder)
    except (RuntimeError, TimeoutError, OSError, subprocess.CalledProcessError) as error:
        story.check(f"the story came to its end: {error}", False)
    finally:
        report = os.environ.get("DEMO_REPORT")
        if report:
            Path(report).write_text(
                json.dumps({"holds": story.holds, "checks": story.checks}, indent=2) + "\n"
            )
        if story.holds:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            console.print(f"what is left is in {folder}")
    verdict = "[bold green]Nothing was lost.[/]" if story.holds else "[bold red]Not everything held.[/]"
    console.print(f"\n{verdict}")
    return 0 if story.holds else 1


if __name__ == "__main__":
    sys.exit(main())
