"""A user's consent to what a job may cost, as an argument of the call.

Every model's tool takes it, for clients that cannot ask their users. No schema lists it: the answer
to a call that needs it says what to add, so that only those who were refused pay for its words.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from media_mcp.catalog.model import Model
from media_mcp.errors import InvalidArguments, Problem
from media_mcp.job import JSON, Quote

CONSENT = "confirm_cost"
UNKNOWN = "unknown"


def part_consent(
    model: Model, arguments: Mapping[str, JSON]
) -> tuple[Mapping[str, JSON], JSON | None]:
    """Take the consent out of a call's arguments, unless the model has an input of that name.

    Raises `InvalidArguments` for one that is neither an amount nor `unknown`.
    """
    if CONSENT not in arguments or model.param(CONSENT):
        return arguments, None
    given = arguments[CONSENT]
    if given is not None and given != UNKNOWN and not _amount(given):
        words = f"is {json.dumps(given)[:40]}; it is the most that may be spent, in US dollars"
        raise InvalidArguments([Problem(CONSENT, f'{words}, or "{UNKNOWN}".')])
    return {name: value for name, value in arguments.items() if name != CONSENT}, given


def _amount(given: JSON) -> bool:
    number = isinstance(given, int | float) and not isinstance(given, bool)
    return number and math.isfinite(given) and given >= 0


def costly(quote: Quote, limit: float) -> bool:
    """Tell whether a job may cost more than a user wants to be asked about."""
    return quote.high is None or quote.high > limit


def agrees(quote: Quote, given: JSON | None) -> bool:
    """Tell whether a consent covers what a job may cost."""
    if quote.high is None or given is None or given == UNKNOWN:
        return quote.high is None and given == UNKNOWN
    return float(given) >= quote.high


def consent_of(quote: Quote) -> str:
    """Return the consent that covers a quote, as JSON; a little more where it is rounded."""
    if quote.high is None:
        return json.dumps(UNKNOWN)
    return f"{math.ceil(round(quote.high * 10_000, 6)) / 10_000:.4f}".rstrip("0").rstrip(".")
