"""Units beside sizes and seconds, cases, what a route's card fixes, and what is typical."""

from __future__ import annotations

from typing import Any

import pytest

from media_mcp.catalog.model import Model, OutputSpec, Param
from media_mcp.catalog.pricing import Charge, charge, price_range, shown_route, typical, unit_of
from media_mcp.job import MediaKind, Price, PriceCase, Route

IMAGE, VIDEO, AUDIO = MediaKind.IMAGE, MediaKind.VIDEO, MediaKind.AUDIO
SIZE = Param("image_size", "string", default="square_hd", form="size", maximum=14142)
DURATION = Param("duration", "string", default="5", enum=("5", "10"))
RESOLUTION = Param("resolution", "string", default="720p", enum=("480p", "720p", "1080p"))
SOUND = Param("generate_audio", "boolean", default=True)
TEXT = Param("text", "string", required=True)
PICTURE = Param("image_url", "string", required=True, media=IMAGE)
CLIP = Param("video_url", "string", required=True, media=VIDEO)


def model(*inputs: Param, makes: MediaKind = IMAGE, routes: tuple[Route, ...] = ()) -> Model:
    return Model(
        id="acme/model",
        tool="acme_model",
        title="A model",
        description="Makes things.",
        task="text-to-image",
        licence="MIT",
        inputs=inputs,
        outputs=(OutputSpec("out", makes, "x/y"),),
        routes=routes,
    )


def clip(*inputs: Param) -> Model:
    return model(*inputs, makes=VIDEO)


def cost(price: Price, of: Model, given: dict[str, Any] | None = None) -> Charge:
    return price_range(price, of, given or {})


def exact(found: Charge) -> float:
    assert found.low == found.high is not None, found
    return found.high


# Text and the rest


def test_characters_are_counted_in_the_text_that_is_spoken():
    price, of = Price(0.1, "1000 characters"), model(TEXT, makes=AUDIO)
    found = cost(price, of, {"text": "a" * 250})
    assert exact(found) == 0.025
    assert found.basis == "250 characters × $0.1 per 1000 characters (listed)"


def test_the_lines_of_a_dialogue_are_added_up():
    lines = Param("inputs", "array", required=True, items=Param("", "object"))
    given = {"inputs": [{"text": "abc", "voice": "x"}, {"text": "de"}, {"voice": "y"}]}
    assert exact(cost(Price(1, "character"), model(lines), given)) == 5.0


def test_a_text_that_was_not_given_has_the_bounds_of_its_schema_or_no_price():
    bounded = Param("text", "string", required=True, min_length=10, max_length=1000)
    found = cost(Price(1, "1k characters"), model(bounded))
    assert (found.low, found.high) == (0.01, 1.0)
    assert "the length of text" in cost(Price(1, "1k characters"), model(TEXT)).basis
    assert "how much text it is" in cost(Price(1, "1k characters"), model()).basis


@pytest.mark.parametrize("unit", ["video", "audio", "generation", "call"])
def test_whole_things_are_paid_each(unit: str):
    assert exact(cost(Price(0.5, unit), clip(DURATION))) == 0.5


def test_steps_are_paid_each():
    steps = Param("steps", "integer", default=1000, maximum=5000)
    assert exact(cost(Price(0.002, "step"), model(steps))) == 2.0


@pytest.mark.parametrize(
    "unit", ["compute second", "video segment", "1m tokens", "unit", "elephant", "step", "frame"]
)
def test_what_cannot_be_counted_beforehand_has_no_price_but_says_the_rate(unit: str):
    found = cost(Price(0.0008, unit), model())
    assert (found.low, found.high) == (None, None)
    assert found.basis.startswith(f"$0.0008 per {unit}; unknown: how ")


def test_units_are_known_in_the_words_of_a_pricing_api_too():
    same = {"images": "image", "Megapixels": "megapixel", "requests": "call", "videos": "video"}
    for words, name in same.items():
        assert unit_of(words).name == name
    assert unit_of("10 seconds").size == 10
    assert unit_of("minutes").size == 60
    assert unit_of("2 minutes").size == 120
    assert unit_of("1m video tokens").size == 1e6
    assert unit_of("elephants") is unit_of("") is None


def test_nothing_to_pay_is_free_whatever_is_asked():
    assert cost(Price(0, "call", "exact"), model()) == Charge(0.0, 0.0, "free")
    assert cost(Price(0, "second"), clip(CLIP)) == Charge(0.0, 0.0, "free")


def test_a_price_that_is_not_known_is_not_guessed():
    assert cost(None, model()) == Charge(None, None, "price unknown")
    unknown = Price(0, "call", "unknown", note="billed as 2 per credit")
    assert cost(unknown, model()) == Charge(None, None, "price unknown; billed as 2 per credit")


def test_a_basis_says_how_sure_it_is_and_what_the_rule_leaves_out():
    price = Price(0.5, "video", "estimated", "2026-09", note="for 5 s in 540p")
    assert cost(price, clip()).basis == "1 video × $0.5 (estimated 2026-09); for 5 s in 540p"


def test_small_amounts_are_written_in_full():
    assert "× $0.00000125 (" in cost(Price(1.25e-6, "image"), model()).basis


# Cases


def cases(*given: tuple[dict[str, Any], float]) -> Price:
    return Price(1.0, "second", cases=tuple(PriceCase(when, amount) for when, amount in given))


def test_the_first_case_that_fits_replaces_the_amount():
    price = cases(({"resolution": "480p"}, 0.5), ({"resolution": ["1080p", "720p"]}, 2.0))
    of = clip(Param("duration", "integer", default=1), RESOLUTION)
    assert exact(cost(price, of)) == 2.0
    assert exact(cost(price, of, {"resolution": "480P"})) == 0.5
    assert exact(cost(cases(({"resolution": "4k"}, 9)), of)) == 1.0


def test_every_condition_of_a_case_must_hold():
    price = cases(({"resolution": "720p", "generate_audio": False}, 0.2))
    of = clip(Param("duration", "integer", default=1), RESOLUTION, SOUND)
    assert exact(cost(price, of)) == 1.0
    assert exact(cost(price, of, {"generate_audio": False})) == 0.2


def test_a_case_may_replace_the_first_unit_too():
    price = Price(0.015, "megapixel", cases=(PriceCase({"style": "rich"}, 0.02, 0.07),), first=0.03)
    of = model(SIZE, Param("style", "string", default="rich"))
    assert exact(cost(price, of, {"image_size": "2000x1000"})) == 0.09


@pytest.mark.parametrize(
    ("when", "fits"),
    [
        ({"seconds": {"min": 10}}, True),
        ({"seconds": {"min": 11}}, False),
        ({"seconds": {"min": 5, "max": 9}}, False),
        ({"seconds": 10}, True),
        ({"seconds": [5, "10"]}, True),
        ({"height": {"max": 720}}, True),
        ({"height": {"max": 480}}, False),
        ({"megapixels": {"min": 0.9, "max": 1}}, True),
        ({"images": {"min": 2}}, False),
        ({"duration": {"min": 6}}, True),
        ({"duration": 10}, True),
        ({"image_urls": {"min": 1}}, True),
        ({"image_urls": {"min": 3}}, False),
        ({"mask_url": {"min": 1}}, False),
        ({"no_such_thing": 1}, False),
    ],
)
def test_conditions_are_on_arguments_and_on_what_is_computed(when: dict[str, Any], fits: bool):
    many = Param("image_urls", "array", media=IMAGE, items=Param("", "string"))
    mask = Param("mask_url", "string", media=IMAGE)
    given = {"duration": "10", "image_urls": ["media://a", "media://b"]}
    found = cost(cases((when, 7.0)), clip(DURATION, RESOLUTION, many, mask), given)
    assert exact(found) == (70.0 if fits else 10.0)


@pytest.mark.parametrize(
    "when",
    [
        {"generate_audio": True},
        {"resolution": "480p"},
        {"fps": {"min": 60}},
        {"style": "x"},
        {"seconds": {"min": 10}},
        {"seconds": 10},
        {"quality": {"min": 5}},
    ],
)
def test_a_condition_that_nobody_can_tell_makes_a_range(when: dict[str, Any]):
    of = clip(
        Param("duration", "string", default="auto", enum=("auto", "5", "10")),
        Param("generate_audio", "boolean"),
        Param("resolution", "string", default="auto", enum=("auto", "480p", "720p")),
        Param("style", "string"),
        Param("quality", "string", default="good"),
    )
    found = cost(cases((when, 2.0)), of)
    assert (found.low, found.high) == (5.0, 20.0)
    assert "5 to 10 seconds × $1 to $2" in found.basis


def test_an_open_argument_that_fits_whatever_it_is_decides():
    auto = Param("resolution", "string", default="auto", enum=("auto", "480p", "720p"))
    of = clip(Param("duration", "integer", default=1), auto)
    assert exact(cost(cases(({"resolution": ["480p", "720p"]}, 3.0)), of)) == 3.0
    assert exact(cost(cases(({"resolution": "auto"}, 4.0)), of)) == 4.0


# Routes and typical calls


def test_what_a_card_has_fixed_counts_as_given():
    route = Route("fal", {"fixed": {"image_size": "2000x1000"}}, Price(1, "megapixel"))
    assert exact(charge(model(), route, {})) == 2.0
    sent = Route("fal", {"set": {"resolution": "1080p"}}, Price(1, "megapixel"))
    assert exact(charge(clip(), sent, {})) == pytest.approx(1920 * 1080 / 1e6)
    sides = Route("fal", {"fixed": {"width": 100, "height": 10_000}}, Price(1, "megapixel"))
    assert exact(charge(model(), sides, {})) == 1.0
    odd = Route("fal", {"fixed": {"duration": "long"}}, Price(1, "second"))
    assert "duration, which was left open" in charge(clip(), odd, {}).basis


def test_the_first_hosted_route_stands_for_a_model_and_else_the_first():
    worker = {"pipeline": "diffusers"}
    local, hosted = Route("local", worker, Price(0, "call")), Route("fal", {}, Price(2, "call"))
    assert shown_route(model(routes=(local, hosted))) is hosted
    assert shown_route(model(routes=(local,))) is local
    assert shown_route(model()) is None
    assert typical(model(routes=(local, hosted))).high == 2.0
    assert typical(model(routes=(local, hosted)), local).high == 0.0
    assert typical(model()).high is None


@pytest.mark.parametrize(
    ("of", "unit", "count"),
    [
        (clip(CLIP), "second", 5.0),
        (clip(Param("audio_url", "string", media=AUDIO)), "second", 5.0),
        (model(TEXT), "character", 200.0),
        (model(Param("text", "string", required=True, min_length=1)), "character", 200.0),
        (model(PICTURE), "megapixel", 1.048576),
        (clip(PICTURE), "megapixel", 0.9216),
        (
            model(Param("image_urls", "array", required=True, media=IMAGE)),
            "input and output megapixel",
            2.097152,
        ),
        (
            model(
                Param(
                    "inputs",
                    "array",
                    required=True,
                    items=Param(
                        "",
                        "object",
                        properties=(Param("text", "string"), Param("speed", "number")),
                    ),
                )
            ),
            "character",
            200.0,
        ),
    ],
)
def test_a_typical_call_has_5_seconds_200_characters_and_a_megapixel(
    of: Model, unit: str, count: float
):
    route = Route("fal", {}, Price(1, unit))
    assert exact(typical(of, route)) == count


def test_a_typical_call_is_unknown_where_the_price_is():
    assert typical(clip(), Route("fal", {}, Price(1, "second"))).high is None
