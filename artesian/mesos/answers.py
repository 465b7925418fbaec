"""What the status and the text of a master's answer mean."""

from __future__ import annotations

import json
import re

from artesian.mesos.errors import MasterUnreachable, MesosError, NotAllowed, NotMesos, Refused

# Agent draining, resource reservations as a stack and MARK_AGENT_GONE are all there.
OLDEST_VERSION = (1, 9)
_OK, _ACCEPTED, _UNAUTHORIZED, _REDIRECT = 200, 202, 401, 307
_REFUSALS = (400, 403, 406, 409, 415, 501)
_FIRST_SERVER_ERROR = 500
_LONGEST_TEXT = 500
_AN_AGENT = "agent::Call"  # an agent takes whatever is below /api/v1 for a call that is meant for it


def is_success(status: int) -> bool:
    """Whether a call was taken."""
    return status in (_OK, _ACCEPTED)


def is_redirect(status: int) -> bool:
    """Whether another master leads."""
    return status == _REDIRECT


def problem(status: int, body: bytes, master: str) -> MesosError:
    """What an answer that is neither success nor redirect means. `master` is its URL."""
    said = readable(body)
    if status == _UNAUTHORIZED:
        return NotAllowed(f"the Mesos master at {master} does not accept principal and secret")
    if _AN_AGENT in said:
        return NotMesos(f"a Mesos agent answers at {master}, and no master (masters are mostly at port 5050)")
    if status in _REFUSALS:
        return Refused(said or f"the Mesos master at {master} refuses it without a reason (status {status})")
    if status >= _FIRST_SERVER_ERROR:
        return MasterUnreachable(f"the Mesos master at {master} cannot answer: {said or f'status {status}'}")
    return NotMesos(f"what answers at {master} is no Mesos master (status {status})")


def readable(body: bytes) -> str:
    """The text of an answer, cut to a length that fits into a message."""
    text = " ".join(body.decode(errors="replace").split())
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "…"


def version_of(body: bytes, master: str) -> str:
    """The version in the answer of a master's /version. Raises NotMesos if there is none."""
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    version = said.get("version") if isinstance(said, dict) else None
    if not isinstance(version, str):
        raise NotMesos(f"what answers at {master} is no Mesos master: it does not say its version")
    return version


def check_version(version: str, master: str) -> None:
    """Raises NotMesos if a Mesos of this version is too old for us, or if it is no version."""
    found = re.match(r"(\d+)\.(\d+)", version)
    if found is None:
        raise NotMesos(f"what answers at {master} is no Mesos master: its version is {version!r}")
    if (int(found[1]), int(found[2])) < OLDEST_VERSION:
        oldest = ".".join(map(str, OLDEST_VERSION))
        raise NotMesos(f"the Mesos master at {master} has version {version}; {oldest} or newer is needed")
