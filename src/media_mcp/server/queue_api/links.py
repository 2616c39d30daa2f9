"""Links to media. Where callers show keys, a link holds for a while and cannot be guessed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from urllib.parse import parse_qs

from media_mcp.job import Asset
from media_mcp.server.auth import Gate
from media_mcp.server.queue_api.keys import ServerKey

KIND = "link"
QUERY = "token"
MOST = 20  # parameters of a link, whatever the others say


class Links:
    """Makes links and checks them. On a server without keys they are plain, and hold for good."""

    def __init__(
        self, key: ServerKey, gate: Gate, seconds: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._key = key
        self._gate = gate
        self._seconds = seconds
        self._clock = clock

    def url(self, base: str, asset: Asset, owner: str) -> str:
        """Return where an owner's `asset` is served; `base` is scheme and host, as in `url_of`."""
        return self.signed(url_of(base, asset), owner)

    def signed(self, plain: str, owner: str) -> str:
        """Return the address of an owner's file so that whoever has it may see the file."""
        if not self._gate.locked:
            return plain
        claims = [plain.rpartition("/")[2], _whose(owner)]
        token = self._key.token(KIND, claims, self._clock() + self._seconds)
        return f"{plain}?{QUERY}={token}"

    def opens(self, name: str, query: str, owners: Iterable[str]) -> str | None:
        """Return which of `owners` a link shows a file of, by its name; None: nobody's."""
        if not self._gate.locked:
            return next(iter(owners), None)
        try:
            token = next(iter(parse_qs(query, max_num_fields=MOST).get(QUERY, [])), "")
        except ValueError:
            return None
        claims = self._key.claims(KIND, token, self._clock())
        return next((owner for owner in owners if claims == [name, _whose(owner)]), None)


def _whose(owner: str) -> str:
    """Return what stands for an owner in a link, which may be passed on to anybody."""
    return hashlib.sha256(owner.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def url_of(base: str, asset: Asset) -> str:
    """Return where `asset` is served to those who may see it; `base` is scheme and host."""
    return f"{base.rstrip('/')}/files/{asset.uri.removeprefix('media://')}"
