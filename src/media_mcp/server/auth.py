"""Who calls: by the key or the token that a request shows, or as the one local user."""

from __future__ import annotations

import hmac
import json
import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from pydantic import SecretStr
from starlette.types import ASGIApp, Receive, Scope, Send

from media_mcp.errors import BadSettings, MediaError, StorageFailed, TooMany
from media_mcp.job import JSON, Caller
from media_mcp.job import Scope as Right
from media_mcp.server.keyring import KeyRing, caller_of_key
from media_mcp.server.pace import GUESSES, Buckets, Pace
from media_mcp.server.staying import Staying

if TYPE_CHECKING:
    from media_mcp.server.oauth import Tokens
    from media_mcp.settings import Settings

SCHEMES = (b"key", b"bearer")
METADATA = "/.well-known/oauth-protected-resource"
OPEN = frozenset({"/health", "/healthz", "/readyz"})
MESSAGE = "A key is needed: send the header `Authorization: Key …` with a key of this server."
CALLER = "media_mcp.caller"  # where in a request's scope its caller stands
API_KEY, TOKEN = "api_key", "token"  # what a caller showed who has no key of their own
SHORTEST = 16  # characters of a key that is not easily guessed
LONGEST = 100  # characters of a key that somebody may have made up

log = logging.getLogger(__name__)


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
        self._project = project
        self._ring = ring
        self._pace = pace
        self._always = always
        self._guesses = Buckets()
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

    @property
    def guessable(self) -> bool:
        """Whether its key is so short that somebody may guess it."""
        return 0 < len(self._key) < SHORTEST

    @property
    def asks(self) -> bytes:
        """How to show who one is; for tokens, by RFC 9728, where they come from."""
        if self.tokens is None:
            return b"Key"
        return f'Bearer resource_metadata="{self.tokens.metadata_url}"'.encode()

    async def identify(self, scope: Scope) -> Caller | None:
        """Return who sends a request; None if the key or token is missing, wrong or old.

        Raises `TooMany` for a caller who asks more often than the limits allow, and
        `StorageFailed` where keys cannot be read.
        """
        headers, client = dict(scope["headers"]), scope.get("client")
        caller = await self.who(headers, client[0] if client else "")
        if caller is not None:
            self.count(caller)
        return caller

    async def who(self, headers: Mapping[bytes, bytes], peer: str = "") -> Caller | None:
        """Return who calls, and count nothing but wrong keys. Raises `StorageFailed`."""
        shown = _shown(headers)
        caller = self.caller_of_request(headers, peer)
        if caller is None and self.tokens is not None:
            caller = await self.tokens.caller_of(shown.decode("latin-1"))
        if caller is None and 0 < len(shown) <= LONGEST:
            self._guesses.take(peer, GUESSES)
        return caller

    async def still(self, headers: Mapping[bytes, bytes], caller: Caller) -> Caller | None:
        """Return a caller who was let in a while ago as their key has it now; None if it is gone.

        Raises `StorageFailed`.
        """
        shown = _shown(headers)
        if caller.key == TOKEN and shown and self.tokens is not None:
            return await self.tokens.caller_of(shown.decode("latin-1"))
        return self.caller_of_claims(*self.claims_of(caller))

    def count(self, caller: Caller) -> None:
        """Count a request of a caller. Raises `TooMany`."""
        if self._pace is not None:
            self._pace.check(caller)

    def caller_of_request(self, headers: Mapping[bytes, bytes], peer: str = "") -> Caller | None:
        """Return who calls, as far as keys tell. Any key that nobody asked for is passed over.

        Whoever at an address tries many wrong keys has none compared with that of the settings, the
        only one that may have been made up by a person.
        """
        if not self.locked:
            return Caller(project=self._project)
        shown = _shown(headers)
        may_guess = self._key and not self._guesses.wait(peer, GUESSES)
        if may_guess and hmac.compare_digest(shown, self._key):
            return Caller(project=self._project, key=API_KEY)
        if self._ring is None:
            return None
        with _reading():
            key = self._ring.find(shown.decode("latin-1"))
        return caller_of_key(key, self._project) if key else None

    def claims_of(self, caller: Caller) -> list[JSON]:
        """Return who it is as plain values, for a token that lets them in later."""
        return [caller.owner, caller.project, caller.scope, caller.key]

    def caller_of_claims(self, owner: str, project: str, scope: str, key: str) -> Caller | None:
        """Return who a token of ours is for; None once they would not be let in by their key."""
        if not key:
            return None if self.locked else Caller(owner, project)
        if key == API_KEY:
            return Caller(owner, project, key=key) if self._key else None
        if key == TOKEN:
            return Caller(owner, project, cast(Right, scope), key) if self.tokens else None
        with _reading():
            found = self._ring.known(key) if self._ring is not None else None
        return caller_of_key(found, project) if found and found.owner == owner else None


@contextmanager
def _reading() -> Iterator[None]:
    """Keep from strangers what is wrong with the file of keys. Raises `StorageFailed`."""
    try:
        yield
    except (BadSettings, OSError) as error:
        log.error("Nobody can be let in: %s", error)
        raise StorageFailed(
            "Keys cannot be checked now.", "Whoever runs this server finds the reason in its log."
        ) from None


def _shown(headers: Mapping[bytes, bytes]) -> bytes:
    scheme, _, shown = headers.get(b"authorization", b"").partition(b" ")
    return shown.strip() if scheme.lower() in SCHEMES else b""


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
            caller = await self._gate.identify(scope)
        except TooMany as error:
            wait = b"%d" % math.ceil(error.retry_after)
            return await _refuse(send, 429, str(error), [(b"retry-after", wait)])
        except MediaError as error:
            return await _refuse(send, 503, str(error), [])
        if caller is None:
            return await _refuse(send, 401, MESSAGE, [(b"www-authenticate", self._gate.asks)])
        known = {CALLER: caller, **({"user": _user(caller)} if self._gate.locked else {})}
        stays = Staying(send, lambda: self._stays(scope, caller))
        return await self._app({**scope, **known}, receive, stays)

    async def _stays(self, scope: Scope, caller: Caller) -> bool:
        return await self._gate.still(dict(scope["headers"]), caller) is not None


def _is_metadata(path: str) -> bool:
    return path == METADATA or path.startswith(f"{METADATA}/")


def _user(caller: Caller) -> Any:
    """Return the caller as the SDK knows users: it binds a session to the one who opened it."""
    from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
    from mcp.server.auth.provider import AccessToken

    return AuthenticatedUser(AccessToken(token="", client_id=caller.owner, scopes=[caller.scope]))


async def _refuse(
    send: Send, status: int, message: str, headers: list[tuple[bytes, bytes]]
) -> None:
    body = json.dumps({"detail": message}).encode()
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
