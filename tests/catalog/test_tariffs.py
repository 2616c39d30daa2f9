"""Prices as places tell them."""

import pytest

from media_mcp.catalog.endpoints import read_lines
from media_mcp.catalog.facts import Normaliser
from media_mcp.catalog.sources import shipped_folder
from media_mcp.catalog.tariffs import billed, unit_words


def record(**told):
    return {"endpoint_id": "fal-ai/thing/x", "name": "Thing", "category": "text-to-image", **told}


def line(**told):
    return Normaliser().line(record(**told))


@pytest.fixture(scope="module")
def lines():
    return read_lines(shipped_folder() / "fal.jsonl")


@pytest.mark.parametrize(
    ("confidence", "source", "certainty", "as_of"),
    [
        ("high", "fal docs page, 2026-07-26 copy", "listed", "2026-07-26"),
        ("medium", "third-party report quoting fal, Sep 2026", "estimated", "2026-09"),
        ("low", "seed document", "estimated", "2026-06-11"),
    ],
)
def test_a_price_says_how_sure_it_is_and_of_when(confidence, source, certainty, as_of):
    made = line(
        source="snapshot 2026-06-11",
        price=0.05,
        price_unit="seconds",
        price_note="720p",
        price_source=source,
        price_confidence=confidence,
    )
    assert made["price"] == {
        "amount": 0.05,
        "unit": "second",
        "certainty": certainty,
        "as_of": as_of,
        "note": "720p",
    }


@pytest.mark.parametrize(
    ("told", "unit"),
    [
        ("images", "image"),
        ("Compute seconds", "compute second"),
        ("5 seconds", "5 seconds"),
        ("1000  characters", "1000 characters"),
        ("requests", "call"),
    ],
)
def test_units_are_written_in_our_words(told, unit):
    assert unit_words(told) == unit


def test_a_pricing_api_is_exact():
    entry = {"unit_price": 0.025, "unit": "megapixels", "currency": "USD"}
    assert billed(entry, "2026-11-02") == {
        "amount": 0.025,
        "unit": "megapixel",
        "certainty": "exact",
        "as_of": "2026-11-02",
    }


@pytest.mark.parametrize(
    "entry",
    [
        {"unit": "images"},
        {"unit_price": -1, "unit": "images"},
        {"unit_price": True, "unit": "images"},
        {"unit_price": 1, "unit": "images", "currency": "EUR"},
    ],
)
def test_what_is_no_amount_of_dollars_is_no_price(entry):
    assert billed(entry, "2026-11-02") is None


def test_the_shipped_prices_are_in_units_that_can_be_counted_or_named(lines):
    units = {line["price"]["unit"] for line in lines.values() if "price" in line}
    assert units <= {
        "image",
        "megapixel",
        "second",
        "minute",
        "video",
        "audio",
        "generation",
        "call",
        "1000 characters",
        "1m video tokens",
        "compute second",
        "5 seconds",
        "video segment",
    }
    assert sum("price" in line for line in lines.values()) == 162
