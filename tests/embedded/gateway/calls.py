"""Calling the gateway's application without a network."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass
from typing import Any

from artesian.embedded.gateway.application import Gateway

from .engine import PASSWORD


@dataclass(frozen=True)
class Answer:
    status: int
    content_type: str
    content: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.content)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


async def call(
    gateway: Gateway,
    method: str,
    path: bytes | str,
    body: bytes = b"",
    *,
    authorization: str = "",
    content_type: str = "application/json",
    unfinished: str | None = None,
) -> Answer:
    """One request, as uvicorn hands it over. `unfinished`: what comes instead of the rest of the body."""
    raw_path = path.encode() if isinstance(path, str) else path
    headers = [(b"content-type", content_type.encode()), (b"authorization", authorization.encode())]
    scope = {
        "type": "http",
        "method": method,
        "path": raw_path.decode("latin-1"),
        "raw_path": raw_path,
        "query_string": b"",
        "headers": headers,
    }
    sent: list[Any] = []
    messages: list[Any] = [{"type": "http.request", "body": body, "more_body": unfinished is not None}]
    if unfinished == "http.disconnect":
        messages.append({"type": unfinished})

    async def receive() -> Any:
        return messages.pop(0) if messages else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    await gateway(scope, receive, send)
    start, *rest = sent
    found = {name.decode(): value.decode() for name, value in start["headers"]}
    content = b"".join(message.get("body", b"") for message in rest)
    return Answer(start["status"], found.get("content-type", ""), content)


async def logged_in(gateway: Gateway, user: str = "admin", password: str = PASSWORD) -> str:
    """The Authorization header of a new session."""
    answer = await call(gateway, "GET", "/api/login", authorization=basic(user, password))
    assert answer.status == 200
    return basic("", answer.body)
