"""What names and ids tell, and whether a default fits."""

import pytest

from media_mcp.catalog.endpoints import read_lines
from media_mcp.catalog.fitting import fits
from media_mcp.catalog.kinds import input_role, input_word
from media_mcp.catalog.makers import maker_of
from media_mcp.catalog.sources import shipped_folder


@pytest.fixture(scope="module")
def lines():
    return read_lines(shipped_folder() / "fal.jsonl")


@pytest.mark.parametrize(
    ("name", "word", "role"),
    [
        ("image_url", "image", ""),
        ("mask_image_url", "image", "mask"),
        ("mask_video_url", "video", "mask"),
        ("tail_image_url", "image", "end_frame"),
        ("last_frame_url", "image", "end_frame"),
        ("first_frame_image_url", "image", "start_frame"),
        ("control_lora_image_url", "image", "control"),
        ("ref_image_urls", "image", "reference"),
        ("texture_lora_url", "weights", ""),
        ("training_data_url", "archive", ""),
        ("mesh_url", "model3d", ""),
        ("pdf_url", "document", ""),
        ("media_url", "media", ""),
        ("url", "file", ""),
        ("webhook_url", "", ""),
        ("prompt", "", ""),
    ],
)
def test_names_tell_what_an_argument_points_at_and_what_for(name, word, role):
    assert (input_word(name), input_role(name, word)) == (word, role)


@pytest.mark.parametrize(
    ("endpoint", "maker"),
    [
        ("fal-ai/kling-video/v3/pro/text-to-video", "Kuaishou"),
        ("fal-ai/krea-wan-14b/text-to-video", "Alibaba"),
        ("CassetteAI/music-generator", "CassetteAI"),
        ("somebody/model", "somebody"),
        ("fal-ai/demucs", "fal"),
    ],
)
def test_an_id_tells_who_made_a_model(endpoint, maker):
    assert maker_of(endpoint) == maker


@pytest.mark.parametrize(
    ("param", "value", "right"),
    [
        ({"type": "string", "min_length": 2}, "a", False),
        ({"type": "string", "enum": ["a"]}, "b", False),
        ({"type": "string"}, 5, False),
        ({"type": "string", "form": "size", "enum": ["auto"], "maximum": 99}, "64x64", True),
        ({"type": "string", "form": "size", "enum": ["auto"]}, "square", False),
        ({"type": "integer"}, 1.5, False),
        ({"type": "number"}, True, False),
        ({"type": "number", "exclusive_minimum": 0}, 0, False),
        ({"type": "number", "exclusive_maximum": 1}, 1, False),
        ({"type": "number", "multiple_of": 0.05}, 0.35, True),
        ({"type": "number", "multiple_of": 0}, 1, False),
        ({"type": "boolean"}, "true", False),
        ({"type": "array", "items": {"type": "string"}}, "a", False),
        ({"type": "array", "items": {"type": "string"}, "max_items": 1}, ["a", "b"], False),
        ({"type": "array", "items": {"type": "integer"}}, [1, 2], True),
        ({"type": "object"}, {"anything": 1}, True),
        ({"type": "object"}, [], False),
        ({"type": "object", "properties": [{"name": "a", "type": "string"}]}, {"b": 1}, False),
        ({"type": "object", "properties": [{"name": "a", "type": "string"}]}, {"a": "x"}, True),
        (
            {"type": "object", "properties": [{"name": "a", "type": "string", "required": True}]},
            {},
            False,
        ),
    ],
)
def test_a_default_fits_or_does_not(param, value, right):
    assert fits(param, value) is right


def test_the_shipped_makers_follow_from_the_ids(lines):
    assert {name for name, line in lines.items() if line["provider"] != maker_of(name)} == set()
