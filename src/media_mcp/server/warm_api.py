"""`POST /v1/warm`: has this server load a model, and keep it as asked."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from media_mcp.errors import BadInput, Forbidden, MediaError, NotConfigured, NotFound
from media_mcp.job import Caller
from media_mcp.queue.sentences import forbidden
from media_mcp.server.app import App
from media_mcp.server.auth import CALLER
from media_mcp.server.warming import warm_up

PATH = "/v1/warm"
MAX_BODY = 4096


def warm_route(app: App) -> Route:
    """Return the HTTP route: `{model, pin?, keep_alive?}` in, what was done or `{error}` out."""

    async def answer(request: Request) -> JSONResponse:
        try:
            told = _allowed(request.scope.get(CALLER), _asked(await _body(request)))
            return JSONResponse(await warm_up(app, **told))
        except MediaError as error:
            body = {"type": error.code, "message": error.message, "hint": error.hint}
            return JSONResponse({"error": body}, _status(error))

    return Route(PATH, answer, methods=["POST"])


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise BadInput("The body is too long.", 'Send {"model": "…"}.')
    return body


def _asked(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
        name, pin, keep = told["model"], told.get("pin"), told.get("keep_alive")
        right = isinstance(name, str) and pin in (None, True, False)
        if right and (keep is None or (type(keep) in (int, float) and keep >= 0)):
            return {"name": name, "pin": pin, "keep_alive": keep}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise BadInput(
        "The body is no {model, pin, keep_alive}.", 'Send {"model": "…", "pin": true} as JSON.'
    )


def _allowed(caller: Caller | None, told: dict[str, Any]) -> dict[str, Any]:
    """Return what is asked, if the caller may: what keeps others out of memory is an admin's."""
    caller = caller or Caller()
    if not caller.may_run:
        raise forbidden("loads no models")
    if caller.scope != "admin" and (told["pin"] is not None or told["keep_alive"] is not None):
        raise Forbidden(
            "pin and keep_alive take memory from everybody: an admin's key is needed.",
            "Leave them out, or use a key with the scope admin.",
        )
    return told


def _status(error: MediaError) -> int:
    if isinstance(error, Forbidden):
        return 403
    if isinstance(error, NotFound):
        return 404
    if isinstance(error, BadInput):
        return 422
    return 409 if isinstance(error, NotConfigured) else 500
