"""Who may ask: users by the API's token, agents each by its own."""

from __future__ import annotations

import hmac
import json
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from artesian.model.errors import NotPossible
from artesian.scheduler.loop import Scheduler
from artesian.scheduler.verdict import Verdict

_bearer = HTTPBearer(auto_error=False)
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


async def scheduler_of(request: Request) -> Scheduler:
    """The scheduler that this application shows. Raises NotLeading, StoreUnusable: one that may not lead any
    more speaks for nobody."""
    found: Scheduler = request.app.state.scheduler
    found.memory.confirm()
    return found


TheScheduler = Annotated[Scheduler, Depends(scheduler_of)]


async def require_user(scheduler: TheScheduler, credentials: Credentials) -> None:
    """Raises HTTPException 401."""
    _check(credentials, scheduler.memory.secrets.api_token)


async def require_sound_text(request: Request) -> None:
    """Raises HTTPException 400 for text that no file and no answer could hold: half of a surrogate pair."""
    if request.method in ("GET", "HEAD"):
        return
    try:
        json.dumps(await request.json(), ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise HTTPException(400, f"the text in the request is not sound: {error.reason}") from None
    except ValueError:
        return  # whoever reads the request says what is wrong with it


USER_ONLY = [Depends(require_user), Depends(require_sound_text)]  # what every route for users depends on


async def require_agent(node: str, scheduler: TheScheduler, credentials: Credentials) -> None:
    """Raises HTTPException 401: an agent speaks for its own node only."""
    _check(credentials, scheduler.agent_token(node))


async def agent_of(request: Request) -> tuple[str, Scheduler]:
    """The node whose agent asks. Raises HTTPException 401."""
    node, scheduler = request.path_params["node"], await scheduler_of(request)
    await require_agent(node, scheduler, await _bearer(request))
    return node, scheduler


def _check(credentials: HTTPAuthorizationCredentials | None, token: str) -> None:
    given = credentials.credentials if credentials is not None else ""
    if not hmac.compare_digest(given.encode(), token.encode()):
        headers = {"WWW-Authenticate": "Bearer"}
        raise HTTPException(401, "a valid token is needed: Authorization: Bearer …", headers)


async def current_verdict(scheduler: TheScheduler) -> Verdict:
    """How the last pass ended. Raises NotPossible before the first one."""
    if scheduler.verdict is None:
        reason = scheduler.last_error or "it has just been started"
        raise NotPossible(
            f"the scheduler has not looked at the cluster yet ({reason}): ask again in a moment"
        )
    return scheduler.verdict


TheVerdict = Annotated[Verdict, Depends(current_verdict)]
