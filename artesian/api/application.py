"""The application that uvicorn serves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from prometheus_client import CollectorRegistry, generate_latest
from starlette.responses import JSONResponse, Response

from artesian.api import (
    agent_routes,
    agent_volume_routes,
    drill_routes,
    pause_routes,
    remedy_routes,
    restart_routes,
    routes,
    snapshot_routes,
    volume_routes,
)
from artesian.api.agent_file import AgentFiles
from artesian.api.changed import Changed
from artesian.api.metrics import SchedulerCollector
from artesian.api.problems import explain_problems
from artesian.scheduler.loop import Scheduler

_LONGEST_PASS_S = 60.0
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def make_application(scheduler: Scheduler, agent_files: AgentFiles | None = None) -> FastAPI:
    """Everything below /v1, /metrics and /healthz."""
    agent_files = agent_files or AgentFiles(scheduler.folder)
    changed = Changed()

    @asynccontextmanager
    async def lifespan(_application: FastAPI) -> AsyncIterator[None]:
        changed.bind()
        yield
        changed.close()

    application = FastAPI(title="Artesian", version="1", lifespan=lifespan, docs_url=None, redoc_url=None)
    application.state.scheduler = scheduler
    application.state.changed = changed
    scheduler.memory.listen(changed.tell)
    explain_problems(application)
    application.include_router(agent_routes.routes)
    application.include_router(agent_volume_routes.routes)
    application.include_router(routes.routes)
    application.include_router(volume_routes.routes)
    application.include_router(snapshot_routes.routes)
    application.include_router(remedy_routes.routes)
    application.include_router(drill_routes.routes)
    application.include_router(pause_routes.routes)
    application.include_router(restart_routes.routes)
    registry = CollectorRegistry()
    registry.register(SchedulerCollector(scheduler))

    @application.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        return Response(generate_latest(registry), media_type=_METRICS_TYPE)

    @application.get("/v1/agent", tags=["agents"], response_class=Response)
    def agent_file() -> Response:
        """The agent, one file; its SHA-256 is in the header Artesian-SHA256, and at /v1/agent.sha256."""
        made = agent_files.get()
        headers = {"Artesian-SHA256": made.sha256, "ETag": f'"{made.sha256}"'}
        return Response(made.content, media_type="application/octet-stream", headers=headers)

    @application.get("/v1/agent.sha256", tags=["agents"], response_class=Response)
    def agent_checksum() -> Response:
        """As `sha256sum` prints it."""
        return Response(f"{agent_files.get().sha256}  agent.pyz\n", media_type="text/plain")

    @application.get("/healthz", include_in_schema=False)
    def alive() -> Response:
        age_s, ended = scheduler.pass_age_s, scheduler.has_ended
        if not ended and age_s <= _LONGEST_PASS_S:
            return JSONResponse({"alive": True})
        because = "the loop has ended" if ended else f"the last pass began {age_s:.0f} s ago"
        document = {"alive": False, "last_pass_began_s_ago": round(age_s, 3), "because": because}
        return JSONResponse(document, status_code=503)

    return application
