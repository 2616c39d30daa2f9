"""Tokens with which a browser may call some apps for a short while, without the key."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from media_mcp.job import JSON, Caller
from media_mcp.server.auth import Gate
from media_mcp.server.queue_api.calls import BadRequest, Call, Reply, replied
from media_mcp.server.queue_api.keys import ServerKey
from media_mcp.server.queue_api.wire import NAMESPACES, wrong_method

SECONDS = 120  # that a token holds unless asked
LONGEST = 3600
MOST_APPS = 100
MAX_BODY = 64 * 2**10
KIND = "apps"
QUERY = "fal_jwt_token"


class Tokens:
    """Makes tokens for apps, and reads them. An app is named without its owner, as `flux`."""

    def __init__(self, key: ServerKey, gate: Gate, clock: Callable[[], float] = time.time) -> None:
        self._key = key
        self._gate = gate
        self._clock = clock

    async def handle(self, call: Call) -> Reply:
        """Answer `POST /tokens/` with a token as a JSON string."""
        if call.method != "POST":
            return wrong_method("POST")
        asked = await call.json(MAX_BODY)
        if not isinstance(asked, dict):
            raise BadRequest("The body is not an object.", 'Send {"allowed_apps": ["flux"]}.')
        apps, seconds = _apps(asked), _seconds(asked)
        return replied(200, self.token(apps, seconds, call.caller or Caller()))

    def token(self, apps: Sequence[str], seconds: float, caller: Caller) -> str:
        """Return a token for `apps` that holds for `seconds`."""
        claims = [list(apps), *self._gate.claims_of(caller)]
        return self._key.token(KIND, claims, self._clock() + seconds)

    def caller_of(self, token: str, endpoint: str) -> Caller | None:
        """Return who may call `endpoint` with `token`; None if it is wrong, old or for others.

        It lets in as far as the key it was made with does, and as long.
        """
        claims = self._key.claims(KIND, token, self._clock())
        if claims is None:
            return None
        apps, *who = claims
        return self._gate.caller_of_claims(*who) if alias_of(endpoint) in apps else None


def alias_of(endpoint: str) -> str:
    """Return the name of an endpoint's app without its owner: `flux` of `fal-ai/flux/dev`."""
    parts = endpoint.split("/")
    start = 1 if parts[0] in NAMESPACES else 0
    return parts[min(start + 1, len(parts) - 1)]


def _apps(asked: dict[str, JSON]) -> list[str]:
    apps = asked.get("allowed_apps")
    if not isinstance(apps, list) or not 0 < len(apps) <= MOST_APPS:
        raise BadRequest("`allowed_apps` is missing.", 'Send {"allowed_apps": ["flux"]}.')
    if not all(isinstance(app, str) and 0 < len(app) <= 200 for app in apps):
        raise BadRequest("`allowed_apps` must hold names of apps.", "Leave the owner out.")
    return [alias_of(app) for app in apps]


def _seconds(asked: dict[str, JSON]) -> float:
    seconds = asked.get("token_expiration", SECONDS)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise BadRequest("`token_expiration` must be a number of seconds.", f"Send {SECONDS}.")
    if not 1 <= seconds <= LONGEST:
        raise BadRequest(f"`token_expiration` is {seconds}.", f"Send seconds from 1 to {LONGEST}.")
    return seconds
