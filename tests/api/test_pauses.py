"""Pauses over the API, and everywhere they are shown."""

from __future__ import annotations

from artesian.cli.cluster.tables import status_tables
from tests.api.test_api import Access, api, fresh, scheduler

__all__ = ["api", "fresh", "scheduler"]  # fixtures


def test_a_part_is_paused_shown_and_goes_on(api: Access) -> None:
    body = {"scopes": ["node:n1"], "for_s": 3600, "because": "a new fan", "who": "ann"}
    (shown,) = api.ask("POST", "/v1/pauses", body).json()
    assert shown["scope"] == "node:n1" and shown["until_s"] == shown["since_s"] + 3600
    assert "node n1 is paused until" in shown["sentence"] and "by ann: a new fan" in shown["sentence"]
    assert api.ask("GET", "/v1/pauses").json() == [shown]
    status = api.ask("GET", "/v1/status").json()
    assert status["pauses"] == [shown] and not status["paused"]
    assert any("a new fan" in str(part) for part in status_tables(status).renderables)  # type: ignore[attr-defined]
    why = api.ask("GET", "/v1/why", thing="n1").json()["reasons"]
    assert {"from": "pause", "because": shown["sentence"]} in why
    assert not any(one["from"] == "pause" for one in api.ask("GET", "/v1/why", thing="n2").json()["reasons"])
    api.scheduler.verdict = api.scheduler.one_pass()
    held = api.ask("GET", "/v1/status").json()["held"]
    assert any(one["because"] == shown["sentence"] for one in held)
    assert api.ask("POST", "/v1/pauses/end", {"scopes": ["node:n1"], "who": "bob"}).json() == []
    told = [(one["kind"], one["subject"], one["because"]) for one in api.ask("GET", "/v1/events").json()]
    assert ("paused", "node:n1", "ann has asked for it: a new fan") in told
    assert ("resumed", "node:n1", "bob has asked for it") in told


def test_metrics_say_what_is_paused(api: Access) -> None:
    assert 'artesian_paused{scope="everything"} 0.0' in api.ask("GET", "/metrics", token="").text
    api.ask("POST", "/v1/pauses", {"scopes": ["pool:default"]})
    text = api.ask("GET", "/metrics", token="").text
    assert 'artesian_paused{scope="pool:default/default"} 1.0' in text
    assert 'artesian_paused{scope="everything"} 0.0' in text
    api.ask("POST", "/v1/pauses", {})
    assert 'artesian_paused{scope="everything"} 1.0' in api.ask("GET", "/metrics", token="").text


def test_everything_can_be_paused_before_the_first_pass(fresh: Access) -> None:
    assert fresh.ask("POST", "/v1/pauses", {}).json()[0]["scope"] == "everything"
    assert fresh.scheduler.memory.state.paused


def test_the_old_switch_and_the_new_one_are_the_same(api: Access) -> None:
    api.ask("PUT", "/v1/paused", {"paused": True})
    assert api.ask("GET", "/v1/pauses").json()[0]["scope"] == "everything"
    assert api.ask("POST", "/v1/pauses/end", {}).json() == []
    assert not api.ask("GET", "/v1/status").json()["paused"]


def test_what_there_is_not_is_refused(api: Access) -> None:
    said = api.problem(404, "not-there", "POST", "/v1/pauses", {"scopes": ["node:n9"]})
    assert "there is no node n9; there are n1, n2" in said
    assert "not paused" in api.problem(404, "not-there", "POST", "/v1/pauses/end", {"scopes": ["node:n1"]})
    api.problem(400, "malformed", "POST", "/v1/pauses", {"scopes": "node:n1"})
    assert api.ask("GET", "/v1/events").json() == []
