"""Rows of models and quotes: everything that matters, and never more tokens than allowed."""

from __future__ import annotations

from typing import Any

import pytest

from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.describe import head_of, model_facts
from media_mcp.catalog.head import Head
from media_mcp.catalog.model import Model, OutputSpec
from media_mcp.job import MediaKind, Quote
from media_mcp.server.answer import SCHEMA_TOKENS, fitted, tokens
from media_mcp.server.offers import (
    QUOTE_TOKENS,
    ROW_TOKENS,
    alternative,
    model_row,
    place,
    quote_row,
    spread,
)
from media_mcp.server.tooldefs import tool_schema

FACTS_TOKENS = 300
READY = Quote("local", 0.0, 0.0, certainty="exact")
ABSENT = Quote("fal", 0.35, 0.35, ready=False, reason="not set up. Set FAL_KEY.")


def head(**more: Any) -> Head:
    fields: dict[str, Any] = {
        "id": "acme/clip",
        "tool": "acme_clip",
        "title": "Clip",
        "task": "text-to-video",
        "provider": "Acme",
        "licence": "MIT",
        "family": "",
        "about": "Makes short clips",
        "price": "$0.07 per second (2026-07)",
        "low": 0.35,
        "high": 0.35,
        "featured": False,
        "retired": False,
        "media_in": (),
        "media_out": (MediaKind.VIDEO,),
        "backends": ("fal",),
    }
    return Head(**fields | more)


def model(model_id: str = "local/clip") -> Model:
    outputs = (OutputSpec("video", MediaKind.VIDEO, "video/mp4"),)
    return Model(model_id, "clip", "Clip", "Makes clips.", "t", "MIT", (), outputs, ())


def test_a_row_says_what_it_is_what_it_costs_and_where_it_runs():
    assert model_row(head(), [ABSENT, READY]) == {
        "id": "acme/clip",
        "task": "text-to-video",
        "about": "Makes short clips",
        "price": "$0.07 per second (2026-07)",
        "typical_usd": "0.35",
        "runs_on": "local",
    }


def test_a_free_model_and_one_of_unknown_price_have_no_typical_cost():
    for low, high in ((0.0, 0.0), (None, None)):
        assert "typical_usd" not in model_row(head(low=low, high=high), [READY])


def test_a_retired_model_says_so():
    assert model_row(head(retired=True), [READY])["retired"] is True


@pytest.mark.parametrize("length", [0, 10, 60, 128])
def test_a_row_fits_60_tokens_whatever_it_holds(length: int):
    long = head(
        id="a" * max(length, 1),
        task="image-to-video",
        about="b" * 90,
        price="c" * length,
        low=1234.5678,
        high=98765.4321,
        retired=True,
    )
    row = model_row(long, [Quote("fal", None, None, ready=False, reason="d" * 500)])
    assert tokens(row) <= ROW_TOKENS
    assert row["id"] == long.id


def test_where_nothing_can_run_it_the_row_says_why():
    assert place([ABSENT]) == "not ready: fal: not set up. Set FAL_KEY."
    assert place([]) == "nowhere: it has no route"


def test_a_quote_holds_price_date_certainty_time_licence_and_readiness():
    quote = Quote(
        "fal",
        1.2,
        4.5,
        12.345,
        ready=False,
        reason="not set up. Set FAL_KEY.",
        basis="4 to 15 seconds × $0.3 (listed 2026-07)",
        timing="median of the last 3 here",
        certainty="listed",
        as_of="2026-07",
        licence="Apache-2.0",
    )
    assert quote_row(quote) == {
        "backend": "fal",
        "ready": False,
        "low_usd": 1.2,
        "high_usd": 4.5,
        "certainty": "listed",
        "as_of": "2026-07",
        "basis": "4 to 15 seconds × $0.3 (listed 2026-07)",
        "seconds": 12.35,
        "timing": "median of the last 3 here",
        "licence": "Apache-2.0",
        "reason": "not set up. Set FAL_KEY.",
    }


def test_what_is_not_known_is_said():
    row = quote_row(Quote("fal", None, None, basis="price unknown", timing="unknown"))
    assert (row["low_usd"], row["high_usd"]) == ("unknown", "unknown")
    assert (row["basis"], row["timing"]) == ("price unknown", "unknown")
    assert "certainty" not in row and "seconds" not in row and "reason" not in row


def test_a_quote_of_many_words_fits_110_tokens_and_keeps_the_next_step():
    quote = Quote(
        "f" * 20,
        1.234567,
        9.876543,
        123.45,
        ready=False,
        reason="r" * 400,
        basis="b" * 400,
        timing="median of the last 20 here",
        certainty="estimated",
        as_of="2026-07-26",
        licence="l" * 200,
    )
    row = quote_row(quote)
    assert tokens(row) <= QUOTE_TOKENS
    assert len(row["reason"]) >= 100


def test_an_alternative_is_named_with_where_it_runs_and_what_it_costs():
    assert alternative(model(), [READY]) == "local/clip (runs on local, free)"
    assert alternative(model(), [ABSENT]) == "local/clip (not ready here)"
    paid = Quote("fal", 0.1, 0.2)
    assert alternative(model(), [paid]) == "local/clip (runs on fal, about $0.1 to 0.2)"
    unknown = Quote("fal", None, None)
    assert alternative(model(), [unknown]) == "local/clip (runs on fal, price unknown)"


def test_a_range_is_written_to_three_digits():
    assert spread(0.026214, 0.026214) == "0.0262"
    assert spread(1.2136, 4.551) == "1.21 to 4.55"
    assert spread(1234.5, 98765.4) == "1234 to 98765"
    assert spread(None, None) == "unknown"


def test_every_model_of_the_catalog_keeps_to_the_budgets() -> None:
    absent = Quote("fal", None, None, ready=False, reason="x" * 300)
    for model in Catalog.load():
        assert tokens(model_row(head_of(model), [absent])) <= ROW_TOKENS, model.id
        assert tokens(fitted(tool_schema(model))) <= SCHEMA_TOKENS, model.id
        assert tokens(model_facts(model)) <= FACTS_TOKENS, model.id
