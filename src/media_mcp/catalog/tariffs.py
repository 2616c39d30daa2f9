"""What a place says of its prices, as `Price` values in JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

_OTHER_WORDS = {
    "processed megapixel": "megapixel",
    "request": "call",
    "1k characters": "1000 characters",
}
_CERTAINTIES = {"exact": "exact", "high": "listed"}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DATE = re.compile(r"\d{4}-\d{2}(-\d{2})?")
_MONTH = re.compile(r"\b(" + "|".join(_MONTHS) + r")[a-z]* (\d{4})", re.IGNORECASE)


def price_of(record: Mapping[str, Any], as_of: str) -> Json | None:
    """Return the price of a record, None if it has none; `as_of` dates it if nothing else does."""
    amount = record.get("price")
    if amount is None:
        return None
    made: Json = {
        "amount": amount,
        "unit": unit_words(record.get("price_unit") or "unit"),
        "certainty": _CERTAINTIES.get(record.get("price_confidence") or "", "estimated"),
        "as_of": _day(str(record.get("price_source") or "")) or as_of,
    }
    note = record.get("price_note")
    return made | ({"note": str(note)[:200]} if note else {})


def billed(entry: Mapping[str, Any], as_of: str) -> Json | None:
    """Return the price that a place's pricing API gives: `{unit_price, unit, currency}`.

    None if it holds no amount in US dollars.
    """
    amount = entry.get("unit_price")
    number = isinstance(amount, int | float) and not isinstance(amount, bool) and amount >= 0
    if not number or entry.get("currency", "USD") != "USD":
        return None
    unit = unit_words(str(entry.get("unit") or "unit"))
    return {"amount": amount, "unit": unit, "certainty": "exact", "as_of": as_of}


def unit_words(unit: str) -> str:
    """Return one unit of a place's in our words: `images` is `image`, `5 seconds` stays."""
    words = " ".join(unit.lower().split())
    if not words[:1].isdigit():
        words = words.removesuffix("s")
    return _OTHER_WORDS.get(words, words)


def _day(source: str) -> str:
    """Return the day or the month that a source names: `fal docs page, 2026-07-26 copy`."""
    if found := _DATE.search(source):
        return found.group()
    if found := _MONTH.search(source):
        month, year = found.groups()
        return f"{year}-{_MONTHS.index(month.lower()) + 1:02}"
    return ""
