"""The platform API: the calls by which fal's clients, and `catalog sync`, discover models.

`GET /v1/models`, `GET /v1/models/pricing`, `POST /v1/models/pricing/estimate`, in the shapes of
fal's API as its documentation of July 2026 shows them. Errors are `{"error": {type, message}}`.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias
from uuid import uuid4

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.head import Head, Wish
from media_mcp.catalog.openapi import document, metadata
from media_mcp.catalog.pricing import is_hosted
from media_mcp.errors import BadInput, NotFound
from media_mcp.job import JSON, Price
from media_mcp.server.toolset import cursor_of, offset_of

PAGE = 50
MOST = 100
MOST_IDS = 50
MAX_ESTIMATE = 64 * 2**10
MOST_UNITS = 10**12
_EXPANSIONS = ("openapi-3.0", "enterprise_status")
Handler: TypeAlias = Callable[[Request], Awaitable[JSON]]


def platform_routes(catalog: Catalog) -> list[Route]:
    """Return the routes of the platform API."""
    platform = Platform(catalog)
    return [
        Route("/v1/models", _answering(platform.models), methods=["GET"]),
        Route("/v1/models/pricing", _answering(platform.pricing), methods=["GET"]),
        Route("/v1/models/pricing/estimate", _answering(platform.estimate), methods=["POST"]),
    ]


class Platform:
    """Answers from the catalog alone."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def models(self, request: Request) -> JSON:
        """A page of models; `q`, `category`, `status` and `endpoint_id` narrow it."""
        query = request.query_params
        heads = self._wanted(query.getlist("endpoint_id"), query.get("q", ""))
        if category := query.get("category"):
            heads = [head for head in heads if head.task == category]
        if status := query.get("status"):
            heads = [head for head in heads if _status(head) == _one_of(status, _STATUSES)]
        expand = [_one_of(word, _EXPANSIONS) for word in query.getlist("expand")]
        shown, envelope = _page(heads, query)
        rows = await anyio.to_thread.run_sync(self._rows, shown, "openapi-3.0" in expand)
        return {"models": rows, **envelope}

    async def pricing(self, request: Request) -> JSON:
        """Unit prices. One unknown id is an error, as it is at fal; no id means all."""
        query = request.query_params
        heads = self._wanted(query.getlist("endpoint_id"), "")
        priced = [(head, self._price(head)) for head in heads]
        known = [_price_row(head, price) for head, price in priced if price is not None]
        shown, envelope = _page(known, query)
        return {"prices": shown, **envelope}

    async def estimate(self, request: Request) -> JSON:
        """The cost of so many units or calls of some models."""
        asked = await _body(request)
        kind = _one_of(asked.get("estimate_type"), ("unit_price", "historical_api_price"))
        endpoints = asked.get("endpoints")
        if not isinstance(endpoints, dict) or not 0 < len(endpoints) <= MOST_IDS:
            raise BadInput(f"`endpoints` must be an object with 1 to {MOST_IDS} endpoint ids.")
        costs = [self._cost(name, given, kind) for name, given in endpoints.items()]
        return {"estimate_type": kind, "total_cost": round(sum(costs), 6), "currency": "USD"}

    def _cost(self, name: str, given: JSON, kind: str) -> float:
        head = self._head(name)
        field = "unit_quantity" if kind == "unit_price" else "call_quantity"
        quantity = given.get(field) if isinstance(given, dict) else None
        if (
            isinstance(quantity, bool)
            or not isinstance(quantity, int | float)
            or not (0 <= quantity <= MOST_UNITS)
        ):
            raise BadInput(f"endpoints.{name}.{field} must be a number of 0 or more.")
        if kind == "historical_api_price":
            return quantity * _known(head, head.high)
        price = self._price(head)
        return float(quantity * _known(head, price.amount if price else None))

    def _rows(self, heads: Sequence[Head], expand: bool) -> list[JSON]:
        return [self._row(head, expand) for head in heads]

    def _row(self, head: Head, expand: bool) -> JSON:
        """Clients send what the endpoint itself declares; the door maps that to our own names."""
        model = self._catalog.endpoint(head.id)
        told = metadata(model) | {"description": head.description}
        row = {"endpoint_id": model.id, "metadata": told}
        return row | {"openapi": document(model)} if expand else row

    def _wanted(self, ids: Sequence[str], words: str) -> Sequence[Head]:
        if len(ids) > MOST_IDS:
            raise BadInput(f"endpoint_id may be given {MOST_IDS} times at most.")
        if ids:
            return [self._head(name) for name in ids]
        if words:
            found = self._catalog.find(Wish(words[:500], limit=len(self._catalog)))
            return [one.head for one in found]
        return self._catalog.heads

    def _head(self, name: str) -> Head:
        model = self._catalog.get(name)
        return next(head for head in self._catalog.heads if head.id == model.id)

    def _price(self, head: Head) -> Price | None:
        """Return what the place that bills takes; for what only we run, our own price."""
        routes = self._catalog.get(head.id).routes
        hosted = [route for route in routes if is_hosted(route)]
        price = (hosted or routes)[0].price
        return price if price and price.certainty != "unknown" else None


_STATUSES = ("active", "deprecated")


def _status(head: Head) -> str:
    return _STATUSES[head.retired]


def _price_row(head: Head, price: Price) -> JSON:
    unit = f"{price.unit}s" if price.unit.isalpha() else price.unit
    return {
        "endpoint_id": head.id,
        "unit_price": price.amount,
        "unit": unit,
        "currency": "USD",
    }


def _known(head: Head, amount: float | None) -> float:
    if amount is None:
        raise NotFound(f"The price of {head.id} is not known.", "Leave it out of the estimate.")
    return amount


def _page(rows: Sequence[Any], query: Mapping[str, str]) -> tuple[Sequence[Any], dict[str, JSON]]:
    """Return one page of rows and the part of the answer that leads to the next."""
    limit = _limit(query.get("limit", str(PAGE)))
    start = offset_of(query.get("cursor"), len(rows))
    if start is None:
        raise BadInput("cursor is not one that this API gave. Leave it out to start again.")
    end = start + limit
    more = end < len(rows)
    return rows[start:end], {"next_cursor": cursor_of(end) if more else None, "has_more": more}


def _limit(given: str) -> int:
    if not given.isdecimal() or len(given) > 9 or not 0 < int(given) <= MOST:
        raise BadInput(f"limit must be a number from 1 to {MOST}, but {given[:40]!r} was given.")
    return int(given)


def _one_of(given: JSON, known: Sequence[str]) -> str:
    if given not in known:
        raise BadInput(f"{str(given)[:40]!r} is not one of {', '.join(known)}.")
    return str(given)


async def _body(request: Request) -> dict[str, JSON]:
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_ESTIMATE:
            raise BadInput(f"The body is larger than {MAX_ESTIMATE} bytes.")
    try:
        asked = json.loads(content)
    except (ValueError, RecursionError):
        raise BadInput("The body is not JSON.") from None
    if not isinstance(asked, dict):
        raise BadInput("The body must be a JSON object.")
    return asked


def _answering(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """Wrap a handler so that what it raises becomes this API's own error."""

    async def answer(request: Request) -> Response:
        try:
            return JSONResponse(await handler(request))
        except NotFound as error:
            return _error(404, "not_found", str(error))
        except BadInput as error:
            return _error(422, "validation_error", str(error))

    return answer


def _error(status: int, kind: str, message: str) -> Response:
    told = {"type": kind, "message": message, "docs_url": "", "request_id": str(uuid4())}
    return JSONResponse({"error": told}, status_code=status)
