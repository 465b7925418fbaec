"""What agents ask and tell."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse, Response

from artesian.api.access import TheScheduler, require_agent
from artesian.model.errors import Conflict, NotThere
from artesian.model.report import AgentReport

routes = APIRouter(prefix="/v1/agents/{node}", tags=["agents"], dependencies=[Depends(require_agent)])


@routes.put("/report", status_code=204)
async def take_report(node: str, report: AgentReport, scheduler: TheScheduler) -> None:
    """How things are on a node."""
    if report.node != node:
        raise Conflict(f"this is a report of node {report.node}, not of {node}")
    scheduler.hear(report)


@routes.get("/assignment", response_model=None)
async def assignment(
    node: str,
    request: Request,
    scheduler: TheScheduler,
    have: str = "",
    wait_s: float = Query(0.0, ge=0.0, le=60.0),
) -> Response:
    """What a node has to do; waits up to `wait_s` while that is what the agent has. Nothing new: 204."""
    deadline = time.monotonic() + wait_s
    changed: asyncio.Event = request.app.state.changed.subscribe()
    try:
        while True:
            changed.clear()
            found = scheduler.assignment(node)
            if found is None:
                raise NotThere(f"there is no node {node}")
            generation, assigned = found
            if generation != have:
                body: dict[str, Any] = {"generation": generation, "assignment": asdict(assigned)}
                return JSONResponse(body)
            left_s = deadline - time.monotonic()
            if left_s <= 0 or request.app.state.changed.closed:
                return Response(status_code=204)
            try:
                await asyncio.wait_for(changed.wait(), left_s)
            except TimeoutError:
                pass
    finally:
        request.app.state.changed.unsubscribe(changed)
