"""An agent finds the scheduler that leads by asking all of them in turn."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from artesian.agent.client import SchedulerClient, SchedulerUnreachable


class Scheduler:
    """Answers with `status`, and counts."""

    def __init__(self) -> None:
        self.status, self.asked = 200, 0
        scheduler = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                scheduler.asked += 1
                body = json.dumps({"generation": "g", "assignment": {"by": scheduler.port}}).encode()
                self.send_response(scheduler.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def schedulers() -> Iterator[list[Scheduler]]:
    made = [Scheduler(), Scheduler()]
    yield made
    for one in made:
        one.close()


def who_assigns(client: SchedulerClient) -> int:
    answer = client.assignment("", 0.0)
    assert answer is not None
    return int(answer[1]["by"])


def test_the_one_that_leads_is_found_and_kept(schedulers: list[Scheduler]) -> None:
    first, second = schedulers
    first.status = 503
    client = SchedulerClient(f"{first.url},{second.url}", "t", "n1")
    assert client.is_one_of_several
    assert [who_assigns(client) for _ in range(3)] == [second.port] * 3
    assert (first.asked, second.asked) == (1, 3)
    first.status, second.status = 200, 503
    assert who_assigns(client) == first.port
    client.close()


def test_one_that_is_gone_is_passed_over(schedulers: list[Scheduler]) -> None:
    client = SchedulerClient(f"http://127.0.0.1:9,{schedulers[0].url}", "t", "n1")
    assert who_assigns(client) == schedulers[0].port
    client.close()


def test_when_nobody_leads_each_is_asked_once(schedulers: list[Scheduler]) -> None:
    for one in schedulers:
        one.status = 503
    client = SchedulerClient(",".join(one.url for one in schedulers), "t", "n1")
    with pytest.raises(SchedulerUnreachable, match="503"):
        client.assignment("", 0.0)
    assert [one.asked for one in schedulers] == [1, 1]
    schedulers[0].status = 200
    assert who_assigns(client) == schedulers[0].port
    client.close()


def test_a_single_one_is_asked_as_ever(schedulers: list[Scheduler]) -> None:
    client = SchedulerClient(schedulers[0].url, "t", "n1")
    assert not client.is_one_of_several
    assert who_assigns(client) == schedulers[0].port
    client.close()
