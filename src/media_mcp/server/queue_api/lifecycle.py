"""How long a file is kept, as fal's clients say it in headers."""

from __future__ import annotations

import json
import math

from media_mcp.job import JSON
from media_mcp.server.queue_api.calls import BadRequest, Call

HEADERS = ("x-fal-object-lifecycle", "x-fal-object-lifecycle-preference")
LONGEST = 100 * 365 * 86400.0  # seconds; more is for ever


def lifetime_of(call: Call) -> float | None:
    """Return how many seconds the files of a call are to be kept; None: for ever.

    Raises `BadRequest` for what cannot be read, and for access rules: a file here can be had by
    whoever knows its URL, and nobody may believe that it cannot.
    """
    told = next((value for name in HEADERS if (value := call.header(name))), "")
    if not told:
        return None
    try:
        wanted = json.loads(told)
    except (ValueError, RecursionError):
        raise _unreadable("is not JSON") from None
    if not isinstance(wanted, dict):
        raise _unreadable("is not an object")
    _check_access(wanted.get("initial_acl"))
    return _seconds(wanted.get("expiration_duration_seconds"))


def _seconds(given: JSON) -> float | None:
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
        raise _unreadable(f"has {given!r} for expiration_duration_seconds, which is no number")
    if given <= 0:
        raise _unreadable(f"has {given:g} for expiration_duration_seconds; the least is 1")
    return float(given) if given < LONGEST else None


def _check_access(rules: JSON) -> None:
    if not rules:
        return
    allows = isinstance(rules, dict) and rules.get("default") in (None, "allow")
    if not allows or rules.get("rules"):
        raise BadRequest(
            "initial_acl asks for access rules, which this server does not keep.",
            "Leave initial_acl out: whoever knows the URL of a file may read it.",
        )


def _unreadable(why: str) -> BadRequest:
    return BadRequest(
        f"The header X-Fal-Object-Lifecycle {why[:200]}.",
        'Send {"expiration_duration_seconds": 3600}, or leave it out.',
    )
