"""Somebody is told: once, with the reason, and without anybody waiting."""

from __future__ import annotations

import json
import smtplib
import threading
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import structlog

from artesian.model.drill import Drill, DrillKind, DrillState
from artesian.model.remedy import Remedy, RemedyState
from artesian.model.rule import Notification, NotificationKind, RemedyKind, Severity
from artesian.scheduler.notifying import Notifier, is_for_somebody

REMEDY = Remedy(
    "4f",
    "expand",
    RemedyKind.EXPAND_POOL,
    "d/p",
    "pool d/p is full",
    RemedyState.ASKING,
    1.0,
    1.0,
    {"used_share": 0.9},
)


def tell(*targets: Notification) -> None:
    with ThreadPoolExecutor(1) as executor:
        Notifier(executor, (0.0,)).tell(targets, REMEDY, "pool d/p is full", Severity.CRITICAL)


def test_a_command_gets_everything_on_its_standard_input(tmp_path: Path) -> None:
    tell(Notification(NotificationKind.COMMAND, f"tee {tmp_path / 'told'}"))
    told = json.loads((tmp_path / "told").read_text())
    assert (told["remedy"], told["state"], told["saw"]) == ("4f", "asking", {"used_share": 0.9})
    assert (told["severity"], told["is_drill"], told["drill"]) == ("critical", False, None)


def test_a_webhook_gets_it_as_json() -> None:
    got: list[bytes] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    tell(Notification(NotificationKind.WEBHOOK, f"http://127.0.0.1:{server.server_port}/"))
    thread.join(5.0)
    server.server_close()
    assert json.loads(got[0])["because"] == "pool d/p is full"


@pytest.mark.parametrize(
    "target",
    [
        Notification(NotificationKind.COMMAND, "false"),
        Notification(NotificationKind.COMMAND, "/no/such/command"),
        Notification(NotificationKind.WEBHOOK, "http://127.0.0.1:9/"),
    ],
)
def test_what_cannot_be_delivered_stops_nothing(target: Notification, tmp_path: Path) -> None:
    tell(target, Notification(NotificationKind.COMMAND, f"tee {tmp_path / 'told'}"))
    assert (tmp_path / "told").exists()


def test_whoever_is_away_for_a_moment_is_told_all_the_same(tmp_path: Path) -> None:
    there = tmp_path / "there"
    tell(
        Notification(
            NotificationKind.COMMAND,
            f"sh -c 'test -e {there} || {{ touch {there}; exit 1; }}; cat > {there}'",
        )
    )
    assert json.loads(there.read_text())["remedy"] == "4f"


def test_the_log_does_not_show_what_lets_others_tell_the_same_people(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as logged:
        tell(Notification(NotificationKind.COMMAND, "sh -c 'exit 3' s3cret"))
    assert "s3cret" not in str(logged) and "ended with 3" in str(logged)


@pytest.mark.parametrize(
    ("kind", "state", "told"),
    [
        (RemedyKind.EXPAND_POOL, RemedyState.ASKING, True),
        (RemedyKind.EXPAND_POOL, RemedyState.FAILED, True),
        (RemedyKind.EXPAND_POOL, RemedyState.HELPED, False),
        (RemedyKind.NOTIFY, RemedyState.ACTING, True),
        (RemedyKind.NOTIFY, RemedyState.HELPED, False),
    ],
)
def test_only_what_needs_somebody_is_told(kind: RemedyKind, state: RemedyState, told: bool) -> None:
    remedy = Remedy("1", "r", kind, "d/p", "because", state, 1.0, 1.0)
    assert is_for_somebody(remedy) is told


def test_a_drill_is_told_of_in_the_same_ways(tmp_path: Path) -> None:
    drill = Drill(
        "d1", DrillKind.KILL_SERVER, DrillState.FAILED, 1.0, 2.0, "node n2", verdict="nothing healed"
    )
    target = Notification(NotificationKind.COMMAND, f"tee {tmp_path / 'told'}")
    with ThreadPoolExecutor(1) as executor:
        Notifier(executor).tell_of_drill((target,), drill)
    told = json.loads((tmp_path / "told").read_text())
    assert (told["drill"], told["kind"], told["state"]) == ("d1", "kill-server", "failed")
    assert told["because"] == "nothing healed"
    assert (told["severity"], told["is_drill"]) == ("warning", True)


def test_a_remedy_that_a_drill_has_caused_says_so(tmp_path: Path) -> None:
    drill = Drill("d1", DrillKind.FILL_POOL, DrillState.WATCHING, 1.0, 2.0, "pool d/p")
    target = Notification(NotificationKind.COMMAND, f"tee {tmp_path / 'told'}")
    with ThreadPoolExecutor(1) as executor:
        Notifier(executor).tell((target,), REMEDY, "pool d/p is full", Severity.CRITICAL, drill)
    told = json.loads((tmp_path / "told").read_text())
    assert (told["severity"], told["is_drill"], told["drill"]) == ("critical", True, "d1")
    assert told["because"] == "this is a drill (fill-pool d1): pool d/p is full"


@pytest.mark.parametrize(("drill", "subject"), [(None, "Artesian, critical"), ("d1", "Artesian, a drill")])
def test_a_mail_says_it_in_its_subject(
    drill: str | None, subject: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[EmailMessage] = []

    class Post:
        def __init__(self, *_: object, **__: object) -> None:
            pass

        def __enter__(self) -> Post:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def send_message(self, message: EmailMessage) -> None:
            sent.append(message)

    monkeypatch.setattr(smtplib, "SMTP", Post)
    behind = Drill(drill, DrillKind.FILL_POOL, DrillState.WATCHING, 1.0, 2.0, "pool d/p") if drill else None
    target = Notification(NotificationKind.EMAIL, "ops@example.org")
    with ThreadPoolExecutor(1) as executor:
        Notifier(executor).tell((target,), REMEDY, "it is full", Severity.CRITICAL, behind)
    assert sent[0]["Subject"] == f"{subject}: expand-pool of d/p: asking"
