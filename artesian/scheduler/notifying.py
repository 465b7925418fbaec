"""Telling somebody who does not look: by webhook, command or e-mail. What cannot be delivered is logged."""

from __future__ import annotations

import json
import shlex
import smtplib
import subprocess
import threading
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from email.message import EmailMessage

import httpx
import structlog

from artesian.drill.causing import drill_behind
from artesian.model.drill import Drill
from artesian.model.remedy import Remedy, RemedyState
from artesian.model.rule import Notification, NotificationKind, RemedyKind, Severity
from artesian.model.spec import Spec
from artesian.model.state import FrameworkState

_TIMEOUT_S = 15.0
_AGAIN_AFTER_S = (2.0, 20.0, 120.0)  # whoever is to be told may be away for a moment

log = structlog.get_logger()


def is_for_somebody(remedy: Remedy) -> bool:
    """Whether a remedy that has just changed needs somebody, or is there to tell somebody."""
    if remedy.kind is RemedyKind.NOTIFY:
        return remedy.state is RemedyState.ACTING
    return remedy.state in (RemedyState.ASKING, RemedyState.FAILED)


def meant(remedy: Remedy, spec: Spec, state: FrameworkState) -> tuple[Severity, Drill | None]:
    """How bad the rule of a remedy calls it, and the drill that is behind it."""
    rule = next((one for one in spec.rules if one.name == remedy.rule), None)
    return rule.severity if rule is not None else Severity.WARNING, drill_behind(remedy, state)


class Notifier:
    """Nobody waits for a delivery, and no delivery for anybody else: providers that hang do not delay it."""

    def __init__(
        self, executor: Executor | None = None, again_after_s: tuple[float, ...] = _AGAIN_AFTER_S
    ) -> None:
        self._executor = executor or ThreadPoolExecutor(4, thread_name_prefix="notify")
        self._again_after_s = again_after_s
        self._closed = threading.Event()

    def close(self) -> None:
        """Wait for nobody."""
        self._closed.set()
        self._executor.shutdown(wait=False, cancel_futures=True)

    def tell(
        self,
        targets: tuple[Notification, ...],
        remedy: Remedy,
        because: str,
        severity: Severity,
        drill: Drill | None = None,
    ) -> None:
        """Send what has become of a remedy to all targets. `drill`: which one it is there for, if any."""
        if drill is not None:
            because = f"this is a drill ({drill.kind} {drill.id}): {because}"
        document = {
            "remedy": remedy.id,
            "kind": str(remedy.kind),
            "thing": remedy.thing,
            "title": remedy.shown,
            "state": str(remedy.state),
            "rule": remedy.rule,
            "severity": str(severity),
            "is_drill": drill is not None,
            "drill": drill.id if drill is not None else None,
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
            "title": drill.thing,
            "state": str(drill.state),
            "severity": str(Severity.WARNING),  # what failed is what was to be seen, and nothing in earnest
            "is_drill": True,
            "because": drill.verdict,
        }
        self._send(targets, document, drill.verdict)

    def _send(self, targets: tuple[Notification, ...], document: Mapping[str, object], because: str) -> None:
        for target in targets:
            self._executor.submit(self._deliver, target, document, because)

    def _deliver(self, target: Notification, document: Mapping[str, object], because: str) -> None:
        for pause_s in (*self._again_after_s, None):
            try:
                _SENDING[target.kind](target.target, document, because)
                return
            except (
                httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, subprocess.SubprocessError,
            ) as error:  # fmt: skip
                reason, is_last = _reason(error), isinstance(error, subprocess.TimeoutExpired)
            if pause_s is None or is_last:  # a command that hangs may well have told somebody
                break
            log.warning("somebody is told again in a while", by=str(target.kind), reason=reason)
            if self._closed.wait(pause_s):
                break
        log.error("nobody could be told", by=str(target.kind), reason=reason, because=because)


def _reason(error: Exception) -> str:
    """Without the URL or the command: they often carry what lets anybody tell the same people anything."""
    match error:
        case httpx.HTTPStatusError():
            return f"it answers with {error.response.status_code}"
        case subprocess.CalledProcessError():
            return f"the command has ended with {error.returncode}"
        case subprocess.TimeoutExpired():
            return f"the command takes longer than {_TIMEOUT_S:g} s"
    return str(error)


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
    prefix = "Artesian, a drill" if document["is_drill"] else f"Artesian, {document['severity']}"
    message["Subject"] = f"{prefix}: {document['kind']} of {document['title']}: {document['state']}"
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
