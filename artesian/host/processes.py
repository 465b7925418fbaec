"""Processes that were started earlier, by somebody else: who they are, whether they live, ending them.

A process id alone means nothing: it is given again. Together with the start time, which the kernel knows, and
the boot id it names one process for ever.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """`start_ticks` are the kernel's clock ticks between boot and the start of the process."""

    process_id: int
    start_ticks: int
    boot_id: str

    @classmethod
    def of(cls, process_id: int) -> ProcessIdentity:
        """Raises ProcessLookupError if there is no such process."""
        return cls(process_id, _start_ticks(process_id), boot_id())

    @property
    def age_s(self) -> float:
        """How long ago it was started; only of a process of this boot."""
        up_s = float(Path("/proc/uptime").read_text().split()[0])
        return up_s - self.start_ticks / os.sysconf("SC_CLK_TCK")

    @property
    def is_alive(self) -> bool:
        try:
            return self.boot_id == boot_id() and _start_ticks(self.process_id) == self.start_ticks
        except ProcessLookupError:
            return False


@functools.cache
def boot_id() -> str:
    """Names this run of the kernel, which no process outlives."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _start_ticks(process_id: int) -> int:
    """Raises ProcessLookupError if there is no such process, or only what is left of it."""
    try:
        text = Path(f"/proc/{process_id}/stat").read_bytes()
    except OSError:
        raise ProcessLookupError(process_id) from None
    fields = text[text.rindex(b")") + 2 :].split()
    if fields[0] in (b"Z", b"X"):
        raise ProcessLookupError(process_id)
    return int(fields[19])


def write_pid_file(path: Path, identity: ProcessIdentity) -> None:
    """Replace it as a whole. A process may write its own while the one that started it does the same."""
    temporary = path.with_name(f"{path.name}.{identity.process_id}-{os.getpid()}.new")
    temporary.write_text(json.dumps(asdict(identity)) + "\n")
    temporary.replace(path)


def read_pid_file(path: Path) -> ProcessIdentity | None:
    """The process that the file names, alive or not; None if it names none."""
    try:
        return ProcessIdentity(**json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):  # cut off by a crash of the machine: what it named is gone as well
        return None


def running(path: Path) -> ProcessIdentity | None:
    """The living process that a pid file names, or None."""
    identity = read_pid_file(path)
    return identity if identity is not None and identity.is_alive else None


def send(identity: ProcessIdentity, number: signal.Signals) -> bool:
    """Send a signal; False if the process has ended. Raises PermissionError if it is not ours."""
    try:
        descriptor = os.pidfd_open(identity.process_id)  # names the process, whatever happens to its id
    except ProcessLookupError:
        return False
    try:
        if not identity.is_alive:
            return False
        signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        raise PermissionError(f"process {identity.process_id} belongs to another user") from None
    finally:
        os.close(descriptor)
    return True


def stop(identities: Collection[ProcessIdentity], timeout_s: float) -> list[ProcessIdentity]:
    """End processes: SIGTERM to all, and SIGKILL to those that have not ended in time; gives the latter.

    A process that was stopped with SIGSTOP is let go on, or it could not end. Raises TimeoutError if some
    do not even end then.
    """
    for identity in identities:
        if send(identity, signal.SIGTERM):
            send(identity, signal.SIGCONT)
    stubborn = wait_until_ended(identities, timeout_s)
    for identity in stubborn:
        send(identity, signal.SIGKILL)
    immortal = wait_until_ended(stubborn, 10.0)
    if immortal:
        named = ", ".join(str(identity.process_id) for identity in immortal)
        raise TimeoutError(f"the processes {named} do not end; they wait for something in the kernel")
    return stubborn


def wait_until_ended(identities: Collection[ProcessIdentity], timeout_s: float) -> list[ProcessIdentity]:
    """Those that are still alive after the time."""
    deadline = time.monotonic() + timeout_s
    alive = [identity for identity in identities if identity.is_alive]
    while alive and time.monotonic() < deadline:
        time.sleep(_POLL_S)
        reap(alive)
        alive = [identity for identity in alive if identity.is_alive]
    return alive


def reap(identities: Sequence[ProcessIdentity]) -> None:
    """Take leave of those that are our own children."""
    for identity in identities:
        try:
            os.waitpid(identity.process_id, os.WNOHANG)
        except ChildProcessError:
            pass
