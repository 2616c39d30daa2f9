"""What models and quotes look like in an answer: short rows that say price, place and readiness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from media_mcp.catalog.head import Head
from media_mcp.catalog.model import Model
from media_mcp.job import JSON, Quote
from media_mcp.queue.policy import best
from media_mcp.server.answer import CHARS_PER_TOKEN, shorten, tokens

ROW_TOKENS = 60
QUOTE_TOKENS = 110
# What is cut where a row has too many tokens, in this order, to as many characters at least.
_CUT_IN_ROW = {"about": 0, "runs_on": 24, "price": 24, "typical_usd": 0, "task": 0}
_CUT_IN_QUOTE = {"basis": 40, "licence": 24, "reason": 100}


def model_row(head: Head, quotes: Sequence[Quote]) -> dict[str, JSON]:
    """Return a model in at most 60 tokens; the description gets what the rest leaves."""
    row: dict[str, JSON] = {"id": head.id, "task": head.task, "about": head.about}
    row["price"] = head.price
    if head.high:
        row["typical_usd"] = spread(head.low, head.high)
    row["runs_on"] = place(quotes)
    if head.retired:
        row["retired"] = True
    return _cut(row, ROW_TOKENS, _CUT_IN_ROW)


def _cut(row: dict[str, JSON], budget: int, leasts: Mapping[str, int]) -> dict[str, JSON]:
    """Shorten texts of a row until it keeps to its budget; a text without a rest is left out."""
    for name, least in leasts.items():
        over = (tokens(row) - budget) * CHARS_PER_TOKEN
        if over > 0 and name in row:
            left = max(least, len(row[name]) - over)
            row |= {name: shorten(row[name], left)} if left else {}
            row = row if left else {key: value for key, value in row.items() if key != name}
    return row


def place(quotes: Sequence[Quote]) -> str:
    """Return the backend that would run a job now, or why none would."""
    ready = best(quotes)
    if ready is not None:
        return ready.backend
    if not quotes:
        return "nowhere: it has no route"
    return f"not ready: {quotes[0].backend}: {quotes[0].reason}"


def quote_row(quote: Quote) -> dict[str, JSON]:
    """Return all that is known of one route, in at most 110 tokens."""
    row: dict[str, JSON] = {"backend": quote.backend, "ready": quote.ready}
    row |= _price(quote)
    if quote.seconds is not None:
        row["seconds"] = round(quote.seconds, 2)
    row |= {"timing": quote.timing, "licence": quote.licence}
    if not quote.ready:
        row["reason"] = quote.reason
    known = {name: value for name, value in row.items() if value != ""}
    return _cut(known, QUOTE_TOKENS, _CUT_IN_QUOTE)


def _price(quote: Quote) -> dict[str, JSON]:
    row: dict[str, JSON] = {"low_usd": quote.low, "high_usd": quote.high}
    row = {name: "unknown" if value is None else value for name, value in row.items()}
    sure = {"certainty": quote.certainty} if quote.certainty != "unknown" else {}
    return row | sure | {"as_of": quote.as_of, "basis": quote.basis}


def alternative(model: Model, quotes: Sequence[Quote]) -> str:
    """Return a model that may stand in for another, in a few words."""
    ready = best(quotes)
    if ready is None:
        return f"{model.id} (not ready here)"
    return f"{model.id} (runs on {ready.backend}, {_cost(ready)})"


def _cost(quote: Quote) -> str:
    if quote.high is None:
        return "price unknown"
    return f"about ${spread(quote.low, quote.high)}" if quote.high else "free"


def spread(low: float | None, high: float | None) -> str:
    """Write a range of US dollars to three digits: `0.35`, `1.21 to 4.55`."""
    if low is None or high is None:
        return "unknown"
    shown = [f"{value:.3g}" if value < 1000 else f"{value:.0f}" for value in (low, high)]
    return " to ".join(dict.fromkeys(shown))
