"""Tokens of an OAuth server as keys: this server is a protected resource in the words of RFC 9728.

A token is a JWT, checked with the issuer's own keys (JWKS); what it may do is told by its scopes.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import jwt
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from media_mcp.job import Caller, Scope
from media_mcp.media.names import shown
from media_mcp.server.auth import METADATA, TOKEN
from media_mcp.server.issuer import IssuerKeys
from media_mcp.tables import OAuth

# Only keys in pairs: with a shared secret, whoever can check a token could make one.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "ES256", "ES384", "EdDSA")
SCOPES: Mapping[str, Scope] = {
    "media:admin": "admin",
    "media:run": "run",
    "media:read": "read",
}
PREFIX = "oauth:"  # so that no token can name a caller who has a key
LEEWAY = 30  # seconds that clocks may differ
_LONGEST = 16_384  # characters
_LONGEST_SUBJECT = 200

log = logging.getLogger(__name__)


class Tokens:
    """Tells who shows a token."""

    def __init__(self, settings: OAuth, project: str) -> None:
        self._settings = settings
        self._project = project
        self._keys = IssuerKeys(settings.jwks_url)

    @property
    def metadata_url(self) -> str:
        """Where a client reads which server gives tokens for this one."""
        return f"{_origin(self._settings.audience)}{_path(self._settings.audience)}"

    def routes(self) -> list[Route]:
        """Return the routes that serve what a client reads there."""
        paths = dict.fromkeys((METADATA, _path(self._settings.audience)))
        return [Route(path, self._metadata, methods=["GET"]) for path in paths]

    async def _metadata(self, request: Request) -> JSONResponse:
        return JSONResponse(
            {
                "resource": self._settings.audience,
                "authorization_servers": [self._settings.issuer],
                "scopes_supported": list(SCOPES),
                "bearer_methods_supported": ["header"],
                "resource_name": "media-mcp",
            },
            headers={"access-control-allow-origin": "*", "cache-control": "max-age=3600"},
        )

    async def caller_of(self, token: str) -> Caller | None:
        """Return who shows a token; None for one that is foreign, old, changed or without scope."""
        if token.count(".") != 2 or len(token) > _LONGEST:
            return None
        try:
            claims = await self._claims(token)
        except jwt.PyJWTError as error:
            log.warning("A token was refused: %s", shown(str(error), 200))
            return None
        subject, scope = claims["sub"], _scope(claims)
        if not 0 < len(subject) <= _LONGEST_SUBJECT or not subject.isprintable():
            log.warning("A token was refused: its sub is %s", shown(subject, 200) or "empty")
            return None
        return Caller(f"{PREFIX}{subject}", self._project, scope, TOKEN) if scope else None

    async def _claims(self, token: str) -> dict[str, Any]:
        key_id = jwt.get_unverified_header(token).get("kid")
        key = await self._keys.find(key_id) if isinstance(key_id, str) else None
        if key is None:
            raise jwt.InvalidKeyError("it is signed with a key that its issuer does not have")
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=ALGORITHMS,
            audience=self._settings.audience,
            issuer=self._settings.issuer,
            leeway=LEEWAY,
            options={"require": ["exp", "sub", "aud", "iss"]},
        )
        return claims


def _scope(claims: Mapping[str, Any]) -> Scope | None:
    """Return the most that a token allows; as `scope`, or as `scp` where servers say that."""
    told = claims.get("scope", claims.get("scp", ""))
    words = told.split() if isinstance(told, str) else told
    if not isinstance(words, list):
        return None
    return next((scope for word, scope in SCOPES.items() if word in words), None)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _path(audience: str) -> str:
    """Return the path of the metadata: RFC 9728 puts it before that of the resource."""
    return METADATA + urlsplit(audience).path.rstrip("/")
