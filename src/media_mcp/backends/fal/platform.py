"""Speaks the platform API: which models a place offers, with their OpenAPI documents and prices."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx2

from media_mcp.errors import BackendFailed, BadSettings
from media_mcp.job import JSON

BASE_URL = "https://api.fal.ai/v1"
PAGE = 50
MOST_IDS = 50  # that one pricing call may name
ATTEMPTS = 5
LONGEST_WAIT = 60.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_BUSY = (429, 502, 503, 504)


class PlatformClient:
    """A client of `base_url` (`https://host/v1`). Use it with `async with`.

    The key goes to that address and nowhere else: redirects are not followed, and only loopback
    may be spoken to without TLS. Raises `BadSettings` for another address, and `BackendFailed` for
    a place that does not answer as it should.
    """

    def __init__(self, base_url: str = BASE_URL, key: str = "") -> None:
        self.base_url = _checked(base_url)
        headers = {"Accept": "application/json"} | ({"Authorization": f"Key {key}"} if key else {})
        self._http = httpx2.AsyncClient(headers=headers, timeout=60.0, follow_redirects=False)

    async def __aenter__(self) -> PlatformClient:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def models(self) -> AsyncIterator[Mapping[str, JSON]]:
        """Yield every model: `{endpoint_id, metadata, openapi}`."""
        cursor: str | None = None
        while True:
            asked = {"limit": PAGE, "expand": "openapi-3.0"} | (
                {"cursor": cursor} if cursor else {}
            )
            page = await self._get("/models", asked)
            for model in _rows(page, "models"):
                yield model
            following = page.get("next_cursor")
            if not page.get("has_more") or not following or following == cursor:
                return
            cursor = str(following)

    async def prices(self, ids: Sequence[str]) -> dict[str, Mapping[str, JSON]]:
        """Return `{unit_price, unit, currency}` by id, without those that have no price.

        One unknown id fails a whole call, so a call that fails is halved until it is alone.
        """
        found: dict[str, Mapping[str, JSON]] = {}
        batches = [list(ids[i : i + MOST_IDS]) for i in range(0, len(ids), MOST_IDS)]
        while batches:
            batch = batches.pop()
            page = await self._get("/models/pricing", {"endpoint_id": batch}, missing_ok=True)
            if page is not None:
                found |= {str(row["endpoint_id"]): row for row in _rows(page, "prices")}
            elif len(batch) > 1:
                half = len(batch) // 2
                batches += [batch[:half], batch[half:]]
        return found

    async def _get(self, path: str, query: Mapping[str, Any], *, missing_ok: bool = False) -> Any:
        for attempt in range(ATTEMPTS):
            answer = await self._ask(path, query)
            if answer.status_code not in _BUSY:
                break
            await anyio.sleep(_wait(answer, attempt))
        if missing_ok and answer.status_code == 404:
            return None
        return self._read(answer)

    async def _ask(self, path: str, query: Mapping[str, Any]) -> httpx2.Response:
        try:
            return await self._http.get(f"{self.base_url}{path}", params=dict(query))
        except httpx2.HTTPError as error:
            why = f"{error}" or type(error).__name__
            raise BackendFailed(
                f"{self.base_url} does not answer: {why}.", "Check the address and the network."
            ) from None

    def _read(self, answer: httpx2.Response) -> Mapping[str, JSON]:
        if answer.status_code in (401, 403):
            raise BackendFailed(
                f"{self.base_url} refuses the key ({answer.status_code}).", "Check FAL_KEY."
            )
        try:
            page = answer.raise_for_status().json()
        except (httpx2.HTTPStatusError, ValueError, RecursionError):
            page = None
        if not isinstance(page, dict):
            raise BackendFailed(
                f"{self.base_url} answered {answer.status_code} with nothing that can be read.",
                "Is it the address of a platform API (…/v1)? Try again later.",
            )
        return page


def _checked(base_url: str) -> str:
    parts = urlsplit(base_url)
    safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    if not safe or not parts.hostname or parts.username or parts.query:
        raise BadSettings(
            f"{base_url!r} is not the address of a platform API.",
            f"Write it as {BASE_URL}, with https unless it is on this machine.",
        )
    return base_url.rstrip("/")


def _rows(page: Mapping[str, JSON], key: str) -> Iterable[Mapping[str, JSON]]:
    rows = page.get(key)
    named = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return [row for row in named if isinstance(row.get("endpoint_id"), str)]


def _wait(answer: httpx2.Response, attempt: int) -> float:
    """Return the seconds that the place asks us to wait, or else ever longer ones."""
    asked = answer.headers.get("retry-after", "")
    seconds = float(asked) if asked.isdecimal() else 0.5 * 2.0**attempt
    return min(seconds, LONGEST_WAIT)
