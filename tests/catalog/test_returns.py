"""What an endpoint returns, and its task where only that tells it."""

import pytest

from media_mcp.catalog.facts import Normaliser
from media_mcp.catalog.kinds import output_word


def record(**told):
    return {"endpoint_id": "fal-ai/thing/x", "name": "Thing", "category": "text-to-image", **told}


def line(**told):
    return Normaliser().line(record(**told))


def outputs(*told, **more):
    made = line(outputs=[{"type": "object", "required": True, **o} for o in told], **more)
    return made["outputs"], made.get("values", [])


def test_outputs_have_the_shape_in_which_they_come():
    found, values = outputs(
        {"name": "image", "media_kind": "image", "ref": "Image", "fields": ["url"]},
        {"name": "images", "type": "array", "items": {"fields": ["url"]}, "media_kind": "image"},
        {"name": "video_url", "type": "string", "media_kind": "video"},
        {"name": "audio_urls", "type": "array", "items": {"type": "string"}, "media_kind": "audio"},
        {"name": "seed", "type": "integer"},
        {"name": "timings", "type": "union"},
    )
    assert [(o["role"], o["kind"], o.get("shape", "file")) for o in found] == [
        ("image", "image", "file"),
        ("images", "image", "files"),
        ("video_url", "video", "url"),
        ("audio_urls", "audio", "urls"),
    ]
    assert values == [{"name": "seed", "type": "integer"}, {"name": "timings", "type": "any"}]


def test_an_object_without_an_address_is_a_value():
    found, values = outputs(
        {"name": "textures", "media_kind": "image", "fields": ["normal"]},
        {"name": "media", "type": "union", "media_kind": "video", "any_of": VIDEO_OR_AUDIO},
    )
    assert found == [
        {"role": "result", "kind": "text", "mime_type": "application/json", "shape": "value"}
    ]
    assert [value["name"] for value in values] == ["textures", "media"]


VIDEO_OR_AUDIO = [{"ref": "Video", "type": "object"}, {"ref": "Audio", "type": "object"}]


def test_one_of_two_ways_to_write_a_video_is_a_video():
    told = [{"ref": "Video", "type": "object"}, {"ref": "File", "type": "object"}]
    found, _ = outputs({"name": "video", "type": "union", "media_kind": "video", "any_of": told})
    assert found == [{"role": "video", "kind": "video", "mime_type": "video/mp4"}]


def test_an_address_that_was_given_is_not_an_output():
    given = [{"name": "image_url", "type": "string", "required": False}]
    found, values = outputs(
        {"name": "image_url", "type": "string", "media_kind": "image"}, inputs=given
    )
    assert found[0]["role"] == "result"
    assert values == [{"name": "image_url", "type": "string"}]


def test_stems_without_a_telling_name_are_sound_among_sounds():
    told = [
        {"name": name, "ref": "File", "media_kind": "file", "fields": ["url"]}
        for name in ("vocals", "other")
    ]
    assert [o["kind"] for o in outputs(*told)[0]] == ["audio", "audio"]


@pytest.mark.parametrize(
    ("endpoint", "role", "kind", "default", "mime_type"),
    [
        ("fal-ai/x", "images", "image", "jpeg", "image/jpeg"),
        ("fal-ai/x", "images", "image", None, "image/png"),
        ("fal-ai/recraft/vectorize", "image", "image", "png", "image/svg+xml"),
        ("fal-ai/x", "video", "video", "VP9 (.webm)", "video/webm"),
        ("fal-ai/x", "audio", "audio", "wav_44100", "audio/wav"),
        ("fal-ai/x", "model_glb", "model3d", None, "model/gltf-binary"),
        ("fal-ai/x", "model_obj", "model3d", "glb", "model/obj"),
        ("fal-ai/x", "lora_file", "weights", "png", "application/octet-stream"),
        ("fal-ai/x", "frames_zip", "image", "png", "application/zip"),
    ],
)
def test_the_type_of_an_output_follows_the_default_format_or_its_name(
    endpoint, role, kind, default, mime_type
):
    asked = [{"name": "output_format", "type": "string", "required": False, "default": default}]
    told = {"name": role, "ref": "File", "media_kind": kind, "fields": ["url"]}
    found, _ = outputs(told, endpoint_id=endpoint, inputs=asked)
    assert found[0]["mime_type"] == mime_type


@pytest.mark.parametrize(
    ("category", "role"),
    [("text-to-video", "video"), ("vision", "result"), ("x-to-3d", "model_mesh")],
)
def test_an_answer_that_is_not_described_is_what_the_task_promises(category, role):
    made = line(category=category)
    assert (made["outputs"][0]["role"], made["blind"]) == (role, True)


@pytest.mark.parametrize(
    ("category", "endpoint", "asked", "returned", "task"),
    [
        ("text-to-image", "a/b", [], [], "text-to-image"),
        ("Text to Image", "a/b", [], [], "text-to-image"),
        ("speech-to-speech", "a/b", [], [], "audio-to-audio"),
        ("unknown", "a/b", ["video_urls"], [("video", "object", "video")], "video-to-video"),
        ("workflow", "a/b", ["image_urls"], [("image", "object", "image")], "image-to-image"),
        ("json", "a/b", ["media_url"], [("waveform", "array", None)], "video-to-json"),
        ("json", "a/b", ["prompt"], [("lottie_file", "object", "file")], "text-to-json"),
        ("", "a/b", ["audio_url"], [("output", "string", None)], "audio-to-text"),
        ("other", "a/b", ["prompt"], [("output", "string", None)], "llm"),
        ("other", "a/b", ["image_url"], [("model_glb", "object", "model3d")], "image-to-3d"),
        ("other", "a/b/realtime", ["prompt"], [], "video-to-video"),
        ("other", "a/b/realtime", ["audio"], [], "audio-to-audio"),
    ],
)
def test_a_category_that_says_nothing_is_told_by_what_goes_in_and_out(
    category, endpoint, asked, returned, task
):
    made = line(
        category=category,
        endpoint_id=endpoint,
        inputs=[{"name": name, "type": "string", "required": False} for name in asked],
        outputs=[
            {"name": name, "type": kind, "required": True}
            | ({"media_kind": media} if media else {})
            for name, kind, media in returned
        ],
    )
    assert made["task"] == task


def test_a_schema_made_for_video_wins_over_a_name():
    assert output_word("mask", "VideoFile") == "video"
    assert output_word("thing", "Image") == "image"
    assert output_word("thing", "File") == "file"
