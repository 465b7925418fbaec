"""What agents ask and tell."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.responses import JSONResponse, Response

from artesian.api.access import TheScheduler, agent_of, require_agent
from artesian.model.errors import Conflict, NotThere
from artesian.model.report import AgentReport

routes = APIRouter(prefix="/v1/agents/{node}", tags=["agents"], dependencies=[Depends(require_agent)])
_reports = TypeAdapter(AgentReport)


class _ReportRoute(APIRoute):
    """Described like the others, but read by hand: every agent reports every few seconds, and FastAPI's own
    way of reading a request takes longer than everything else that is done about a report."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        async def handle(request: Request) -> Response:
            node, scheduler = await agent_of(request)
            try:
                report = _reports.validate_json(await request.body())
            except ValidationError as error:
                problems = [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
                raise RequestValidationError(problems) from None
            await take_report(node, report, scheduler)
            return Response(status_code=204)

        return handle


async def take_report(node: str, report: AgentReport, scheduler: TheScheduler) -> None:
    """How things are on a node."""
    if report.node != node:
        raise Conflict(f"this is a report of node {report.node}, not of {node}")
    scheduler.hear(report)


routes.add_api_route(
    "/report", take_report, methods=["PUT"], status_code=204, route_class_override=_ReportRoute
)


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
