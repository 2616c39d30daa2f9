"""Who calls: by the key or the token that a request shows, or as the one local user."""

from __future__ import annotations

import hmac
import math
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr
from starlette.types import ASGIApp, Receive, Scope, Send

from media_mcp.errors import TooMany
from media_mcp.job import Caller
from media_mcp.server.keyring import KeyRing, caller_of_key

if TYPE_CHECKING:
    from media_mcp.server.oauth import Tokens
    from media_mcp.settings import Settings

SCHEMES = (b"key", b"bearer")
METADATA = "/.well-known/oauth-protected-resource"
OPEN = frozenset({"/health", "/healthz", "/readyz"})
MESSAGE = "A key is needed: send the header `Authorization: Key …` with a key of this server."
CALLER = "media_mcp.caller"  # where in a request's scope its caller stands
_MINUTE = 60.0
_KNOWN = 10_000  # callers whose pace is remembered


class Gate:
    """Knows the server's keys. While there is none, everybody is the one local caller.

    `key` is that of the settings, whose caller is the local one; `ring` holds those of other
    callers, and `tokens` takes an OAuth server's. What callers ask for belongs to `project`, unless
    their key says another. Where `always`, a key is needed though there is none.
    """

    def __init__(
        self,
        key: SecretStr | None,
        project: str = Caller().project,
        *,
        ring: KeyRing | None = None,
        tokens: Tokens | None = None,
        pace: Pace | None = None,
        always: bool = False,
    ) -> None:
        self._key = key.get_secret_value().encode() if key else b""
        self._caller = Caller(project=project)
        self._ring = ring
        self._pace = pace
        self._always = always
        self.tokens = tokens

    @classmethod
    def of(cls, settings: Settings, *, always: bool = False) -> Gate:
        """Return the gate that the settings describe."""
        tokens = None
        if settings.oauth is not None:
            from media_mcp.server.oauth import Tokens

            tokens = Tokens(settings.oauth, settings.project)
        return cls(
            settings.api_key,
            settings.project,
            ring=KeyRing(settings.data_dir),
            tokens=tokens,
            pace=Pace(settings),
            always=always,
        )

    @property
    def locked(self) -> bool:
        """Whether a key is asked for."""
        return bool(self._key or self._always or self.tokens or self._ring)

    @property
    def has_keys(self) -> bool:
        """Whether there is any key or token to show."""
        return bool(self._key or self.tokens or self._ring)

    async def identify(self, headers: Mapping[bytes, bytes]) -> Caller | None:
        """Return who calls; None if the key or token is missing, wrong or old.

        Raises `TooMany` for a caller who asks more often than the limits allow.
        """
        caller = self.caller_of_request(headers)
        if caller is None and self.tokens is not None:
            caller = await self.tokens.caller_of(_shown(headers).decode("latin-1"))
        if caller is not None and self._pace is not None:
            self._pace.check(caller)
        return caller

    def caller_of_request(self, headers: Mapping[bytes, bytes]) -> Caller | None:
        """Return who calls, as far as keys tell. Any key that nobody asked for is passed over."""
        if not self.locked:
            return self._caller
        shown = _shown(headers)
        if self._key and hmac.compare_digest(shown, self._key):
            return self._caller
        key = self._ring.find(shown.decode("latin-1")) if self._ring is not None else None
        return caller_of_key(key, self._caller.project) if key else None


def _shown(headers: Mapping[bytes, bytes]) -> bytes:
    scheme, _, shown = headers.get(b"authorization", b"").partition(b" ")
    return shown.strip() if scheme.lower() in SCHEMES else b""


class Pace:
    """How often callers may ask over HTTP: so many requests a minute, spread or at once."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._all = settings.limits.requests_per_minute
        own = {name: rules.limits.requests_per_minute for name, rules in settings.callers.items()}
        self._own = {name: most for name, most in own.items() if most is not None}
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}  # what is left, as of when

    def check(self, caller: Caller) -> None:
        """Count a request. Raises `TooMany` if there are too many."""
        most = self._own.get(caller.owner, self._all)
        if most is None:
            return
        now = self._clock()
        left, since = self._left.pop(caller.owner, (float(most), now))
        left = min(most, left + (now - since) * most / _MINUTE)
        if len(self._left) >= _KNOWN:
            del self._left[next(iter(self._left))]
        self._left[caller.owner] = (left - 1 if left >= 1 else left, now)
        if left < 1:
            wait = math.ceil((1 - left) * _MINUTE / most)
            raise TooMany(
                f"More than {most} requests a minute (requests_per_minute).",
                f"Ask again in {wait} s.",
                retry_after=wait,
            )


class Locked:
    """Lets only known callers reach an app, and notes in the scope who they are.

    The server's health, and what tells where to get tokens, are everybody's business.
    """

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN or _is_metadata(scope["path"]):
            return await self._app(scope, receive, send)
        try:
            caller = await self._gate.identify(dict(scope["headers"]))
        except TooMany as error:
            wait = b"%d" % error.retry_after
            return await _refuse(send, 429, str(error), [(b"retry-after", wait)])
        if caller is None:
            return await _refuse(send, 401, MESSAGE, [(b"www-authenticate", _asks(self._gate))])
        known = {CALLER: caller, **({"user": _user(caller)} if self._gate.locked else {})}
        return await self._app({**scope, **known}, receive, send)


def _is_metadata(path: str) -> bool:
    return path == METADATA or path.startswith(f"{METADATA}/")


def _asks(gate: Gate) -> bytes:
    """Return how to show who one is; for tokens, by RFC 9728, where they come from."""
    if gate.tokens is None:
        return b"Key"
    return f'Bearer resource_metadata="{gate.tokens.metadata_url}"'.encode()


def _user(caller: Caller) -> Any:
    """Return the caller as the SDK knows users: it binds a session to the one who opened it."""
    from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
    from mcp.server.auth.provider import AccessToken

    return AuthenticatedUser(AccessToken(token="", client_id=caller.owner, scopes=[caller.scope]))


async def _refuse(
    send: Send, status: int, message: str, headers: list[tuple[bytes, bytes]]
) -> None:
    body = b'{"detail":"%s"}' % message.encode("ascii", "replace")
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def caller_of(ctx: Any) -> Caller:
    """Return who sends a request of the protocol: over stdio, the one local user."""
    scope = ctx.request.scope if ctx.request is not None else {}
    found = scope.get(CALLER)
    return found if isinstance(found, Caller) else Caller()
