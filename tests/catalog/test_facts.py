"""Facts become lines: types, defaults, media, outputs, prices and what is in doubt."""

import pytest

from media_mcp.catalog.endpoints import read_lines
from media_mcp.catalog.facts import Normaliser
from media_mcp.catalog.fitting import fits
from media_mcp.catalog.sources import shipped_folder

SIDES = [
    {"name": side, "type": "integer", "default": 512, "maximum": 2048, "exclusive_minimum": 63}
    for side in ("height", "width")
]
SIZE = {"type": "object", "ref": "ImageSize", "properties": SIDES}
PRESETS = {"type": "string", "enum": ["square", "landscape_4_3"]}


def record(**told):
    return {"endpoint_id": "fal-ai/thing/x", "name": "Thing", "category": "text-to-image", **told}


def line(**told):
    return Normaliser().line(record(**told))


def param(name="thing", **told):
    return Normaliser().param({"name": name, "type": "string", "required": False, **told}, "")


@pytest.fixture(scope="module")
def lines():
    return read_lines(shipped_folder() / "fal.jsonl")


def test_a_size_is_a_text_with_presets_and_the_bounds_of_a_side():
    made = param("image_size", type="union", any_of=[SIZE, PRESETS], default="square")
    assert made == {
        "name": "image_size",
        "type": "string",
        "form": "size",
        "enum": ["square", "landscape_4_3"],
        "minimum": 64,
        "maximum": 2048,
        "default": "square",
    }


def test_a_size_given_in_pixels_is_written_as_a_text():
    made = param(type="union", any_of=[SIZE, PRESETS], default={"width": 1024, "height": 768})
    assert made["default"] == "1024x768"


def test_a_default_that_does_not_fit_its_own_schema_is_dropped_and_told():
    normaliser = Normaliser()
    raw = {"name": "image_size", "type": "union", "any_of": [SIZE, PRESETS]}
    made = normaliser.param(raw | {"default": {"width": 4096, "height": 64}}, "fal-ai/x")
    assert "default" not in made
    assert normaliser.dropped == ["fal-ai/x image_size='4096x64'"]


def test_an_invalid_default_does_not_make_an_argument_required():
    made = param(type="integer", maximum=3, default=4, required=True)
    assert made == {"name": "thing", "type": "integer", "maximum": 3}


def test_a_number_that_may_be_a_word_is_a_text_in_the_form_of_a_number():
    options = [{"type": "number"}, {"type": "string"}]
    made = param(type="union", any_of=options, default=0.5)
    assert made == {"name": "thing", "type": "string", "form": "number", "default": "0.5"}


def test_choices_that_are_open_are_no_choices():
    options = [{"type": "string", "enum": ["16:9"]}, {"type": "string"}]
    made = param(type="union", any_of=options, enum=["16:9"], default="16:9")
    assert made == {"name": "thing", "type": "string", "default": "16:9"}


@pytest.mark.parametrize("other", ["integer", "object"])
def test_a_number_or_something_else_is_a_number_with_its_bounds(other):
    made = param(type="union", any_of=[{"type": "number"}, {"type": other}], minimum=0, maximum=4)
    assert made == {"name": "thing", "type": "number", "minimum": 0, "maximum": 4}


def test_any_other_union_with_an_object_is_a_free_object():
    assert param(type="union", any_of=[SIZE | {"properties": []}, {"type": "string"}]) == {
        "name": "thing",
        "type": "object",
    }


def test_a_text_or_texts_are_texts_and_a_text_or_objects_are_a_text():
    texts = {"type": "array", "items": {"type": "string"}}
    made = param("image_urls", type="union", any_of=[{"type": "string"}, texts], media_kind="image")
    assert made == {
        "name": "image_urls",
        "type": "array",
        "items": {"type": "string"},
        "media": "image",
    }
    objects = {"type": "array", "items": {"type": "object"}}
    assert param(type="union", any_of=[{"type": "string"}, objects])["type"] == "string"


def test_a_constant_is_a_choice_of_one_in_the_type_of_its_argument():
    made = param(const="129", default=129)
    assert made == {"name": "thing", "type": "string", "enum": ["129"], "default": "129"}


def test_numbers_that_are_choices_stay_numbers_unless_a_word_is_among_them():
    assert param(type="integer", enum=["2", 4])["enum"] == [2, 4]
    assert param(type="integer", enum=["auto", 4]) == {
        "name": "thing",
        "type": "string",
        "enum": ["auto", "4"],
    }


def test_the_bounds_of_a_whole_number_are_inclusive():
    made = param(type="integer", exclusive_minimum=0, exclusive_maximum=10)
    assert (made["minimum"], made["maximum"]) == (1, 9)
    assert param(type="number", exclusive_minimum=0)["exclusive_minimum"] == 0


def test_bounds_that_json_cannot_hold_are_no_bounds():
    assert param(type="integer", maximum=2**63 - 1, minimum=0) == {
        "name": "thing",
        "type": "integer",
        "minimum": 0,
    }


@pytest.mark.parametrize("empty", [None, "", [], {}])
def test_an_empty_default_says_nothing(empty):
    assert param(default=empty) == {"name": "thing", "type": "string"}


def test_a_least_length_of_nothing_says_nothing():
    assert param(min_length=0, max_length=9) == {
        "name": "thing",
        "type": "string",
        "max_length": 9,
    }


@pytest.mark.parametrize(
    ("told", "items"),
    [
        ({"items": {"type": "any"}, "default": [1, 2]}, "number"),
        ({"items": {"type": "any"}, "default": ["a"]}, "string"),
        ({"items": {"type": "any"}}, "string"),
        ({"items": {"type": "any"}, "name": "background_color"}, "number"),
        ({"items": {"type": "any", "ref": "Point"}}, "object"),
        ({"items": {}, "name": "text_render"}, "object"),
    ],
)
def test_items_of_a_type_that_is_not_told_are_guessed_from_the_default_and_the_name(told, items):
    assert param(**{"type": "array", **told})["items"] == {"type": items}


def test_arrays_of_arrays_and_of_objects_keep_what_is_inside():
    points = {"type": "array", "items": {"type": "array", "items": {"type": "any"}}}
    assert param("box_prompt", **points)["items"] == {"type": "array", "items": {"type": "number"}}
    inner = {"type": "object", "properties": [{"name": "path", "type": "string", "required": True}]}
    assert param(type="array", items=inner, max_items=3) == {
        "name": "thing",
        "type": "array",
        "items": {
            "type": "object",
            "properties": [{"name": "path", "type": "string", "required": True}],
        },
        "max_items": 3,
    }


def test_media_has_a_kind_a_role_and_limits():
    made = param(
        "start_image_url",
        media_kind="image",
        media_how="name",
        media_role="start_frame",
        media_limits={"min_width": 300},
    )
    assert made == {
        "name": "start_image_url",
        "type": "string",
        "media": "image",
        "role": "start_frame",
        "limits": {"min_width": 300},
    }


def test_archives_are_files_and_weights_are_texts():
    assert param("training_data_url", media_kind="archive")["media"] == "file"
    assert param("images_data_url", media_kind="image", media_how="name")["media"] == "file"
    assert "media" not in param("lora_url", media_kind="weights")


def test_a_hint_of_a_form_wins_over_a_name():
    assert param("voice_url", media_kind="video", media_how="ui")["media"] == "video"


def test_the_first_of_two_recordings_is_no_frame():
    assert "role" not in param("first_audio_url", media_kind="audio", media_role="start_frame")


def test_the_address_inside_a_thing_is_what_the_thing_is():
    inside = {"name": "url", "type": "string", "media_kind": "file", "media_how": "name"}
    made = param("video_url", type="object", properties=[inside])
    assert made["properties"][0]["media"] == "video"
    other = param("frames", type="object", properties=[inside])
    assert other["properties"][0]["media"] == "file"


def test_arguments_that_newer_facts_do_not_know_are_deprecated_and_name_their_heir():
    made = line(
        inputs=[
            {"name": "enable_audio", "type": "boolean", "required": True},
            {"name": "generate_audio", "type": "boolean", "required": False},
            {"name": "pose", "type": "boolean", "required": False, "deprecated": True},
        ],
        inputs_absent_in_2026_08=["enable_audio"],
    )
    assert made["inputs"][0] == {
        "name": "enable_audio",
        "type": "boolean",
        "deprecated": True,
        "replaced_by": "generate_audio",
    }
    assert made["inputs"][2] == {"name": "pose", "type": "boolean", "deprecated": True}


def test_whole_numbers_are_known_by_name_where_types_cannot_say_so():
    told = [
        {"name": "seed", "type": "number", "required": False, "default": 5},
        {"name": "num_images", "type": "number", "required": False, "default": 1.5},
        {"name": "strength", "type": "number", "required": False, "default": 1},
    ]
    source = "fal-js types/endpoints.ts"
    kinds = [p["type"] for p in line(inputs=told, source=source)["inputs"]]
    assert kinds == ["integer", "number", "number"]
    assert line(inputs=told[:1])["inputs"][0]["type"] == "number"


def test_what_is_known_beside_goes_along():
    made = line(
        source="snapshot 2026-01-28",
        confidence="medium (older snapshot)",
        listed_2026_06=True,
        listed_2026_08=False,
        license_type="research",
        group={"key": "things", "label": "A thing"},
        published="2026-01-02",
        duration_estimate=1.5,
        stream_url="/stream",
    )
    told = {k: v for k, v in made.items() if k not in ("inputs", "outputs", "name", "id", "task")}
    assert told == {
        "provider": "fal",
        "licence": "research",
        "family": "things",
        "published": "2026-01-02",
        "seconds": 90,
        "streams": True,
        "retired": True,
        "missing": "2026-08",
        "blind": True,
        "sure": "medium",
        "as_of": "2026-01-28",
    }


def test_a_family_that_the_id_tells_is_not_told_again():
    assert "family" not in line(group={"key": "thing", "label": ""})


def test_facts_from_types_say_so_and_have_the_date_of_what_they_were_seen_in():
    made = line(source="npm src/types/endpoints.d.ts", seen_in=["a-2026-01-28", "b-2026-06-11"])
    assert (made["origin"], made["as_of"]) == ("types", "2026-06-11")


def test_a_retired_endpoint_is_told_by_its_status_too():
    assert line(status="deprecated")["retired"] is True


def test_the_shipped_catalog_holds_every_endpoint_with_defaults_that_fit(lines):
    assert len(lines) == 1575
    wrong = [
        (name, param["name"])
        for name, line in lines.items()
        for param in line["inputs"]
        if "default" in param and not fits(param, param["default"])
    ]
    assert wrong == []
