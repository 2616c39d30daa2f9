"""Requests: arguments in a route's own words, and back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.model import Model, OutputSpec, Param
from media_mcp.catalog.requests import arguments_of, heard, request_for
from media_mcp.errors import BadCard
from media_mcp.job import JSON, MediaKind, Route

PRESETS = ("square_hd", "landscape_16_9", "auto")
INPUTS = (
    Param("prompt", "string", required=True),
    Param("image_url", "string", media=MediaKind.IMAGE),
    Param("image_size", "string", form="size", enum=PRESETS),
    Param("duration", "string", enum=("5", "10", "auto")),
    Param("seconds", "number"),
    Param("steps", "integer"),
    Param("strength", "string", form="number"),
    Param("layers", "array", items=Param("", "object", properties=(Param("at", "string"),))),
    Param(
        "crops",
        "array",
        items=Param("", "object", properties=(Param("size", "string", form="size"),)),
    ),
    Param("more", "object"),
)
SPECS: tuple[dict[str, Any], ...] = (
    {"map": {"image_size": {"to": ["width", "height"]}, "prompt": "text", "steps": None}},
    {"map": {"seconds": {"to": "n", "times": 24, "plus": 1, "step": 8}}, "template": "a {prompt}"},
    {"map": {"duration": {"to": "n", "as": "{}s"}, "steps": {"to": "text", "as": "integer"}}},
    {"fixed": {"duration": "5"}},
)
NAMES = st.sampled_from([param.name for param in INPUTS] + ["width", "height", "n", "text"])
ANYTHING = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([10**400, "5s", "64x64", 1e308])
    | st.text(max_size=4)
    | st.lists(st.dictionaries(st.sampled_from(["size", "at"]), st.integers()), max_size=2)
    | st.dictionaries(st.sampled_from(["width", "height"]), st.integers())
)
MADE = (OutputSpec("images", MediaKind.IMAGE, "image/png"),)


def model(**spec: JSON) -> tuple[Model, Route]:
    route = Route("fal", spec)
    return Model("m", "m", "M", "", "t", "MIT", INPUTS, MADE, (route,), source="card"), route


@pytest.mark.parametrize(
    ("spec", "arguments", "wire"),
    [
        ({}, {"prompt": "x", "steps": 4}, {"prompt": "x", "steps": 4}),
        ({}, {"image_size": "square_hd"}, {"image_size": "square_hd"}),
        ({}, {"image_size": "64x32"}, {"image_size": {"width": 64, "height": 32}}),
        ({}, {"strength": "5"}, {"strength": 5}),
        ({}, {"strength": "-0.25"}, {"strength": -0.25}),
        ({}, {"strength": "auto"}, {"strength": "auto"}),
        ({}, {"strength": "05"}, {"strength": "05"}),
        ({}, {"strength": "1.50"}, {"strength": "1.50"}),
        ({}, {"prompt": "5"}, {"prompt": "5"}),
        (
            {},
            {"crops": [{"size": "9x9"}, {}]},
            {"crops": [{"size": {"width": 9, "height": 9}}, {}]},
        ),
        ({}, {"layers": [{"at": "5", "x": 1}]}, {"layers": [{"at": "5", "x": 1}]}),
        ({}, {"more": {"image_size": "9x9"}}, {"more": {"image_size": "9x9"}}),
        ({"map": {"image_url": "start_image_url"}}, {"image_url": "a"}, {"start_image_url": "a"}),
        (
            {"map": {"prompt": "steps", "steps": "n"}},
            {"prompt": "x", "steps": 1},
            {"steps": "x", "n": 1},
        ),
        ({"map": {"image_size": {"to": ["w", "h"]}}}, {"image_size": "64x32"}, {"w": 64, "h": 32}),
        ({"map": {"duration": {"to": "d", "as": "{}s"}}}, {"duration": "5"}, {"d": "5s"}),
        ({"map": {"duration": {"to": "d", "as": "{}s"}}}, {"duration": "auto"}, {"d": "auto"}),
        ({"map": {"seconds": {"to": "d", "as": "for {} s"}}}, {"seconds": 2.5}, {"d": "for 2.5 s"}),
        ({"map": {"duration": {"to": "d", "as": "integer"}}}, {"duration": "5"}, {"d": 5}),
        ({"map": {"duration": {"to": "d", "as": "number"}}}, {"duration": "10"}, {"d": 10}),
        ({"map": {"steps": {"to": "steps", "as": "string"}}}, {"steps": 4}, {"steps": "4"}),
        (
            {"map": {"duration": {"to": "num_frames", "times": 24}}},
            {"duration": "5"},
            {"num_frames": 120},
        ),
        (
            {"map": {"seconds": {"to": "num_frames", "times": 24, "plus": 1, "step": 8}}},
            {"seconds": 5},
            {"num_frames": 121},
        ),
        ({"set": {"mode": "pro"}}, {"prompt": "x"}, {"prompt": "x", "mode": "pro"}),
        ({"fixed": {"duration": "5"}}, {"prompt": "x"}, {"prompt": "x", "duration": "5"}),
        (
            {"fixed": {"size": "9x9"}, "forms": {"size": "size"}},
            {"prompt": "x"},
            {"prompt": "x", "size": {"width": 9, "height": 9}},
        ),
        (
            {"fixed": {"length": "7"}, "map": {"length": {"to": "d", "as": "{}s"}}},
            {"prompt": "x"},
            {"prompt": "x", "d": "7s"},
        ),
        ({"template": "a {prompt}, {prompt}!"}, {"prompt": "cat"}, {"prompt": "a cat, cat!"}),
        ({"template": "nothing but this"}, {}, {"prompt": "nothing but this"}),
        ({"template": "{prompt} in oil"}, {}, {"prompt": "in oil"}),
        ({"template": "{prompt} in oil"}, {"prompt": " a "}, {"prompt": " a  in oil"}),
    ],
)
def test_arguments_are_written_in_the_words_of_a_route_and_read_back(
    spec: dict[str, JSON], arguments: dict[str, JSON], wire: dict[str, JSON]
) -> None:
    given, route = model(**spec)
    assert request_for(given, route, arguments) == wire
    assert arguments_of(given, route, wire) == arguments


def test_what_is_absent_or_null_is_left_out() -> None:
    given, route = model()
    assert request_for(given, route, {"prompt": None}) == {}
    assert arguments_of(given, route, {"prompt": None, "other": None}) == {}


def test_an_argument_may_be_kept_from_a_route() -> None:
    given, route = model(map={"steps": None})
    assert request_for(given, route, {"prompt": "x", "steps": 4}) == {"prompt": "x"}


@pytest.mark.parametrize(
    ("size", "wire"),
    [
        ("square_hd", {"width": 1024, "height": 1024}),
        ("landscape_16_9", {"width": 1024, "height": 576}),
        ("auto", {}),
    ],
)
def test_a_preset_becomes_two_numbers_where_a_route_takes_those(
    size: str, wire: dict[str, JSON]
) -> None:
    given, route = model(map={"image_size": {"to": ["width", "height"]}})
    assert request_for(given, route, {"image_size": size}) == wire


def test_seconds_become_the_nearest_frames_that_a_route_makes() -> None:
    given, route = model(map={"seconds": {"to": "n", "times": 16, "plus": 1, "step": 4}})
    assert request_for(given, route, {"seconds": 5.1}) == {"n": 81}
    assert arguments_of(given, route, {"n": 81}) == {"seconds": 5}
    assert arguments_of(given, route, {"n": "many"}) == {"seconds": "many"}


@pytest.mark.parametrize(
    ("spec", "wire"),
    [
        ({}, {"colour": "red", "image_size": {"width": 5}}),
        ({}, {"image_size": {"width": 5, "height": True}}),
        ({}, {"image_size": {"width": 5, "height": 5, "depth": 1}}),
        ({}, {"strength": True, "crops": "none", "layers": [3]}),
        ({"set": {"mode": "pro"}}, {"mode": "fast"}),
        ({"fixed": {"duration": "5"}}, {"duration": "10"}),
        ({"map": {"image_size": {"to": ["width", "height"]}}}, {"width": 5}),
        ({"map": {"image_size": {"to": ["width", "height"]}}}, {"width": "5", "height": 5}),
        ({"map": {"prompt": "text"}}, {"prompt": "said with its own name"}),
        ({"map": {"steps": None}}, {"steps": 4}),
        ({"template": "{prompt} in oil"}, {"prompt": "in water"}),
        ({"template": "{prompt} in oil"}, {"prompt": 5}),
    ],
)
def test_what_means_nothing_to_a_route_stays_for_validation_to_name(
    spec: dict[str, JSON], wire: dict[str, JSON]
) -> None:
    given, route = model(**spec)
    assert arguments_of(given, route, wire) == wire


def test_a_word_that_only_looks_like_the_format_stays() -> None:
    given, route = model(map={"duration": {"to": "d", "as": "{}s"}})
    assert arguments_of(given, route, {"d": "minutes"}) == {"duration": "minutes"}


def test_a_number_without_end_is_no_number() -> None:
    given, route = model(map={"seconds": {"to": "n", "times": 16}})
    assert request_for(given, route, {"seconds": float("inf")}) == {"n": float("inf")}
    assert arguments_of(given, route, {"strength": float("inf")}) == {"strength": float("inf")}


def test_a_number_is_written_without_an_exponent() -> None:
    given, route = model()
    assert arguments_of(given, route, {"strength": 0.00001}) == {"strength": "0.00001"}


@settings(max_examples=400, derandomize=True, database=None, deadline=None)
@drawn(st.sampled_from(SPECS), st.dictionaries(NAMES, ANYTHING))
def test_whatever_is_asked_is_read(spec: dict[str, Any], wire: dict[str, JSON]) -> None:
    given, route = model(**spec)
    again = arguments_of(given, route, wire)
    assert None not in again.values()
    assert None not in request_for(given, route, again).values()


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"map": {"steps": {"as": "integer"}}}, "spec.map.steps"),
        ({"map": {"steps": {"to": "a", "as": "int"}}}, "spec.map.steps"),
        ({"map": "steps"}, "spec.map: Input should be"),
        ({"set": [1]}, "spec.set"),
    ],
)
def test_a_route_that_says_what_cannot_be_done_is_named(spec: dict[str, Any], words: str) -> None:
    given, route = model(**spec)
    for use in (request_for, arguments_of):
        with pytest.raises(BadCard, match=f"card: m: {words}"):
            use(given, route, {"prompt": "x"})


def test_a_client_that_knows_the_bare_endpoint_is_understood() -> None:
    catalog = Catalog.load()
    model = catalog.get("bytedance/seedance-2.0/image-to-video")
    wire = {"prompt": "x", "image_url": "a.png", "duration": "5", "end_user_id": "me"}
    said = heard(model, catalog.endpoint(model.id), model.routes[0], wire)
    assert said == {"prompt": "x", "image_url": "a.png", "duration": 5}
    said = heard(model, catalog.endpoint(model.id), model.routes[0], wire | {"duration": "auto"})
    assert "duration" not in said
    said = heard(model, catalog.endpoint(model.id), model.routes[0], wire | {"nonsense": 1})
    assert said["nonsense"] == 1
