"""Models as OpenAPI documents in fal's shape, and such documents read back into lines."""

import json

import pytest

from media_mcp.catalog.cards import model_of
from media_mcp.catalog.endpoints import card, line_of, read_lines
from media_mcp.catalog.glossary import Glossary
from media_mcp.catalog.openapi import document, metadata, record
from media_mcp.catalog.sources import shipped_folder

# What of a line is no part of a schema or of the metadata that our server gives: prices travel by
# the pricing API, and what is known of the facts themselves stays where they were gathered.
ELSEWHERE = {
    *("price", "tool", "published", "seconds", "streams"),
    *("missing", "blind", "sure", "origin", "as_of"),
}
FLUX = {
    "openapi": "3.0.4",
    "info": {"x-fal-metadata": {"endpointId": "fal-ai/flux/dev", "category": "text-to-image"}},
    "components": {
        "schemas": {
            "FluxDevInput": {
                "type": "object",
                "required": ["prompt"],
                "x-fal-order-properties": ["prompt", "image_size", "loras", "seed", "gone"],
                "properties": {
                    "seed": {"anyOf": [{"type": "integer"}, {"type": "null"}], "title": "Seed"},
                    "prompt": {"type": "string", "description": "Words.", "minLength": 1},
                    "image_size": {
                        "anyOf": [
                            {"$ref": "#/components/schemas/ImageSize"},
                            {"type": "string", "enum": ["square_hd", "square"]},
                        ],
                        "default": {"width": 1024, "height": 768},
                    },
                    "loras": {
                        "type": "array",
                        "items": {"$ref": "#/components/schemas/LoraWeight"},
                        "default": [],
                    },
                },
            },
            "LoraWeight": {
                "type": "object",
                "required": ["path"],
                "properties": {
                    "path": {"type": "string"},
                    "scale": {"type": "number", "minimum": 0, "maximum": 4, "default": 1},
                },
            },
            "ImageSize": {
                "type": "object",
                "properties": {
                    "width": {"type": "integer", "maximum": 14142, "exclusiveMinimum": 0},
                    "height": {"type": "integer", "maximum": 14142, "exclusiveMinimum": 0},
                },
            },
            "FluxDevOutput": {
                "type": "object",
                "properties": {
                    "images": {"type": "array", "items": {"$ref": "#/components/schemas/Image"}},
                    "seed": {"type": "integer"},
                },
            },
            "Image": {"type": "object", "properties": {"url": {"type": "string"}}},
        }
    },
    "paths": {
        "/fal-ai/flux/dev/requests/{request_id}/status": {"get": {"responses": {}}},
        "/fal-ai/flux/dev": {
            "post": {
                "requestBody": {
                    "content": {
                        "application/json": {
                            "schema": {"$ref": "#/components/schemas/FluxDevInput"}
                        }
                    }
                }
            }
        },
        "/fal-ai/flux/dev/requests/{request_id}": {
            "get": {
                "responses": {
                    "200": {
                        "content": {
                            "application/json": {
                                "schema": {"$ref": "#/components/schemas/FluxDevOutput"}
                            }
                        }
                    }
                }
            }
        },
    },
}
METADATA = {
    "display_name": "FLUX.1 [dev]",
    "category": "text-to-image",
    "license_type": "commercial",
    "status": "active",
    "kind": "inference",
    "date": "2025-04-01T00:00:00.000Z",
    "group": {"key": "flux-1", "label": "Text to Image [dev]"},
    "duration_estimate": 1,
    "stream_url": "https://fal.run/fal-ai/flux/dev/stream",
}


def model(*inputs, **told):
    line = {
        "id": "fal-ai/thing/pro",
        "name": "Thing Pro",
        "task": "text-to-image",
        "inputs": list(inputs),
        "outputs": [{"role": "image", "kind": "image", "mime_type": "image/png"}],
        **told,
    }
    return model_of(card(line, Glossary()), "test")


@pytest.fixture(scope="module")
def lines():
    return read_lines(shipped_folder() / "fal.jsonl")


def test_every_endpoint_comes_back_from_its_document_as_the_same_line(lines):
    glossary = Glossary.load(shipped_folder() / "words")
    different = []
    for name, line in lines.items():
        made = model_of(card(line, glossary), name)
        sent = json.loads(json.dumps([document(made), metadata(made)]))
        back = line_of(record(*sent))
        known = {key: value for key, value in back.items() if key not in ELSEWHERE}
        if known | {key: line[key] for key in ELSEWHERE & line.keys()} != line:
            different.append(name)
    assert different == []


def test_a_document_of_fal_s_becomes_a_line():
    assert line_of(record(FLUX, METADATA)) == {
        "id": "fal-ai/flux/dev",
        "name": "FLUX.1 [dev]",
        "task": "text-to-image",
        "provider": "Black Forest Labs",
        "licence": "commercial",
        "family": "flux-1",
        "inputs": [
            {"name": "prompt", "type": "string", "min_length": 1, "required": True},
            {
                "name": "image_size",
                "type": "string",
                "form": "size",
                "enum": ["square_hd", "square"],
                "minimum": 1,
                "maximum": 14142,
                "default": "1024x768",
            },
            {
                "name": "loras",
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": [
                        {"name": "path", "type": "string", "required": True},
                        {
                            "name": "scale",
                            "type": "number",
                            "minimum": 0,
                            "maximum": 4,
                            "default": 1,
                        },
                    ],
                },
            },
            {"name": "seed", "type": "integer"},
        ],
        "outputs": [
            {"role": "images", "kind": "image", "mime_type": "image/png", "shape": "files"}
        ],
        "values": [{"name": "seed", "type": "integer"}],
        "published": "2025-04-01",
        "seconds": 60,
        "streams": True,
    }


def test_the_id_may_come_with_the_listing_alone():
    assert record({}, {}, "a/b")["endpoint_id"] == "a/b"


def test_a_document_has_the_four_paths_and_the_names_of_fal_s():
    told = document(model({"name": "prompt", "type": "string", "required": True}))
    assert told["openapi"] == "3.0.4"
    assert told["info"]["x-fal-metadata"]["endpointId"] == "fal-ai/thing/pro"
    assert told["servers"] == [{"url": "https://queue.fal.run"}]
    one = "/fal-ai/thing/pro/requests/{request_id}"
    assert {path: list(methods) for path, methods in told["paths"].items()} == {
        f"{one}/status": ["get"],
        f"{one}/cancel": ["put"],
        "/fal-ai/thing/pro": ["post"],
        one: ["get"],
    }
    schemas = told["components"]["schemas"]
    assert list(schemas) == ["QueueStatus", "ThingProInput", "Image", "ThingProOutput"]
    assert schemas["ThingProInput"] == {
        "type": "object",
        "properties": {"prompt": {"type": "string", "title": "Prompt", "description": "Prompt."}},
        "x-fal-order-properties": ["prompt"],
        "required": ["prompt"],
    }


def test_arguments_are_described_as_they_go_over_the_wire():
    size = {"name": "image_size", "type": "string", "form": "size", "enum": ["auto"]}
    told = document(
        model(
            size | {"minimum": 64, "maximum": 2048, "default": "1024x512"},
            {**size, "name": "other_size"},
            {"name": "bpm", "type": "string", "form": "number", "default": "120"},
            {"name": "image_url", "type": "string", "media": "image", "limits": {"min_width": 9}},
            {"name": "shape_url", "type": "string", "media": "model3d"},
            {"name": "video_url", "type": "string"},
        )
    )
    schemas = told["components"]["schemas"]
    asked = schemas["ThingProInput"]["properties"]
    sizes = {"$ref": "#/components/schemas/ImageSize"}
    assert asked["image_size"]["anyOf"] == [sizes, {"type": "string", "enum": ["auto"]}]
    assert asked["image_size"]["default"] == {"width": 1024, "height": 512}
    assert schemas["ImageSize"]["properties"]["width"]["exclusiveMinimum"] == 63
    assert asked["other_size"]["anyOf"][0] == {"$ref": "#/components/schemas/ImageSize2"}
    assert asked["bpm"]["anyOf"] == [{"type": "number"}, {"type": "string"}]
    assert asked["image_url"]["ui"] == {"field": "image"}
    assert asked["image_url"]["x-fal"] == {"min_width": 9}
    assert asked["shape_url"]["ui"] == {"field": "3d"}
    assert asked["video_url"]["ui"] == {"field": "text"}


def test_what_no_word_of_fal_s_says_goes_along_in_one_of_ours():
    params = [
        {"name": "picture_url", "type": "string", "media": "image", "role": "end_frame"},
        {"name": "old", "type": "string", "deprecated": True, "replaced_by": "picture_url"},
    ]
    told = document(model(*params))
    asked = told["components"]["schemas"]["ThingProInput"]["properties"]
    assert asked["picture_url"]["x-media"] == {"role": "end_frame"}
    assert asked["old"]["x-media"] == {"replaced_by": "picture_url"}
    back = line_of(record(told, {}))["inputs"]
    assert (back[0]["role"], back[1]) == ("end_frame", params[1])


def test_a_type_that_nobody_would_guess_is_shown_by_an_example():
    outputs = [
        {"role": "drawing", "kind": "image", "mime_type": "image/svg+xml"},
        {"role": "page", "kind": "text", "mime_type": "text/vtt", "shape": "value"},
        {"role": "links", "kind": "file", "mime_type": "application/zip", "shape": "urls"},
    ]
    told = document(model(outputs=outputs))
    answered = told["components"]["schemas"]["ThingProOutput"]["properties"]
    assert answered["drawing"]["examples"] == [{"content_type": "image/svg+xml"}]
    assert line_of(record(told, {}))["outputs"] == outputs


def test_metadata_has_fal_s_names_and_the_maker():
    told = metadata(model(provider="Somebody", licence="research", retired=True, family="things"))
    kept = ("display_name", "category", "status", "license_type", "kind", "group", "provider")
    assert {key: told[key] for key in kept} == {
        "display_name": "Thing Pro",
        "category": "text-to-image",
        "status": "deprecated",
        "license_type": "research",
        "kind": "inference",
        "group": {"key": "things", "label": "Thing Pro"},
        "provider": "Somebody",
    }
    assert metadata(model(task="training"))["kind"] == "training"


def test_a_licence_that_fal_has_no_word_for_goes_along():
    assert "license_type" not in metadata(model())
    assert "licence" not in metadata(model())
    free = metadata(model(licence="MIT"))
    assert free["licence"] == "MIT"
    assert line_of(record({}, free, "a/b"))["licence"] == "MIT"
