"""The engine on real parts, each claim verified: `python -m demo.story`, or `make demo`.

A three-node engine is started; a volume is made, mounted, and a real database put on it; while the database
commits rows, a node is killed, a manager is killed, the client is killed, and the volume is taken over by
another node. At the end every row whose commit was acknowledged must be there. `DEMO_REPORT=FILE` writes what
was checked as JSON; the exit status says whether all of it held.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from demo.database import Database, Load, Postgres, Sqlite, find_postgres
from demo.engine import Engine

VOLUME = "ledger"
STALL_LIMIT_S = 5.0
ROWS = 150


class Story:
    """Tells what happens, and remembers what was checked."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.checks: list[dict[str, Any]] = []
        self.figures: dict[str, float] = {}

    def chapter(self, text: str) -> None:
        self._console.print(f"\n[bold cyan]{text}[/]")

    def check(self, claim: str, holds: bool, **figures: float) -> None:
        """One claim, and whether it holds."""
        self.checks.append({"claim": claim, "holds": holds, **figures})
        self.figures.update(figures)
        shown = "".join(f"  {name.replace('_', ' ')}: {value:g}" for name, value in figures.items())
        self._console.print(
            f"  [{'green' if holds else 'bold red'}]{'✓' if holds else '✗'}[/] {claim}[dim]{shown}[/]"
        )

    @property
    def holds(self) -> bool:
        return all(check["holds"] for check in self.checks)


def choose_database(mountpoint: Path, folder: Path) -> Database:
    """PostgreSQL if it is installed and may be run, else SQLite."""
    programs = find_postgres()
    if programs is not None and shutil.which("setpriv"):
        return Postgres(programs, mountpoint, folder / "pg", 54329)
    return Sqlite(mountpoint)


def survives(story: Story, load: Load, claim: str, name: str) -> None:
    """The database goes on committing, and no commit waited longer than the limit."""
    went_on = load.wait_for(ROWS, 90.0)
    stall_s = round(load.longest_wait_s, 3)
    load.longest_wait_s = 0.0
    problem = f" ({load.error})" if load.error else ""
    story.check(
        f"{claim}{problem}", went_on and stall_s <= STALL_LIMIT_S, **{f"{name}_longest_commit_s": stall_s}
    )


def leader(engine: Engine) -> int:
    """The node whose manager leads."""
    return next(int(manager["node"]) for manager in engine.status()["managers"] if manager["leader"])


def begin(story: Story, engine: Engine, mountpoint: Path) -> None:
    story.chapter("Three nodes with two raw disks each become one pool of storage")
    began = time.monotonic()
    engine.up(nodes=3, disks_per_node=2, disk_size="2GiB")
    story.check("three managers, three servers and three clients run, as processes of their own",
                len(engine.process_ids("mdm") + engine.process_ids("sds") + engine.process_ids("sdc")) == 9,
                start_s=round(time.monotonic() - began, 2))  # fmt: skip
    engine.run("volume", "create", VOLUME, "3GiB")
    engine.run("map", VOLUME, "1")
    mountpoint.mkdir()
    engine.run("mount", VOLUME, str(mountpoint), "--node", "1")
    story.check("a volume is mounted on node 1", os.path.ismount(mountpoint),
                mounted_after_s=round(time.monotonic() - began, 2))  # fmt: skip


def node_dies(story: Story, engine: Engine, load: Load) -> None:
    story.chapter("kill -9: everything on node 2 dies while the database commits")
    engine.run("node", "kill", "2")
    survives(
        story,
        load,
        "the database went on without an error, on one copy where node 2 had the other",
        "node_kill",
    )
    story.check("the pool knows that it is degraded", engine.status()["pools"][0]["degraded_slices"] > 0)
    engine.run("node", "start", "2")
    healed_s = engine.wait_healthy()
    story.check("node 2 came back and got only what it had missed", True, healed_after_s=round(healed_s, 2))


def manager_dies(story: Story, engine: Engine, load: Load) -> None:
    node = leader(engine)
    story.chapter(f"kill -9: the leading manager, on node {node}")
    began = time.monotonic()
    engine.kill("mdm", node)
    while True:
        try:
            if leader(engine) != node:
                break
        except (StopIteration, RuntimeError):
            time.sleep(0.05)
        if time.monotonic() - began > 30:
            break
    election_s = round(time.monotonic() - began, 2)
    survives(story, load, "the database did not notice", "manager_kill")
    story.check("another manager leads", leader(engine) != node, new_leader_seen_after_s=election_s)
    engine.run("node", "start", str(node))


def client_dies(story: Story, engine: Engine, load: Load) -> None:
    story.chapter("kill -9: the client under the database's file system")
    engine.kill("sdc", 1)
    engine.run("node", "start", "1")
    survives(story, load, "the mount waited for the new client, and the database went on", "client_kill")


def take_over(
    story: Story, engine: Engine, database: Database, load: Load, mountpoint: Path, folder: Path
) -> None:
    story.chapter("Node 1 is given up; node 3 takes the volume over")
    load.stop()
    began = time.monotonic()
    database.crash()
    engine.run("unmount", VOLUME, "--node", "1", "--force")
    engine.run("unmap", VOLUME, "1")
    engine.run("map", VOLUME, "3")
    other = folder / "taken-over"
    other.mkdir()
    engine.run("mount", VOLUME, str(other), "--node", "3")
    database.move(other)
    database.start()
    story.check("the database runs on node 3", True, takeover_s=round(time.monotonic() - began, 2))
    rows = database.committed()
    missing = load.acknowledged - rows
    story.check(f"every acknowledged row is there: {len(load.acknowledged)} of {len(load.acknowledged)}"
                if not missing else f"{len(missing)} acknowledged rows are LOST",
                not missing, acknowledged_rows=len(load.acknowledged))  # fmt: skip
    database.stop()
    engine.run("unmount", VOLUME, "--node", "3")


def tell(story: Story, folder: Path) -> None:
    engine = Engine(folder / "engine")
    mountpoint = folder / "mounted"
    database: Database | None = None
    try:
        begin(story, engine, mountpoint)
        database = choose_database(mountpoint, folder)
        story.chapter(f"{database.name} on the volume commits row after row")
        database.start()
        load = Load(database.writer(), 1)
        story.check(f"{ROWS} rows are committed", load.wait_for(ROWS, 60.0))
        load.longest_wait_s = 0.0
        node_dies(story, engine, load)
        manager_dies(story, engine, load)
        client_dies(story, engine, load)
        take_over(story, engine, database, load, mountpoint, folder)
    finally:
        if database is not None:
            database.stop()
        if engine.folder.exists():
            engine.down(destroy=True)


def main() -> int:
    """Tell the story; 0 when everything held."""
    console = Console()
    story = Story(console)
    folder = Path(tempfile.mkdtemp(prefix="artesian-demo-"))
    folder.chmod(0o755)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        tell(story, folder)
    except (RuntimeError, TimeoutError, OSError) as error:
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
