"""OpenAPI documents that a place sends, read as facts: hostile ones too."""

import json

import pytest

from media_mcp.catalog.endpoints import line_of
from media_mcp.catalog.records import record


def with_inputs(**properties):
    """Return a document that asks for these and returns nothing that is described."""
    body = {"type": "object", "properties": properties}
    posted = {"requestBody": {"content": {"application/json": {"schema": body}}}}
    return {"paths": {"/a/b": {"post": posted}}}


def with_outputs(schemas=None, **properties):
    body = {"type": "object", "properties": properties}
    got = {"responses": {"200": {"content": {"application/json": {"schema": body}}}}}
    paths = {"/a/b/requests/{request_id}": {"get": got}}
    return {"paths": paths, "components": {"schemas": schemas or {}}}


def asked(schema, name="thing", schemas=None):
    told = with_inputs(**{name: schema}) | {"components": {"schemas": schemas or {}}}
    return line_of(record(told, {}, "a/b"))["inputs"][0]


@pytest.mark.parametrize(
    ("schema", "made"),
    [
        ({"allOf": [{"type": "string", "minLength": 2}], "default": "ab"}, {"default": "ab"}),
        ({"type": ["string", "null"], "minLength": 2}, {}),
        ({"$ref": "#/components/schemas/Two"}, {}),
        ({"oneOf": [{"$ref": "#/components/schemas/Two"}, {"type": "null"}]}, {}),
    ],
)
def test_references_and_wrappings_are_seen_through(schema, made):
    two = {"Two": {"type": "string", "minLength": 2}}
    assert asked(schema, schemas=two) == {"name": "thing", "type": "string", "min_length": 2} | made


def test_parts_of_an_object_are_put_together():
    parts = {"A": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}}
    schema = {
        "allOf": [
            {"$ref": "#/components/schemas/A"},
            {"type": "object", "properties": {"b": {"const": 5}}},
        ]
    }
    assert asked(schema, schemas=parts)["properties"] == [
        {"name": "a", "type": "string", "required": True},
        {"name": "b", "type": "string", "enum": ["5"]},
    ]


def test_a_bound_may_be_exclusive_by_a_truth_or_by_a_number():
    old = {"type": "number", "minimum": 0, "exclusiveMinimum": True}
    new = {"type": "number", "exclusiveMinimum": 0}
    assert asked(old) == asked(new) == {"name": "thing", "type": "number", "exclusive_minimum": 0}


@pytest.mark.parametrize(
    ("name", "schema", "media"),
    [
        ("voice", {"type": "string", "ui": {"field": "audio"}}, "audio"),
        ("thing_url", {"type": "string", "_fal_ui_field": "image_mask"}, "image"),
        ("zip", {"type": "string", "ui": {"field": "archive"}}, "file"),
        ("image_url", {"type": "string"}, "image"),
        ("image_url", {"type": "string", "ui": {"field": "text"}}, None),
        ("input_url", {"type": "string", "examples": ["https://x/a.mp4?x=1"]}, "video"),
        ("input_url", {"type": "string", "example": "https://x/a.safetensors"}, None),
        ("image_urls", {"type": "array", "items": {"type": "string"}}, "image"),
        (
            "pages",
            {"type": "array", "items": {"type": "string", "ui": {"field": "image"}}},
            "image",
        ),
        ("image_url", {"type": "integer"}, None),
    ],
)
def test_media_is_told_by_a_hint_a_name_or_an_example(name, schema, media):
    assert asked(schema, name).get("media") == media


def test_limits_of_media_are_read_and_nothing_else_that_stands_beside_them():
    limits = {"max_file_size": 10, "timeout": 5, "min_width": "x", "max_fps": float("nan")}
    made = asked({"type": "string", "x-fal": limits}, "image_url")
    assert made["limits"] == {"max_file_size": 10}
    many = {"type": "array", "items": {"type": "string", "x-fal": {"min_height": 3}}}
    assert asked(many, "image_urls")["limits"] == {"min_height": 3}


def test_outputs_are_media_where_they_have_an_address():
    file = {"type": "object", "properties": {"url": {"type": "string"}}}
    told = with_outputs(
        {"File": file, "VideoFile": file},
        video={"$ref": "#/components/schemas/File"},
        mask={"$ref": "#/components/schemas/VideoFile"},
        thumbnail_url={"type": "string"},
        prompt={"type": "string"},
        both={"anyOf": [{"$ref": "#/components/schemas/File"}, {"type": "string"}]},
        odd={"allOf": [{"$ref": "#/components/schemas/File"}], "ui": {"field": "3d"}},
        shown={
            "type": "array",
            "items": {"$ref": "#/components/schemas/File"},
            "examples": [[{"content_type": "audio/wav"}]],
        },
    )
    made = line_of(record(told, {"category": "text-to-video"}, "a/b"))
    assert [(o["role"], o["kind"], o.get("shape", "file")) for o in made["outputs"]] == [
        ("video", "video", "file"),
        ("mask", "video", "file"),
        ("thumbnail_url", "image", "url"),
        ("both", "file", "file"),
        ("odd", "model3d", "file"),
        ("shown", "file", "files"),
    ]
    assert made["outputs"][-1]["mime_type"] == "audio/wav"
    assert made["values"] == [{"name": "prompt", "type": "string"}]


@pytest.mark.parametrize(
    "hostile",
    [
        {},
        {"paths": []},
        {"paths": {"/a": {"post": 5}, "/a/requests/{request_id}": {"get": {"responses": []}}}},
        {"info": {"x-fal-metadata": 5}, "components": []},
    ],
)
def test_a_document_that_makes_no_sense_says_nothing(hostile):
    made = record(hostile, {"display_name": 5, "group": [], "date": "soon"}, "a/b")
    assert (made["inputs"], made["outputs"], made["name"], made["published"]) == ([], [], "", "")


def test_parts_of_a_schema_that_make_no_sense_are_left_out():
    told = with_inputs(
        **{
            "a b": {"type": "string"},
            "fine": {"type": "string", "minLength": "x", "enum": "y", "anyOf": 5, "examples": 5},
            "number": {"type": "number", "maximum": 1e300, "default": 10**400},
            "listed": {"type": "string", "enum": [{"a": 1}, True, "b"]},
            "nothing": 5,
        }
    )
    told["paths"]["/a/b"]["post"]["requestBody"]["content"]["application/json"]["schema"][
        "required"
    ] = 5
    assert line_of(record(told, {}, "a/b"))["inputs"] == [
        {"name": "fine", "type": "string"},
        {"name": "number", "type": "number", "default": 10**400},
        {"name": "listed", "type": "string", "enum": ["b"]},
    ]


def test_a_schema_that_holds_itself_ends():
    deep = {"A": {"type": "object", "properties": {"a": {"$ref": "#/components/schemas/A"}}}}
    made = asked({"$ref": "#/components/schemas/A"}, schemas=deep)
    depth = 0
    while "properties" in made:
        made, depth = made["properties"][0], depth + 1
    assert 0 < depth < 10


def test_a_schema_that_grows_without_end_is_cut_off():
    reference = {"$ref": "#/components/schemas/A"}
    wide = {f"p{number}": reference for number in range(60)}
    schemas = {"A": {"type": "object", "properties": wide, "allOf": [{"$ref": "#/none"}]}}
    assert len(json.dumps(asked(reference, schemas=schemas))) < 5_000_000
