"""The public keys of an OAuth server (its JWKS), read when they are needed."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable

import anyio
import httpx2
from jwt import PyJWK, PyJWKSet, PyJWTError

from media_mcp.job import JSON

FRESH = 300.0  # seconds after which they are read again
AGAIN = 30.0  # seconds until an unknown key, or a server that failed, makes us ask once more
LONGEST = 3600.0  # seconds that keys count whose server cannot be asked
PATIENCE = 10.0  # seconds for one answer
MOST = 2**20  # bytes of one
AS_IT_IS = {"Accept-Encoding": "identity"}  # what is packed may hold a thousand times as much

log = logging.getLogger(__name__)


class IssuerKeys:
    """The keys at an address, by their ids. Whoever shows rubbish makes nobody ask for it."""

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._clock = clock
        self._keys: dict[str, PyJWK] = {}
        self._read_at = -LONGEST
        self._asked_at = -LONGEST
        self._asking = anyio.Lock()

    async def find(self, key_id: str) -> PyJWK | None:
        """Return the key of this id; None if the server has none, or cannot be asked for long."""
        known, age = key_id in self._keys, self._clock() - self._read_at
        if not known or age >= LONGEST or (age >= FRESH and not self._asking.locked()):
            await self._refresh()
        return self._keys.get(key_id) if self._clock() - self._read_at < LONGEST else None

    async def _refresh(self) -> None:
        """Read the keys, unless that was tried a moment ago; what fails leaves those there are."""
        if self._clock() - self._asked_at < AGAIN:
            return
        async with self._asking:
            if self._clock() - self._asked_at < AGAIN:  # another one asked meanwhile
                return
            self._asked_at = self._clock()
            try:
                self._keys = _signing(json.loads(await self._fetch()))
                self._read_at = self._clock()
            except (httpx2.HTTPError, TimeoutError, OSError, ValueError) as error:
                log.warning("The keys at %s cannot be read: %r", self._url, error)
            except (PyJWTError, RecursionError) as error:
                log.warning("At %s there are no keys: %r", self._url, error)

    async def _fetch(self) -> bytes:
        content = b""
        with anyio.fail_after(PATIENCE):
            async with (
                httpx2.AsyncClient(timeout=PATIENCE, headers=AS_IT_IS) as client,
                client.stream("GET", self._url) as answer,
            ):
                answer.raise_for_status()
                async for chunk in answer.aiter_raw():
                    content += chunk
                    if len(content) > MOST:
                        raise ValueError(f"more than {MOST} bytes")
        return content


def _signing(told: JSON) -> dict[str, PyJWK]:
    if not isinstance(told, dict):
        raise ValueError("no JSON object")
    keys = PyJWKSet.from_dict(told).keys
    return {key.key_id: key for key in keys if key.key_id and key.public_key_use in ("sig", None)}
