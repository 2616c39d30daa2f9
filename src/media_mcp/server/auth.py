"""Who calls, by the key that a request shows. One key today; callers of their own come here."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from pydantic import SecretStr
from starlette.types import ASGIApp, Receive, Scope, Send

from media_mcp.job import Caller

SCHEMES = (b"key", b"bearer")
OPEN = frozenset({"/health"})
MESSAGE = "A key is needed: send the header `Authorization: Key …` with this server's api_key."


class Gate:
    """Knows the server's key, if it has one. Without one, everybody is the one local caller.

    What callers ask for belongs to `project`.
    """

    def __init__(self, key: SecretStr | None, project: str = Caller().project) -> None:
        self._key = key.get_secret_value().encode() if key else b""
        self._caller = Caller(project=project)

    @property
    def locked(self) -> bool:
        """Whether a key is asked for."""
        return bool(self._key)

    def caller_of_request(self, headers: Mapping[bytes, bytes]) -> Caller | None:
        """Return who calls; None if the key is missing or wrong. Any key that nobody asked for
        is passed over.
        """
        if not self._key:
            return self._caller
        scheme, _, shown = headers.get(b"authorization", b"").partition(b" ")
        known = scheme.lower() in SCHEMES and hmac.compare_digest(shown.strip(), self._key)
        return self._caller if known else None


class Locked:
    """Lets only those with the key reach an app; its health is everybody's business."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN or self._knows(scope):
            await self._app(scope, receive, send)
        else:
            await _unauthorized(send)

    def _knows(self, scope: Scope) -> bool:
        return self._gate.caller_of_request(dict(scope["headers"])) is not None


async def _unauthorized(send: Send) -> None:
    body = b'{"detail":"%s"}' % MESSAGE.encode("ascii", "replace")
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"www-authenticate", b"Key"),
    ]
    await send({"type": "http.response.start", "status": 401, "headers": headers})
    await send({"type": "http.response.body", "body": body})
