"""Schemas and validation: what clients see, and what a wrong argument is told."""

import json

import pytest

from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.model import Model, Param
from media_mcp.catalog.schema import input_schema, media_inputs, property_schema
from media_mcp.catalog.validate import complete
from media_mcp.errors import InvalidArguments
from media_mcp.job import JSON, MediaKind


@pytest.fixture(scope="module")
def sketch() -> Model:
    return Catalog.load().get("sketch")


def words(model: Model, arguments: dict[str, JSON]) -> str:
    with pytest.raises(InvalidArguments) as caught:
        complete(model, arguments)
    return caught.value.message


def test_schemas_are_flat_with_one_type_a_property() -> None:
    for model in Catalog.load():
        schema = input_schema(model)
        assert schema["type"] == "object"
        text = json.dumps(schema)
        assert not any(word in text for word in ("$ref", "anyOf", "oneOf", "allOf"))
        for one in schema["properties"].values():
            assert isinstance(one["type"], str)
            assert one["description"]


def test_bounds_of_integers_are_integers(sketch: Model) -> None:
    steps = input_schema(sketch)["properties"]["steps"]
    assert json.dumps([steps["minimum"], steps["maximum"]]) == "[1, 50]"


def test_an_array_says_of_what_and_how_many() -> None:
    param = Param("images", "array", "Pictures.", items="string", max_items=3)
    schema = property_schema(param)
    assert (schema["items"], schema["maxItems"]) == ({"type": "string"}, 3)


def test_a_media_input_says_what_it_takes() -> None:
    edit = Catalog.load().get("rehearsal/edit")
    assert "media:// URI" in input_schema(edit)["properties"]["image_url"]["description"]
    assert media_inputs(edit) == {"image_url": MediaKind.IMAGE}


def test_defaults_are_filled_in_and_nulls_count_as_not_given(sketch: Model) -> None:
    done = complete(sketch, {"prompt": "a star", "seed": None})
    assert done == {"prompt": "a star", "size": 256, "num_images": 1, "steps": 12, "guidance": 1}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, "prompt: is required. What to draw"),
        ({"prompt": 7}, "prompt: must be of type string, but 7 was given."),
        ({"prompt": "x", "sede": 1}, "sede: is not an argument here. Did you mean seed"),
        ({"prompt": "x", "qqq": 1}, "qqq: is not an argument here. Known arguments: prompt,"),
        ({"prompt": "x", "size": 100}, "size: must be one of 64, 128, 256, 512, but 100 was"),
        ({"prompt": "x", "steps": 99}, "steps: must be at most 50, but 99 was given."),
        ({"prompt": "x", "guidance": 0.5}, "guidance: must be at least 1, but 0.5 was given."),
        ({"prompt": "y" * 501}, "prompt: must be at most 500 characters long, but"),
        ({"prompt": "x", "seed": 1.5}, "seed: must be of type integer, but 1.5 was given."),
        ({"prompt": "x", "guidance": float("nan")}, "arguments: are not plain JSON"),
        ({"prompt": "x", "seed": 10**5000}, "arguments: are not plain JSON"),
        ({"prompt": b"x"}, "arguments: are not plain JSON"),
    ],
)
def test_a_wrong_argument_is_told_its_name_its_bound_and_what_was_given(
    sketch: Model, arguments: dict[str, JSON], expected: str
) -> None:
    assert expected in words(sketch, arguments)


def test_every_fault_is_told_at_once(sketch: Model) -> None:
    message = words(sketch, {"prompt": "x", "steps": 0, "num_images": 9})
    assert "steps:" in message
    assert "num_images:" in message


def test_a_wrong_enum_value_names_the_nearest() -> None:
    colour = Param("colour", "string", "A colour.", enum=("red", "blue"))
    sketch = Catalog.load().get("sketch")
    model = Model(**{f: getattr(sketch, f) for f in sketch.__slots__} | {"inputs": (colour,)})
    assert "Did you mean blue?" in words(model, {"colour": "bleu"})


def test_a_fault_in_a_list_names_its_place() -> None:
    images = Param("images", "array", "Pictures.", items="string")
    sketch = Catalog.load().get("sketch")
    model = Model(**{f: getattr(sketch, f) for f in sketch.__slots__} | {"inputs": (images,)})
    assert "images[1]: must be of type string, but 5 was given." in words(
        model, {"images": ["a", 5]}
    )


def test_a_long_value_is_shown_cut(sketch: Model) -> None:
    assert len(words(sketch, {"prompt": ["z" * 999]})) < 200
