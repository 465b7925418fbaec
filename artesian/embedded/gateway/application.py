"""The gateway's web application: one request in, one JSON answer out, whatever happens.

It keeps nothing but login tokens in use and the counters of the last seconds, so any number of gateways
can serve one engine.
"""

from __future__ import annotations

import asyncio
import time

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from artesian.embedded.errors import CommandRefused, EngineError
from artesian.embedded.gateway import failures, permissions, urls, values
from artesian.embedded.gateway.authentication import Authenticator
from artesian.embedded.gateway.context import Context, Timing
from artesian.embedded.gateway.dispatch import answer
from artesian.embedded.gateway.failures import ApiError, json_response
from artesian.embedded.gateway.managers import Link, Managers
from artesian.embedded.gateway.passwords import PasswordChecker
from artesian.embedded.gateway.rates import RateMeter
from artesian.embedded.gateway.render_system import API_VERSION
from artesian.embedded.gateway.tokens import Sessions
from artesian.embedded.gateway.urls import Form, Target
from artesian.embedded.gateway.view import View

log = structlog.get_logger()

LARGEST_BODY_BYTES = 1 << 20
BODY_TIMEOUT_S = 30.0


class Gateway:
    """An ASGI application that speaks PowerFlex' REST API over `link`, the way to the leading manager."""

    def __init__(self, link: Link, timing: Timing | None = None) -> None:
        self._timing = timing or Timing()
        self._managers = Managers(link)
        self._rates = RateMeter(self._timing.monotonic)
        sessions = Sessions(self._timing.clock, self._timing.monotonic)
        self._authenticator = Authenticator(sessions, PasswordChecker(self._timing.monotonic))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        started = time.monotonic()
        response = await self._respond(request)
        log.info(
            "gateway.request",
            method=request.method,
            path=scope["path"],
            status=response.status_code,
            milliseconds=round(1000 * (time.monotonic() - started), 1),
        )
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        try:
            return await self._answer(request)
        except ApiError as error:
            return error.response()
        except CommandRefused as error:
            return failures.refused(error).response()
        except (EngineError, ConnectionError, TimeoutError) as error:
            log.warning("gateway.managers_unavailable", error=str(error))
            return ApiError(503, f"The managers of the engine cannot answer: {error}").response()
        except ClientDisconnect:
            return ApiError(400, "The client has gone").response()
        except Exception:  # a bug must neither take the process down nor answer in HTML
            log.exception("gateway.internal_error", method=request.method, path=request.scope["path"])
            message = "Internal error of the gateway; its log has the details"
            return ApiError(500, message, failures.INTERNAL_ERROR_CODE).response()

    async def _answer(self, request: Request) -> Response:
        target = urls.parse(request.scope["raw_path"])
        if request.method not in target.methods:
            allowed = " or ".join(target.methods)
            raise ApiError(405, f"Method {request.method} is not allowed here; use {allowed}")
        if target.form is Form.VERSION:
            return json_response(API_VERSION)
        view = await self._managers.look()
        self._rates.observe(view)
        session = await self._session_answer(request, target, view)
        if session is not None:
            return session
        user = self._authenticator.user(request.headers.get("authorization"), view.state)
        permissions.require(user, request.method, target)
        parameters = values.Parameters({})
        if request.method == "POST":
            parameters = values.Parameters(values.parse_body(await _body(request)))
        context = Context(view, user, self._managers, self._rates, self._timing)
        return json_response(await answer(context, request.method, target, parameters))

    async def _session_answer(self, request: Request, target: Target, view: View) -> Response | None:
        header = request.headers.get("authorization")
        if target.form is Form.LOGIN:
            return json_response(await self._authenticator.login(header, view.state))
        if target.form is Form.LOGOUT:
            self._authenticator.logout(header, view.state)
            return json_response({})
        return None


async def _body(request: Request) -> bytes:
    """The body of a POST. Raises ApiError if it is too long, too slow or no JSON by its content type."""
    too_long = ApiError(413, f"The request body is longer than {LARGEST_BODY_BYTES} bytes")
    announced = request.headers.get("content-length", "0")
    if not announced.isdecimal() or len(announced) > 12 or int(announced) > LARGEST_BODY_BYTES:
        raise too_long
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for piece in request.stream():
                body += piece
                if len(body) > LARGEST_BODY_BYTES:
                    raise too_long
    except TimeoutError:
        raise ApiError(408, "The request body did not arrive in time") from None
    _require_json(request.headers.get("content-type"), bool(body))
    return bytes(body)


def _require_json(content_type: str | None, has_body: bool) -> None:
    """Parameters of the media type, such as a version or a character set, do not matter."""
    if content_type is None and not has_body:
        return
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise failures.bad_request("Request header Content-Type should be application/json")
