"""Models in words: prices with their date and certainty, heads for listings, facts for answers."""

from __future__ import annotations

from typing import Any

import pytest

from media_mcp.catalog.describe import (
    SPEED_SECONDS,
    SPEEDS,
    about,
    caveats,
    cost_words,
    head_of,
    model_facts,
    price_of,
    price_words,
    route_facts,
)
from media_mcp.catalog.model import Model, OutputSpec, Param
from media_mcp.job import MediaKind, Price, PriceCase, Route

LOCAL = Route(
    "local", {"pipeline": "diffusers", "weights": "a/b"}, Price(0, "call", "exact"), "MIT"
)
HOSTED = Route("fal", {"endpoint": "x"}, Price(0.1, "second", "listed", "2026-07"))


def model(**more: Any) -> Model:
    fields: dict[str, Any] = {
        "id": "acme/clip",
        "tool": "acme_clip",
        "title": "Clip",
        "description": "Makes short clips. Not for film.",
        "task": "text-to-video",
        "licence": "hosted, commercial use",
        "inputs": (Param("duration", "integer", default=5), Param("prompt", "string")),
        "outputs": (OutputSpec("video", MediaKind.VIDEO, "video/mp4"),),
        "routes": (HOSTED,),
    }
    return Model(**fields | more)


@pytest.mark.parametrize(
    ("price", "words"),
    [
        (None, "price unknown"),
        (Price(1, "call", "unknown"), "price unknown"),
        (Price(0, "call", "exact"), "free"),
        (Price(0.04, "image", "exact", "2026-11-20"), "$0.04 per image (2026-11-20)"),
        (Price(0.04, "image", "listed", "2026-07"), "$0.04 per image (2026-07)"),
        (Price(0.04, "image", "listed"), "$0.04 per image"),
        (Price(0.0008, "compute second", "estimated"), "about $0.0008 per compute second"),
        (
            Price(0.015, "megapixel", "estimated", "2026-09", first=0.03),
            "about $0.03 for the first megapixel, $0.015 for each more (2026-09)",
        ),
        (
            Price(0.1, "second", cases=(PriceCase({"resolution": "4k"}, 0.5),)),
            "$0.1 to $0.5 per second",
        ),
        (
            Price(0, "second", cases=(PriceCase({"resolution": "4k"}, 0.5),)),
            "$0 to $0.5 per second",
        ),
    ],
)
def test_a_price_in_words_says_how_sure_it_is_and_of_when(price: Price | None, words: str):
    assert price_words(price) == words


def test_the_price_of_a_model_is_that_of_its_hosted_route():
    assert price_of(model(routes=(LOCAL, HOSTED))) == "$0.1 per second (2026-07)"
    assert price_of(model(routes=(LOCAL,))) == "free"
    assert price_of(model(routes=())) == "price unknown"


def test_costs_are_told_as_they_are_known():
    assert cost_words(None, None) == "unknown"
    assert cost_words(0.0, 0.0) == "free"
    assert cost_words(0.35, 0.35) == "$0.35"
    assert cost_words(1.2136, 4.551) == "$1.2136 to $4.551"


def test_a_head_holds_what_listings_need():
    picture = Param("image_url", "string", media=MediaKind.IMAGE)
    shot = Param("shots", "array", items=Param("", "object", properties=(picture,)))
    head = head_of(
        model(
            inputs=(Param("duration", "integer", default=5), picture, shot),
            outputs=(
                OutputSpec("video", MediaKind.VIDEO, "video/mp4"),
                OutputSpec("preview", MediaKind.VIDEO, "video/mp4"),
                OutputSpec("cover", MediaKind.IMAGE, "image/png"),
            ),
            routes=(LOCAL, HOSTED, HOSTED),
            provider="Acme",
            family="clip",
            featured=True,
            search_hint="movie",
        )
    )
    assert (head.low, head.high, head.price) == (0.5, 0.5, "$0.1 per second (2026-07)")
    assert head.media_in == (MediaKind.IMAGE,)
    assert head.media_out == (MediaKind.VIDEO, MediaKind.IMAGE)
    assert head.backends == ("local", "fal")
    assert (head.about, head.hint) == ("Makes short clips", "movie")
    assert head.description == "Makes short clips. Not for film."
    assert (head.provider, head.family, head.featured, head.retired) == (
        "Acme",
        "clip",
        True,
        False,
    )


def test_a_head_of_a_model_whose_price_is_not_known_has_no_costs():
    head = head_of(model(routes=(Route("fal"),)))
    assert (head.low, head.high, head.price) == (None, None, "price unknown")


def test_a_long_first_sentence_is_cut():
    words = about(model(description="Long " * 40 + "end."))
    assert 80 < len(words) <= 90
    assert words.endswith("…")


def test_facts_leave_out_what_is_not_known():
    assert model_facts(model()) == {
        "id": "acme/clip",
        "tool": "acme_clip",
        "title": "Clip",
        "task": "text-to-video",
        "description": "Makes short clips. Not for film.",
        "licence": "hosted, commercial use",
        "price": "$0.1 per second (2026-07)",
    }


def test_facts_say_what_a_model_is_good_at_how_fast_and_what_is_doubtful():
    facts = model_facts(
        model(
            good_at=("motion",),
            bad_at=("hands",),
            speed="fast",
            policy="No faces.",
            uncertain="Its limits are not known.",
            retired=True,
            successor="acme/clip-2",
        )
    )
    assert (facts["good_at"], facts["bad_at"]) == (["motion"], ["hands"])
    assert (facts["speed"], facts["policy"]) == ("under 10 s", "No faces.")
    assert facts["uncertain"] == "Its limits are not known."
    assert (facts["retired"], facts["successor"]) == (True, "acme/clip-2")


def test_caveats_are_empty_where_there_is_nothing_to_know():
    assert caveats(model()) == {}


def test_every_class_of_speed_but_minutes_has_a_bound():
    assert SPEED_SECONDS.keys() == SPEEDS.keys() - {"slow"}


def test_a_route_is_told_with_its_licence_and_its_price_as_a_rule():
    price = Price(
        0.1, "second", "listed", "2026-07", 0.2, (PriceCase({"fps": 60}, 0.3),), "for 720p"
    )
    assert route_facts(Route("fal", {}, price, "MIT")) == {
        "backend": "fal",
        "licence": "MIT",
        "price": {
            "amount_usd": 0.1,
            "unit": "second",
            "certainty": "listed",
            "as_of": "2026-07",
            "first_usd": 0.2,
            "cases": [{"when": {"fps": 60}, "amount_usd": 0.3}],
            "note": "for 720p",
        },
    }
    assert route_facts(Route("fal")) == {"backend": "fal", "price": None}
    unknown = Price(0, "call", "unknown", note="billed by the token")
    assert route_facts(Route("fal", {}, unknown))["price"] == {
        "certainty": "unknown",
        "note": "billed by the token",
    }
