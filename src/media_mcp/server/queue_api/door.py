"""The door of the queue API: one ASGI app that plays fal's hosts and lets all else through."""

from __future__ import annotations

import logging
import math

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from media_mcp.errors import BadInput, MediaError, NotFound, TooMany
from media_mcp.job import Caller, Job
from media_mcp.queue.failures import only
from media_mcp.server.app import App
from media_mcp.server.auth import MESSAGE, Gate
from media_mcp.server.queue_api import wire
from media_mcp.server.queue_api.calls import Call, Gone, Reply, Unauthorized, replied
from media_mcp.server.queue_api.files import Files
from media_mcp.server.queue_api.keys import ServerKey
from media_mcp.server.queue_api.links import Links
from media_mcp.server.queue_api.realtime import Realtime, deny
from media_mcp.server.queue_api.requests import Requests
from media_mcp.server.queue_api.results import Results
from media_mcp.server.queue_api.storage import Storage
from media_mcp.server.queue_api.streams import Streams
from media_mcp.server.queue_api.submitter import Submitter
from media_mcp.server.queue_api.target import Headers, Target, target_of
from media_mcp.server.queue_api.tokens import QUERY, Tokens, alias_of
from media_mcp.server.queue_api.uploads import Uploads
from media_mcp.server.queue_api.webhooks import Webhooks
from media_mcp.server.staying import Staying

KEYS = ".well-known/jwks.json"
UPLOADS = "uploads"

log = logging.getLogger(__name__)


class QueueApi:
    """Serves the queue API; what is meant for another door goes to `others`."""

    def __init__(self, app: App, gate: Gate, others: ASGIApp) -> None:
        self._gate = gate
        self._others = others
        self._key = ServerKey.load(app.settings.data_dir)
        self._tokens = Tokens(self._key, gate)
        submitter = Submitter(app.catalog, app.intake, app.queue)
        links = Links(self._key, gate, app.settings.link_seconds)
        results = Results(app.catalog, app.media, links)
        self._requests = Requests(app.queue, submitter, results)
        self._streams = Streams(app.queue, self._requests)
        self._realtime = Realtime(submitter, app.queue, self._requests, results)
        limit = app.settings.max_input_bytes
        self._uploads = Uploads(app.media, app.queue, app.settings.data_dir / UPLOADS, limit)
        files = Files(app.queue, app.media, links)
        self._storage = Storage(self._uploads, files, app.queue, self._key, links, gate)
        self._webhooks = Webhooks(
            app.queue.outbox, results, self._key, allow_private=app.settings.allow_private_urls
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._live(scope, receive, send)
        headers = dict(scope["headers"])
        try:
            target = _target(scope, headers)
        except BadInput as error:
            return await _answer(scope, receive, send, wire.fault_of_error(error).reply())
        if target is None:
            return await self._others(scope, receive, send)
        await self._handled(Call(scope, receive, send, headers, target, None))

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Do what goes on besides the calls, as long as the server runs."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._uploads.tidy)
            group.start_soon(self._webhooks.run)
            await self._others(scope, receive, send)
            group.cancel_scope.cancel()

    async def _handled(self, call: Call) -> None:
        """Answer a call whatever happens; an answer that has begun is cut off."""
        begun = False
        original = call.send

        async def send(message: Message) -> None:
            nonlocal begun
            begun = True
            await original(message)

        call.send = send
        try:
            reply = await self._reply(call)
        except Exception as group:
            error = only(group)
            if isinstance(error, Gone):
                return
            if begun or not isinstance(error, MediaError):
                log.error("A request of the queue API failed", exc_info=error)
            reply = None if begun else self._reply_of(error)
        if reply is not None:
            await _answer(call.scope, call.receive, original, reply)

    async def _reply(self, call: Call) -> Reply | None:
        place = call.target.place
        socket = call.scope["type"] == "websocket"
        if place == "api" and not socket:  # that door asks who calls by itself
            return await self._api(call)
        call.caller = await self._gate.identify(call.scope)
        if socket:
            return await self._websocket(call)
        if place == "queue":
            return await self._queue(call)
        if place == "run":
            return await self._run(call)
        if place == "cdn":
            return await self._storage.cdn(call)
        return await self._rest(call)

    async def _queue(self, call: Call) -> Reply | None:
        """Submit to an endpoint, or do something with `…/requests/<id>`."""
        endpoint, requests, rest = f"/{call.target.path}/".partition("/requests/")
        if not requests:
            _check_known(call)
            return await self._requests.submit(call, endpoint.strip("/"))
        request_id, _, what = rest.rstrip("/").partition("/")
        if what not in ("", "response", "status", "status/stream", "cancel"):
            return _nowhere()
        method = "PUT" if what == "cancel" else "GET"
        if call.method != method:
            return wire.wrong_method(method)
        if what == "status/stream":
            self._let_in(call, endpoint.strip("/"))
        try:
            job = await self._requests.job(request_id, _check_known(call))
        except NotFound:
            return wire.not_found()
        if what == "status/stream" and not _may_follow(call, job, endpoint.strip("/")):
            return wire.not_found()
        return await self._request(call, job, what)

    async def _request(self, call: Call, job: Job, what: str) -> Reply | None:
        if what == "status":
            return await self._requests.status(call, job)
        if what == "status/stream":
            call.send = Staying(call.send, lambda: self._stays(call))
            await self._streams.status(call, job)
            return None
        if what == "cancel":
            return await self._requests.cancel(call, job)
        return await self._requests.result(call, job)

    async def _run(self, call: Call) -> Reply | None:
        """Run an endpoint, with its progress where `/stream` is asked for."""
        endpoint = call.target.path
        streamed = endpoint.removesuffix("/stream")
        self._let_in(call, streamed)
        if call.method != "POST":
            return wire.wrong_method("POST")
        if streamed != endpoint:
            call.send = Staying(call.send, lambda: self._stays(call))
            return await self._streams.run(call, streamed)
        return await self._requests.run(call, endpoint)

    async def _rest(self, call: Call) -> Reply | None:
        path = call.target.path
        if path == KEYS:
            return replied(200, self._key.jwks()) if _reads(call) else wire.wrong_method("GET")
        _check_known(call)
        if path == "tokens":
            return await self._tokens.handle(call)
        return await self._storage.rest(call) if path.startswith("storage/") else _nowhere()

    async def _api(self, call: Call) -> Reply | None:
        """Hand a call of the platform API to its own door, under the path that it has there."""
        target = call.target
        if not target.path.startswith("v1/"):
            return _nowhere()
        path = f"/{target.path}"
        inner = {**call.scope, "path": path, "raw_path": path.encode()}
        inner["query_string"] = target.query.encode("latin-1", "replace")
        await self._others(inner, call.receive, call.send)
        return None

    async def _websocket(self, call: Call) -> Reply | None:
        endpoint = call.target.path
        name = endpoint.removesuffix("/realtime")
        if call.target.place != "run" or name == endpoint:
            return _nowhere()
        self._let_in(call, name)
        await self._realtime.handle(call, name, lambda: self._still_in(call))
        return None

    def _let_in(self, call: Call, endpoint: str) -> None:
        """Take a token for the app where one is shown; else there must be a key."""
        token = call.query().get(QUERY)
        if token is not None:
            call.caller = self._tokens.caller_of(token, endpoint)
            self._gate.count(_check_known(call))
        _check_known(call)

    async def _still_in(self, call: Call) -> Caller:
        """Count what comes over a line that stays open, and return whose it is.

        Raises `Unauthorized` once their key is gone, and `TooMany`.
        """
        call.caller = await self._gate.still(call.headers, _check_known(call))
        self._gate.count(_check_known(call))
        return _check_known(call)

    async def _stays(self, call: Call) -> bool:
        return await self._gate.still(call.headers, _check_known(call)) is not None

    def _reply_of(self, error: Exception) -> Reply:
        if not isinstance(error, MediaError):
            return wire.bug().reply()
        headers = [(b"www-authenticate", self._gate.asks)]
        if isinstance(error, TooMany):
            headers = [(b"retry-after", b"%d" % math.ceil(error.retry_after))]
        elif not isinstance(error, Unauthorized):
            headers = []
        return wire.fault_of_error(error).reply(headers)


def _target(scope: Scope, headers: Headers) -> Target | None:
    socket = scope["type"] == "websocket"
    scheme: str = scope.get("scheme", "http")
    return target_of(
        scheme.replace("ws", "http"),
        scope["path"],
        scope["query_string"].decode("latin-1"),
        headers,
        calls=socket or scope["method"] == "POST",
    )


def _check_known(call: Call) -> Caller:
    if call.caller is None:
        raise Unauthorized(MESSAGE)
    return call.caller


def _may_follow(call: Call, job: Job, endpoint: str) -> bool:
    """Whether a job is one of the app that a token was shown for, if one was."""
    return QUERY not in call.query() or alias_of(job.model) == alias_of(endpoint)


def _reads(call: Call) -> bool:
    return call.method == "GET"


def _nowhere() -> Reply:
    return replied(404, {"detail": "Not Found", "message": "Not Found"})


async def _answer(scope: Scope, receive: Receive, send: Send, reply: Reply) -> None:
    if scope["type"] == "websocket":
        await deny(send, reply)
    else:
        await reply.send(send)
