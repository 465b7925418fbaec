"""What outlives a container of Mesos leaves it: its cgroups, and its mounts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from artesian.host.outside import ENVIRONMENT, doors, leave_cgroups, wrapped

ONE = """\
30 20 0:26 / /sys/fs/cgroup/freezer rw,nosuid - cgroup cgroup rw,freezer
31 20 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct
32 20 0:28 / /sys/fs/cgroup/systemd rw,nosuid - cgroup cgroup rw,xattr,name=systemd
33 20 0:29 / /proc rw - proc proc rw
"""
TWO = "40 20 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n"
FREEZER = Path("/sys/fs/cgroup/freezer")
needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="mounts of its own need root"
)


def test_every_hierarchy_in_which_mesos_holds_us_is_left() -> None:
    cgroups = "9:name=systemd:/mesos_executors.slice\n6:freezer:/mesos/1-2\n3:cpu,cpuacct:/mesos/1-2\n"
    assert [str(one.parent) for one in doors(cgroups, ONE)] == [
        "/sys/fs/cgroup/systemd",
        "/sys/fs/cgroup/freezer",
        "/sys/fs/cgroup/cpu,cpuacct",
    ]


def test_what_mesos_does_not_hold_is_left_as_it_is() -> None:
    assert doors("6:freezer:/\n0::/user.slice/x\n", ONE + TWO) == ()
    assert doors("6:freezer:/mesos/1-2\n", TWO) == ()  # where it is mounted is not known


def test_of_version_two_there_is_one() -> None:
    assert doors("0::/mesos/1-2/leaf\n", TWO) == (Path("/sys/fs/cgroup/artesian/cgroup.procs"),)


def test_where_there_is_no_outside_a_command_is_as_it_is() -> None:
    assert wrapped(["tool", "a b"], {}) == ["tool", "a b"]


def test_a_command_tells_all_doors_who_it_is(tmp_path: Path) -> None:
    door, other = tmp_path / "one", tmp_path / "the other"
    environment = os.environ | {ENVIRONMENT: f"{door}:{other}"}
    command = wrapped(["sh", "-c", 'echo "$$" "$1"', "sh", "a  b"], environment)
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    process, _, rest = said.strip().partition(" ")
    assert rest == "a  b"
    assert door.read_text().strip() == other.read_text().strip() == process


@needs_root
def test_a_process_is_outside_before_it_does_anything() -> None:
    container = FREEZER / f"mesos-{os.getpid()}"
    try:
        container.mkdir()
    except OSError as error:
        pytest.skip(f"there are no cgroups to make here: {error.strerror}")
    try:
        code = (
            "import os, subprocess\nfrom artesian.host.outside import leave_cgroups, wrapped\n"
            "assert leave_cgroups(os.environ) == ''\n"
            "print(open('/proc/self/cgroup').read())\nprint('---', flush=True)\n"
            "subprocess.run(wrapped(['cat', '/proc/self/cgroup']), check=True)\n"
        )
        enter = f'echo $$ > {container}/cgroup.procs && exec "$@"'
        done = subprocess.run(
            ["sh", "-c", enter, "sh", sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        inside, _, outside = done.stdout.partition("---")
        assert f":freezer:/{container.name}\n" in inside
        assert ":freezer:/\n" in outside
    finally:
        container.rmdir()


def test_outside_of_mesos_nothing_is_left() -> None:
    environment: dict[str, str] = {}
    assert leave_cgroups(environment) == ""
    assert environment == {}


@needs_root
@pytest.mark.parametrize("name", ["mesos-agent", "another"])
def test_mounts_are_made_where_the_agent_of_mesos_has_its_own(tmp_path: Path, name: str) -> None:
    agent = tmp_path / name
    shutil.copy(shutil.which("sh") or "/bin/sh", agent)
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys\nfrom artesian.host.outside import join_mounts\nassert join_mounts() == ''\n"
        "print(os.readlink('/proc/self/ns/mnt'), os.getcwd(), *sys.argv[1:])\n"
    )
    run = f"unshare --mount --propagation private {sys.executable} program.py --mesos 'a b'; exit $?"
    done = subprocess.run(
        [agent, "-c", run], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    namespace, rest = done.stdout.strip().split(" ", 1)
    assert rest == f"{tmp_path} --mesos a b"
    assert (namespace == os.readlink("/proc/self/ns/mnt")) is (name == "mesos-agent")
