"""Telling somebody who does not look: by webhook, command or e-mail. What cannot be delivered is logged."""

from __future__ import annotations

import json
import shlex
import smtplib
import subprocess
from collections.abc import Mapping
from concurrent.futures import Executor
from email.message import EmailMessage

import httpx
import structlog

from artesian.model.drill import Drill
from artesian.model.remedy import Remedy, RemedyState
from artesian.model.rule import Notification, NotificationKind, RemedyKind

_TIMEOUT_S = 15.0

log = structlog.get_logger()


def is_for_somebody(remedy: Remedy) -> bool:
    """Whether a remedy that has just changed needs somebody, or is there to tell somebody."""
    if remedy.kind is RemedyKind.NOTIFY:
        return remedy.state is RemedyState.ACTING
    return remedy.state in (RemedyState.ASKING, RemedyState.FAILED)


class Notifier:
    """Nobody waits for a delivery."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def tell(self, targets: tuple[Notification, ...], remedy: Remedy, because: str) -> None:
        """Send what has become of a remedy to all targets."""
        document = {
            "remedy": remedy.id,
            "kind": str(remedy.kind),
            "thing": remedy.thing,
            "state": str(remedy.state),
            "rule": remedy.rule,
            "because": because,
            "saw": dict(remedy.saw),
        }
        self._send(targets, document, because)

    def tell_of_drill(self, targets: tuple[Notification, ...], drill: Drill) -> None:
        """Send how a drill has ended to all targets."""
        document = {
            "drill": drill.id,
            "kind": str(drill.kind),
            "thing": drill.thing,
            "state": str(drill.state),
            "because": drill.verdict,
        }
        self._send(targets, document, drill.verdict)

    def _send(self, targets: tuple[Notification, ...], document: Mapping[str, object], because: str) -> None:
        for target in targets:
            self._executor.submit(_deliver, target, document, because)


def _deliver(target: Notification, document: Mapping[str, object], because: str) -> None:
    try:
        _SENDING[target.kind](target.target, document, because)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, subprocess.SubprocessError) as error:
        log.error("nobody could be told", by=str(target.kind), reason=str(error), because=because)


def _post(url: str, document: Mapping[str, object], _because: str) -> None:
    httpx.post(url, json=dict(document), timeout=_TIMEOUT_S).raise_for_status()


def _run(command: str, document: Mapping[str, object], _because: str) -> None:
    subprocess.run(
        shlex.split(command),
        input=json.dumps(dict(document)) + "\n",
        text=True,
        check=True,
        capture_output=True,
        timeout=_TIMEOUT_S,
    )


def _mail(address: str, document: Mapping[str, object], because: str) -> None:
    """By the mail server of this machine."""
    message = EmailMessage()
    message["Subject"] = f"Artesian: {document['kind']} of {document['thing']}: {document['state']}"
    message["From"] = message["To"] = address
    shown = (
        f"remedies show {document['remedy']}" if "remedy" in document else f"drill show {document['drill']}"
    )
    message.set_content(f"{because}\n\nartesian {shown}\n")
    with smtplib.SMTP("localhost", timeout=_TIMEOUT_S) as server:
        server.send_message(message)


_SENDING = {
    NotificationKind.WEBHOOK: _post,
    NotificationKind.COMMAND: _run,
    NotificationKind.EMAIL: _mail,
}
