"""What a submit asks for besides its input: headers and parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from media_mcp.queue.terms import LOW, NORMAL
from media_mcp.server.queue_api.calls import BadRequest, Call
from media_mcp.server.queue_api.lifecycle import lifetime_of

PRIORITIES: Mapping[str, int] = {"": NORMAL, "normal": NORMAL, "low": LOW}
YES = ("1", "true", "yes")
NO = ("0", "false", "no")
SHORTEST_WAIT = 0.1  # seconds; fal takes only more than this
LONGEST_WAIT = 366 * 86400.0
LONGEST_KEY = 255
LONGEST_NUMBER = 20  # digits
LONGEST_HINT = 16 * 2**10
LONGEST_URL = 2000
LONGEST_QUEUE = 10**6


@dataclass(frozen=True, slots=True)
class Options:
    """How a request wants to be treated.

    `start_within` and `lifetime` are seconds, `lifetime` that of the outputs; `webhook` is an http
    address or empty. `most` refuses the request when so many wait already.
    """

    priority: int = 0
    start_within: float | None = None
    private: bool = False
    webhook: str = ""
    lifetime: float | None = None
    key: str | None = None
    hint: str = ""
    most: int | None = None
    retry: bool = True


def options_of(call: Call) -> Options:
    """Read the options of a submit. Raises `BadRequest` for one that makes no sense."""
    query = call.query()
    return Options(
        priority=_priority(call.header("x-fal-queue-priority")),
        start_within=_start_within(call),
        private=call.header("x-fal-store-io").lower() in NO,
        webhook=_webhook(query.get("fal_webhook", "")),
        lifetime=lifetime_of(call),
        key=_key(call.header("idempotency-key")),
        hint=_hint(call.header("x-fal-runner-hint")),
        most=_most(query.get("fal_max_queue_length", "")),
        retry=call.header("x-fal-no-retry").lower() not in YES,
    )


def wants_logs(query: Mapping[str, str]) -> bool:
    """Tell whether `logs` is set, as Python (`true`) and JavaScript (`1`) write it."""
    return query.get("logs", "").lower() in YES


def _priority(text: str) -> int:
    try:
        return PRIORITIES[text.lower()]
    except KeyError:
        raise BadRequest(
            f"X-Fal-Queue-Priority is {text[:40]!r}.", "Write normal or low."
        ) from None


def _start_within(call: Call) -> float | None:
    newer = call.header("x-fal-request-start-timeout")
    text = newer or call.header("x-fal-request-timeout")
    if not text:
        return None
    seconds = _number(text)
    if seconds is None or not SHORTEST_WAIT < seconds <= LONGEST_WAIT:
        name = "X-Fal-Request-Start-Timeout" if newer else "X-Fal-Request-Timeout"
        raise BadRequest(
            f"{name} is {text[:40]!r}.", f"Write seconds, more than {SHORTEST_WAIT}, as 12.0."
        )
    return seconds


def _webhook(url: str) -> str:
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        port_fits = parts.port != 0
    except ValueError:
        port_fits = False
    if not port_fits or parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadRequest(f"fal_webhook is no address: {url[:200]!r}.", "Write https://host/path.")
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or "@" in parts.netloc:
        raise BadRequest(
            f"fal_webhook cannot be used: {url[:200]!r}.",
            f"Write at most {LONGEST_URL} plain characters, without a user name.",
        )
    return url


def _key(text: str) -> str | None:
    if not text:
        return None
    if len(text) > LONGEST_KEY or not text.isprintable():
        raise BadRequest(
            f"Idempotency-Key has {len(text)} characters, or some that cannot be printed.",
            f"Send at most {LONGEST_KEY}; a UUID will do.",
        )
    return text


def _hint(text: str) -> str:
    if len(text) > LONGEST_HINT:
        raise BadRequest(
            f"X-Fal-Runner-Hint has {len(text)} characters.", f"Send at most {LONGEST_HINT}."
        )
    return text


def _most(text: str) -> int | None:
    if not text:
        return None
    plain = text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER
    if not plain or not 0 < int(text) <= LONGEST_QUEUE:
        raise BadRequest(
            f"fal_max_queue_length is {text[:40]!r}.",
            f"Write a whole number from 1 to {LONGEST_QUEUE}.",
        )
    return int(text)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
