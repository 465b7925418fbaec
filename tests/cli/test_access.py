"""What is asked of the API is what was meant, or a message."""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from artesian.cli.cluster.access import Api, part
from artesian.embedded.local.errors import NotRunning
from artesian.model.errors import NotPossible, NotThere


@pytest.fixture
def api(tmp_path: Path) -> Api:
    """Nobody listens: what is sent at all ends in another error."""
    (tmp_path / "scheduler").mkdir()
    access = {"url": "http://127.0.0.1:9", "token": "t"}
    (tmp_path / "scheduler" / "api.json").write_text(json.dumps(access))
    return Api(tmp_path)


@pytest.mark.parametrize("name", ["../nodes/n1", "..", "a?b", "a#b"])
def test_a_name_does_not_lead_elsewhere(api: Api, name: str) -> None:
    with pytest.raises(NotThere, match="not what was meant"):
        api.delete(f"/volumes/{name}")


@pytest.mark.parametrize("name", ["", ".", "data/snapshots/monday", "data%2Fsnapshots%2Fmonday", "a?b"])
def test_a_name_is_one_part_of_a_path(name: str) -> None:
    with pytest.raises(NotThere, match="no name"):
        part(name)
    assert part("node-1.rack_2") == "node-1.rack_2"


@pytest.mark.parametrize("what", ["\udcff", math.nan])
def test_what_cannot_be_sent_is_said(api: Api, what: object) -> None:
    with pytest.raises(NotPossible, match="cannot be asked for"):
        api.post("/drills", {"node": what})


def test_a_name_that_no_address_can_hold_is_said(api: Api) -> None:
    with pytest.raises(NotPossible, match="cannot be asked for"):
        api.get("/drills/a\nb")


class Scheduler:
    """One that answers every question alike."""

    def __init__(self, status: int, body: object) -> None:
        self.asked: list[str] = []
        scheduler = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                scheduler.asked.append(f"{self.command} {self.path}")
                if status == 0:
                    self.close_connection = True
                    return
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = answer

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


NOT_LEADING = {"title": "not-leading", "detail": "this scheduler does not lead: scheduler 2 leads"}


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Api]]:
    """The API of a cluster with these schedulers, the first of which is asked first."""
    made: list[Scheduler] = []

    def api(*schedulers: Scheduler | str) -> Api:
        for number, one in enumerate(schedulers, 1):
            home = tmp_path / (f"scheduler-{number}" if number > 1 else "scheduler")
            home.mkdir()
            url = one if isinstance(one, str) else one.url
            (home / "api.json").write_text(json.dumps({"url": url, "token": "t"}))
            os.utime(home / "api.json", (1000 - number, 1000 - number))
            made.extend([one] if isinstance(one, Scheduler) else [])
        return Api(tmp_path)

    yield api
    for one in made:
        one.close()


def test_the_scheduler_that_leads_is_asked(make: Callable[..., Api]) -> None:
    waiting, leading = Scheduler(503, NOT_LEADING), Scheduler(200, {"a": 1})
    api = make("http://127.0.0.1:9", waiting, leading)
    assert api.post("/passes") == {"a": 1}
    assert waiting.asked == leading.asked == ["POST /v1/passes"]


def test_what_a_scheduler_may_have_heard_is_not_asked_of_another(make: Callable[..., Api]) -> None:
    silent, other = Scheduler(0, None), Scheduler(200, {"a": 1})
    with pytest.raises(NotRunning, match="does not answer"):
        make(silent, other).post("/volumes")
    assert (silent.asked, other.asked) == (["POST /v1/volumes"], [])


def test_what_a_leader_refuses_is_refused(make: Callable[..., Api]) -> None:
    leading, other = Scheduler(404, {"title": "not-there", "detail": "no"}), Scheduler(200, {})
    with pytest.raises(NotThere, match="no"):
        make(leading, other).get("/volumes/x")
    assert other.asked == []


def test_when_all_wait_it_is_said(make: Callable[..., Api]) -> None:
    with pytest.raises(NotRunning, match="does not lead"):
        make(Scheduler(503, NOT_LEADING), Scheduler(503, NOT_LEADING)).get("/status")
