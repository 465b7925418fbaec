"""What went wrong, as problem documents (RFC 9457)."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from artesian.model.errors import ArtesianError, Conflict, NotPossible, NotThere, SpecError
from artesian.store.port import NotLeading, StoreUnusable

_STATUS: tuple[tuple[type[ArtesianError], int, str], ...] = (
    (NotThere, 404, "not-there"),
    (Conflict, 409, "conflict"),
    (NotPossible, 422, "not-possible"),
    (SpecError, 422, "spec"),
    (NotLeading, 503, "not-leading"),
    (StoreUnusable, 503, "store-unusable"),
    (ArtesianError, 500, "failed"),
)
_MEDIA_TYPE = "application/problem+json"


def problem(status: int, kind: str, detail: str) -> JSONResponse:
    """A problem document; `kind` names it for programs."""
    body = {"type": f"urn:artesian:problem:{kind}", "title": kind, "status": status, "detail": detail}
    return JSONResponse(body, status, media_type=_MEDIA_TYPE)


def explain_problems(application: FastAPI) -> None:
    """Answer every error with a problem document."""

    @application.exception_handler(ArtesianError)
    async def _explained(_request: Request, error: ArtesianError) -> JSONResponse:
        for kind, status, name in _STATUS:
            if isinstance(error, kind):
                return problem(status, name, str(error))
        raise error

    @application.exception_handler(RequestValidationError)
    async def _malformed(_request: Request, error: RequestValidationError) -> JSONResponse:
        parts = [f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors()]
        return problem(400, "malformed", "; ".join(parts))

    @application.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> JSONResponse:
        kinds = {400: "malformed", 401: "unauthorized", 403: "forbidden", 404: "not-there", 405: "method"}
        answer = problem(error.status_code, kinds.get(error.status_code, "http"), str(error.detail))
        answer.headers.update(error.headers or {})
        return answer

    @application.exception_handler(Exception)
    async def _mistake(_request: Request, error: Exception) -> JSONResponse:
        detail = f"a mistake in Artesian itself: {type(error).__name__}; the scheduler's log has it"
        return problem(500, "mistake", detail)
