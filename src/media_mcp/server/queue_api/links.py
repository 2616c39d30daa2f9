"""Links to media. Where callers show keys, a link holds for a while and cannot be guessed."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import parse_qs

from media_mcp.job import Asset
from media_mcp.server.auth import Gate
from media_mcp.server.queue_api.keys import ServerKey

KIND = "link"
QUERY = "token"


class Links:
    """Makes links and checks them. On a server without keys they are plain, and hold for good."""

    def __init__(
        self, key: ServerKey, gate: Gate, seconds: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._key = key
        self._gate = gate
        self._seconds = seconds
        self._clock = clock

    def url(self, base: str, asset: Asset) -> str:
        """Return where `asset` is served; `base` is scheme and host, with or without a slash."""
        plain = url_of(base, asset)
        if not self._gate.locked:
            return plain
        name = plain.rpartition("/")[2]
        token = self._key.token(KIND, [name], self._clock() + self._seconds)
        return f"{plain}?{QUERY}={token}"

    def opens(self, name: str, query: str) -> bool:
        """Tell whether a link is enough to see a file, named `<sha256>.<ext>`."""
        if not self._gate.locked:
            return True
        token = next(iter(parse_qs(query, max_num_fields=20).get(QUERY, [])), "")
        return self._key.claims(KIND, token, self._clock()) == [name]


def url_of(base: str, asset: Asset) -> str:
    """Return where `asset` is served to those who may see it."""
    return f"{base.rstrip('/')}/files/{asset.uri.removeprefix('media://')}"
