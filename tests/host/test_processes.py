"""Who a process is, and whether it lives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from artesian.embedded.local import titles
from artesian.host import processes
from artesian.host.processes import ProcessIdentity

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def test_a_process_is_alive_until_it_ends(sleeper: subprocess.Popen[bytes]) -> None:
    identity = ProcessIdentity.of(sleeper.pid)
    assert identity.is_alive
    sleeper.kill()
    assert processes.wait_until_ended([identity], 5) == []
    assert not identity.is_alive


def test_what_is_left_of_an_ended_process_is_not_alive(sleeper: subprocess.Popen[bytes]) -> None:
    identity = ProcessIdentity.of(sleeper.pid)
    sleeper.kill()
    deadline = time.monotonic() + 5
    while identity.is_alive and time.monotonic() < deadline:
        time.sleep(0.01)
    assert Path(f"/proc/{sleeper.pid}").exists(), "nobody has taken leave of it"
    assert not identity.is_alive


def test_another_process_with_the_same_id_is_another_one(sleeper: subprocess.Popen[bytes]) -> None:
    identity = ProcessIdentity.of(sleeper.pid)
    earlier = replace(identity, start_ticks=identity.start_ticks - 1)
    before_the_last_boot = replace(identity, boot_id="something else")
    for other in (earlier, before_the_last_boot):
        assert not other.is_alive
        assert not processes.send(other, signal.SIGKILL)
        assert processes.stop([other], 0.1) == []
    assert sleeper.poll() is None


def test_there_is_no_identity_of_no_process() -> None:
    with pytest.raises(ProcessLookupError):
        ProcessIdentity.of(2**22 + 1)


def test_a_pid_file_names_one_process(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    path = tmp_path / "x.pid"
    assert processes.read_pid_file(path) is None
    processes.write_pid_file(path, ProcessIdentity.of(sleeper.pid))
    assert processes.running(path) == ProcessIdentity.of(sleeper.pid)
    sleeper.kill()
    sleeper.wait()
    assert processes.running(path) is None
    assert processes.read_pid_file(path) is not None


@pytest.mark.parametrize("content", ["", "17", "{", "{}", '{"process_id": 1}', "[1, 2]", "null"])
def test_a_pid_file_cut_off_by_a_crash_names_nobody(content: str, tmp_path: Path) -> None:
    path = tmp_path / "x.pid"
    path.write_text(content)
    assert processes.running(path) is None


def test_processes_end_when_asked(sleeper: subprocess.Popen[bytes]) -> None:
    identity = ProcessIdentity.of(sleeper.pid)
    assert processes.stop([identity], 5) == []
    assert not identity.is_alive


def test_a_stubborn_process_is_killed() -> None:
    process = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    identity = ProcessIdentity.of(process.pid)
    assert processes.stop([identity], 0.1) == [identity]
    assert not identity.is_alive
    process.stdout.close()


def test_a_stopped_process_ends_too(sleeper: subprocess.Popen[bytes]) -> None:
    os.kill(sleeper.pid, signal.SIGSTOP)
    assert processes.stop([ProcessIdentity.of(sleeper.pid)], 5) == []


def test_a_process_takes_the_name_it_is_given() -> None:
    program = (
        "import sys; from artesian.embedded.local import titles; "
        "titles.set_title('artesian engine sds --config /x', 'artesian-sds-1'); "
        "print(1, flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, titles.ROOM], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.readline()
    shown = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    assert shown.rstrip(b"\0") == b"artesian engine sds --config /x"
    assert Path(f"/proc/{process.pid}/comm").read_text() == "artesian-sds-1\n"
    process.communicate()
    assert process.returncode == 0
