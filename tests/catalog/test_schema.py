"""Schemas: what clients see of a model's inputs."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest

from media_mcp.catalog.model import Model, OutputSpec, Param
from media_mcp.catalog.schema import (
    defaults,
    holds_media,
    input_schema,
    media_inputs,
    property_schema,
)
from media_mcp.job import JSON, MediaKind, Route

PRESETS = ("square_hd", "landscape_4_3")
SIZE = Param("image_size", "string", "The size.", form="size", enum=PRESETS, maximum=2048)
FACE = Param("face_url", "string", "A face.", required=True, media=MediaKind.IMAGE)
ELEMENT = Param("", "object", properties=(FACE, Param("weight", "number")))


def model(*inputs: Param) -> Model:
    made = (OutputSpec("images", MediaKind.IMAGE, "image/png"),)
    return Model("m", "m", "M", "", "text-to-image", "MIT", inputs, made, (Route("fal"),))


def test_a_schema_names_its_inputs_and_takes_no_others() -> None:
    prompt = Param("prompt", "string", "What to draw.", required=True, max_length=9)
    assert input_schema(model(prompt, Param("hd", "boolean", "Whether HD."))) == {
        "type": "object",
        "properties": {
            "prompt": {"type": "string", "description": "What to draw.", "maxLength": 9},
            "hd": {"type": "boolean", "description": "Whether HD."},
        },
        "required": ["prompt"],
        "additionalProperties": False,
    }


def test_a_door_may_add_properties() -> None:
    schema = input_schema(model(Param("a", "string")), {"fresh": {"type": "boolean"}})
    assert list(schema["properties"]) == ["a", "fresh"]


def test_every_bound_is_told_and_whole_numbers_have_no_point() -> None:
    number = Param(
        "n", "number", minimum=1.0, maximum=20.0, exclusive_minimum=0.5, multiple_of=0.25, default=2
    )
    assert json.dumps(property_schema(number)) == json.dumps(
        {
            "type": "number",
            "minimum": 1,
            "maximum": 20,
            "exclusiveMinimum": 0.5,
            "multipleOf": 0.25,
            "default": 2,
        }
    )
    text = Param("t", "string", min_length=2, enum=("ab", "cd"), deprecated=True)
    assert property_schema(text) == {
        "type": "string",
        "enum": ["ab", "cd"],
        "minLength": 2,
        "deprecated": True,
    }


def test_a_false_and_a_zero_default_are_told() -> None:
    assert property_schema(Param("a", "boolean", default=False))["default"] is False
    assert property_schema(Param("a", "integer", default=0))["default"] == 0


@pytest.mark.parametrize("bound", [2**53 + 1, 2**63 - 1])
def test_a_bound_of_many_digits_stays_exact(bound: int) -> None:
    assert property_schema(Param("seed", "integer", maximum=bound))["maximum"] == bound


def test_a_size_is_a_preset_or_two_sides() -> None:
    schema = property_schema(SIZE)
    assert schema == {
        "type": "string",
        "description": "The size. As 1280x720, sides up to 2048.",
        "pattern": "^(square_hd|landscape_4_3|[1-9][0-9]{0,4}x[1-9][0-9]{0,4})$",
    }
    bare = property_schema(Param("size", "string", form="size"))
    assert (bare["description"], bare["pattern"][:9]) == ("As 1280x720.", "^([1-9][0")


def test_arrays_and_objects_are_inlined() -> None:
    elements = Param("elements", "array", "People.", items=ELEMENT, min_items=1, max_items=4)
    schema = property_schema(elements)
    assert (schema["minItems"], schema["maxItems"]) == (1, 4)
    assert schema["items"] == {
        "type": "object",
        "properties": {
            "face_url": {
                "type": "string",
                "description": "A face. Path, URL, data: or media:// URI.",
            },
            "weight": {"type": "number"},
        },
        "required": ["face_url"],
        "additionalProperties": False,
    }


def test_an_object_without_members_is_free() -> None:
    assert property_schema(Param("more", "object")) == {"type": "object", "properties": {}}


def test_an_input_that_is_replaced_is_not_shown() -> None:
    old = Param("image", "string", replaced_by="image_url", default="x")
    shown = model(Param("image_url", "string"), old)
    assert list(input_schema(shown)["properties"]) == ["image_url"]
    assert defaults(shown) == {}


def test_defaults_are_those_that_are_not_null() -> None:
    given = model(Param("a", "integer", default=0), Param("b", "string"))
    assert defaults(given) == {"a": 0}


def test_media_are_found_however_deep() -> None:
    nested = Param("elements", "array", items=ELEMENT)
    images = Param("images", "array", items=Param("", "string"), media=MediaKind.IMAGE)
    assert [holds_media(p) for p in (nested, images, SIZE)] == [True, True, False]
    assert media_inputs(model(nested, images)) == {"images": MediaKind.IMAGE}


def test_every_field_of_an_input_that_clients_need_is_in_its_schema() -> None:
    """A field that is added to `Param` must be thought of here."""
    not_told = {"name", "required", "media", "role", "limits", "form", "replaced_by"}
    told = {
        "type",
        "description",
        "default",
        "minimum",
        "maximum",
        "exclusive_minimum",
        "exclusive_maximum",
        "multiple_of",
        "enum",
        "min_length",
        "max_length",
        "items",
        "properties",
        "min_items",
        "max_items",
        "deprecated",
    }
    assert {field.name for field in fields(Param)} == told | not_told


def parts(schema: JSON) -> list[JSON]:
    inner = [
        *schema.get("properties", {}).values(),
        *([schema["items"]] if "items" in schema else []),
    ]
    return [schema, *(part for one in inner for part in parts(one))]


def test_every_part_has_one_type_and_nothing_that_clients_stumble_over() -> None:
    for part in parts(input_schema(model(SIZE, FACE, Param("e", "array", items=ELEMENT)))):
        assert isinstance(part["type"], str)
        assert not {"$ref", "anyOf", "oneOf", "allOf"} & part.keys()
