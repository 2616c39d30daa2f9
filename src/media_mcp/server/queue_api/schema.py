"""The HTTP server's own OpenAPI document: what its clients may call besides MCP.

What a model takes and makes stands in its own document: `GET /v1/models?expand=openapi-3.0`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from media_mcp import __version__

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
COUNT: Json = {"type": "integer", "minimum": 0}
OBJECT: Json = {"type": "object"}
STATES = ("IN_QUEUE", "IN_PROGRESS", "COMPLETED")
_MEANINGS = {
    200: "Done.",
    202: "Accepted, and not done yet.",
    206: "A part of a file.",
    304: "Not modified.",
    400: "The request makes no sense, or comes at the wrong time.",
    401: "A key is needed.",
    403: "The rules of this server forbid it.",
    404: "There is no such endpoint, request or file.",
    405: "This address takes another method.",
    413: "More bytes than are taken.",
    416: "There is no such part of the file.",
    422: "The input is wrong, or was refused; `detail` says what and where.",
    429: "Too many requests wait.",
    499: "The request was cancelled.",
    500: "The server failed.",
    503: "No backend can run it now.",
    504: "It did not start in time.",
}
_TAKES = (400, 401, 403, 404, 413, 422, 429, 500, 503)  # how a submit may be refused
_RAN = (499, 504)  # besides, how a request may end
_ASKS = (400, 401, 404, 500)
_STATUS: Json = {
    "type": "object",
    "required": ["status", "request_id", "response_url", "status_url", "cancel_url"],
    "properties": {
        "status": {"enum": [*STATES]},
        "request_id": TEXT,
        "queue_position": {"type": ["integer", "null"], "minimum": 0},
        "response_url": TEXT,
        "status_url": TEXT,
        "cancel_url": TEXT,
        "logs": {"type": ["array", "null"], "items": OBJECT},
        "metrics": OBJECT,
        "error": {"type": ["string", "null"]},
        "error_type": {"type": ["string", "null"]},
    },
}
_ERROR: Json = {
    "type": "object",
    "properties": {"detail": {}, "error_type": TEXT, "message": TEXT},
}
_FILE: Json = {"type": "object", "properties": {"file_name": TEXT, "content_type": TEXT}}
_PLACE: Json = {
    "type": "object",
    "required": ["upload_url", "file_url"],
    "properties": {"upload_url": TEXT, "file_url": TEXT},
}
_PARTS: Json = {
    "type": "object",
    "required": ["parts"],
    "properties": {
        "parts": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["partNumber", "etag"],
                "properties": {"partNumber": COUNT, "etag": TEXT},
            },
        }
    },
}
_ESTIMATE: Json = {
    "type": "object",
    "required": ["estimate_type", "endpoints"],
    "properties": {
        "estimate_type": {"enum": ["unit_price", "historical_api_price"]},
        "endpoints": {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 50,
            "additionalProperties": {
                "type": "object",
                "properties": {
                    "unit_quantity": {"type": "number", "minimum": 0},
                    "call_quantity": {"type": "number", "minimum": 0},
                },
            },
        },
    },
}


def document() -> Json:
    """Return the document. An endpoint id may have more parts than the two that it shows."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "media-mcp", "version": __version__},
        "security": [{}, {"key": []}],
        "paths": {**_requests(), **_runs(), **_storage(), **_platform()},
        "components": {
            "parameters": _parameters(),
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "Authorization"},
            },
        },
    }


async def openapi(request: Request) -> JSONResponse:
    """Answer `GET /openapi.json`."""
    return JSONResponse(document())


def _requests() -> Json:
    place = "/queue/{owner}/{name}"
    request = place + "/requests/{request_id}"
    asked = ("owner", "name", "request_id")
    submit = _call("Submit a request", _TAKES, _STATUS, body=OBJECT, names=_OPTIONS)
    submit["parameters"] += [_query("fal_webhook", TEXT), _query("fal_max_queue_length", COUNT)]
    logs = _query("logs", {"enum": ["0", "1", "true", "false"]})
    status = _call("Where a request stands", _ASKS, _STATUS, (200, 202), names=asked)
    follow = _call("The same at each change", _ASKS, TEXT, names=asked, media="text/event-stream")
    result = _call("What a request made", (*_TAKES, *_RAN), OBJECT, names=asked)
    cancel = _call("Stop a request", _ASKS, OBJECT, (202,), names=asked)
    for call in (status, follow):
        call["parameters"].append(logs)
    return {
        place: {"post": submit},
        request: {"get": result},
        f"{request}/status": {"get": status},
        f"{request}/status/stream": {"get": follow},
        f"{request}/cancel": {"put": cancel},
    }


def _runs() -> Json:
    refused = (*_TAKES, *_RAN)
    run = _call("Submit and wait for the result", refused, OBJECT, body=OBJECT, names=_OPTIONS)
    stream = _call(
        "The same with its progress",
        refused,
        TEXT,
        body=OBJECT,
        names=_OPTIONS,
        media="text/event-stream",
    )
    return {"/run/{owner}/{name}": {"post": run}, "/run/{owner}/{name}/stream": {"post": stream}}


def _storage() -> Json:
    asks, takes = (400, 401, 413, 500), (400, 401, 404, 413, 422, 500)
    lifecycle = ("lifecycle",)
    bytes_ = {"application/octet-stream": {"schema": {**TEXT, "format": "binary"}}}
    token = _call("A token for uploads", asks, OBJECT, body=OBJECT)
    announce = _call("Announce a file", asks, _PLACE, body=_FILE, names=lifecycle)
    upload = _call("Upload a file", takes, OBJECT, names=lifecycle)
    put = _call("Send an announced file", takes, OBJECT, names=("ticket",))
    part = _call("Send a part of it", takes, OBJECT, names=("ticket", "number"))
    complete = _call("Join the parts", takes, OBJECT, body=_PARTS, names=("ticket",))
    download = _call("A file", (404, 416, 500), TEXT, (200, 206, 304), names=("file",), media="*/*")
    for call in (upload, put, part):
        call["requestBody"] = {"content": bytes_}
    return {
        "/rest/storage/auth/token": {"post": token},
        "/rest/storage/upload/initiate": {"post": announce},
        "/rest/storage/upload/initiate-multipart": {"post": announce},
        "/files/upload": {"post": upload},
        "/files/put/{ticket}": {"put": put},
        "/files/parts/{ticket}/{number}": {"put": part},
        "/files/parts/{ticket}/complete": {"post": complete},
        "/files/{file}": {"get": download},
        "/.well-known/jwks.json": {"get": _call("The keys that sign webhooks", (), OBJECT)},
    }


def _platform() -> Json:
    refused = (401, 404, 422)
    page = [_query("limit", {"type": "integer", "minimum": 1, "maximum": 100})]
    page += [_query("cursor", TEXT), _query("endpoint_id", {"type": "array", "items": TEXT})]
    models = _call("Models, page by page", refused, OBJECT)
    models["parameters"] += [*page, _query("q", TEXT), _query("category", TEXT)]
    models["parameters"] += [
        _query("status", {"enum": ["active", "deprecated"]}),
        _query("expand", {"type": "array", "items": {"enum": ["openapi-3.0"]}}),
    ]
    pricing = _call("Unit prices, page by page", refused, OBJECT)
    pricing["parameters"] += page
    return {
        "/v1/models": {"get": models},
        "/v1/models/pricing": {"get": pricing},
        "/v1/models/pricing/estimate": {
            "post": _call("What calls would cost", refused, OBJECT, body=_ESTIMATE)
        },
        "/health": {"get": _call("Whether the server is up", (), OBJECT)},
    }


_OPTIONS = ("owner", "name", "priority", "start", "store_io", "once", "key", "lifecycle")


def _parameters() -> Json:
    headers: dict[str, tuple[str, Json]] = {
        "priority": ("X-Fal-Queue-Priority", {"enum": ["normal", "low"]}),
        "start": ("X-Fal-Request-Start-Timeout", {"type": "number", "exclusiveMinimum": 0.1}),
        "store_io": ("X-Fal-Store-IO", {"enum": ["0", "1"]}),
        "once": ("X-Fal-No-Retry", {"enum": ["0", "1"]}),
        "key": ("Idempotency-Key", {**TEXT, "maxLength": 255}),
        "lifecycle": ("X-Fal-Object-Lifecycle", {**TEXT, "contentMediaType": "application/json"}),
    }
    paths: dict[str, Json] = {
        "owner": {**TEXT, "examples": ["rehearsal"]},
        "name": {**TEXT, "examples": ["image"]},
        "request_id": TEXT,
        "ticket": TEXT,
        "number": {"type": "integer", "minimum": 1, "maximum": 10_000},
        "file": {**TEXT, "description": "`<sha256>.<extension>`, or an upload's name."},
    }
    told = {at: _parameter("header", name, schema) for at, (name, schema) in headers.items()}
    return told | {name: _parameter("path", name, schema) for name, schema in paths.items()}


def _parameter(where: str, name: str, schema: Json) -> Json:
    return {"in": where, "name": name, "required": where == "path", "schema": schema}


def _query(name: str, schema: Json) -> Json:
    return _parameter("query", name, schema)


def _call(
    summary: str,
    refused: Sequence[int],
    answer: Json,
    good: Sequence[int] = (200,),
    *,
    body: Json | None = None,
    names: Sequence[str] = (),
    media: str = "application/json",
) -> Json:
    """Describe one call: how it may be answered, what it takes, and which shared parameters."""
    answers = {str(code): _answer(code, answer, media) for code in good}
    answers |= {str(code): _answer(code, _ERROR, "application/json") for code in refused}
    call: Json = {"summary": summary, "responses": answers}
    call["parameters"] = [{"$ref": f"#/components/parameters/{name}"} for name in names]
    if body is not None:
        call["requestBody"] = {"content": {"application/json": {"schema": body}}}
    return call


def _answer(code: int, schema: Json, media: str) -> Json:
    return {"description": _MEANINGS[code], "content": {media: {"schema": schema}}}
