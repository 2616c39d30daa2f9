"""What a user agreed that a job may cost, and whether that is enough."""

from __future__ import annotations

import json
import math

from media_mcp.errors import NeedsConsent
from media_mcp.job import JSON, Quote

CONSENT = "confirm_cost"  # the argument that says it, at every door
UNKNOWN = "unknown"  # they agreed to a price that nobody knows
ANYTHING = "anything"  # they were asked at their own terminal; no call from afar can say so


def check_agreed(quote: Quote, limit: float | None, given: JSON, door: str) -> None:
    """Raise `NeedsConsent` for a job that may cost more than `limit` (US dollars), and was agreed.

    None for `limit` means that nobody need be asked.
    """
    if limit is None or not costly(quote, limit) or agrees(quote, given):
        return
    more = "" if given is None else f", and more than was agreed to ({given})"
    raise NeedsConsent(
        f"It may cost {price_of(quote)}, which confirm_above = {limit:g} lets nobody spend "
        f"unasked{more}.",
        _how(consent_of(quote), door),
    )


def _how(consent: str, door: str) -> str:
    if door == "cli":
        return f"If you agree, add {CONSENT}={json.loads(consent)} to the command."
    return (
        f"Ask the user; if they agree, call again with {CONSENT}: {consent} added to the arguments."
    )


def price_of(quote: Quote) -> str:
    """Write what a job may cost for people."""
    return "an unknown amount" if quote.high is None else f"up to ${quote.high:.2f}"


def costly(quote: Quote, limit: float) -> bool:
    """Tell whether a job may cost more than a user wants to be asked about."""
    return quote.high is None or quote.high > limit


def agrees(quote: Quote, given: JSON | None) -> bool:
    """Tell whether a consent covers what a job may cost."""
    if given == ANYTHING:
        return True
    if quote.high is None or given is None or given == UNKNOWN:
        return quote.high is None and given == UNKNOWN
    return float(given) >= quote.high


def consent_of(quote: Quote) -> str:
    """Return the consent that covers a quote, as JSON; a little more where it is rounded."""
    if quote.high is None:
        return json.dumps(UNKNOWN)
    return f"{math.ceil(round(quote.high * 10_000, 6)) / 10_000:.4f}".rstrip("0").rstrip(".")
