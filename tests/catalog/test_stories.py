"""Titles and descriptions of generated models."""

from collections import Counter

import pytest

from media_mcp.catalog.deeds import deed_of
from media_mcp.catalog.endpoints import read_lines
from media_mcp.catalog.sources import shipped_folder
from media_mcp.catalog.stories import MAX_WORDS, story_of, title_of
from media_mcp.catalog.traits import Traits


@pytest.fixture(scope="module")
def lines():
    return read_lines(shipped_folder() / "fal.jsonl")


def line(endpoint, task, *inputs, **told):
    params = [{"type": "string", **given} for given in inputs]
    return {"id": endpoint, "name": "Thing", "task": task, "inputs": params, "outputs": [], **told}


def measures(task, *inputs, endpoint="fal-ai/thing"):
    return [told for told in Traits(line(endpoint, task, *inputs)).measures("") if told]


@pytest.mark.parametrize(
    ("name", "endpoint", "title"),
    [
        ("FLUX.1 [dev]", "fal-ai/flux/dev", "FLUX.1 [dev]"),
        ("Vidu", "fal-ai/vidu/q3/image-to-video/turbo", "Vidu Q3 Image to Video Turbo"),
        ("Veo 3.1 Fast", "fal-ai/veo3.1/fast/extend-video", "Veo 3.1 Fast Extend Video"),
        ("Video", "bria/video/erase/mask", "Bria Video Erase Mask"),
        ("V2.6", "wan/v2.6/image-to-video/flash", "Wan V2.6 Image to Video Flash"),
        ("Seedance 2.0 Text to Video API", "bytedance/seedance-2.0/text-to-video", None),
        ("Kling O3 Image to Video [Pro]", "fal-ai/kling-video/o3/standard/image-to-video", None),
        ("MiniMax Voice Cloning", "fal-ai/minimax/voice-clone", "MiniMax Voice Cloning"),
        ("Sync Lipsync 2.0", "fal-ai/sync-lipsync/v2", "Sync Lipsync 2.0"),
        ("Wan", "fal-ai/wan/v2.2-a14b/text-to-image", "Wan v2.2 A14B Text to Image"),
        ("", "fal-ai/new-model/lora", "New Model LoRA"),
        ("", "somebody/thing/hd", "Somebody Thing HD"),
        ("gpt-image-1", "fal-ai/gpt-image-1/edit-image", "GPT Image 1 Edit"),
    ],
)
def test_a_title_tells_an_endpoint_from_its_siblings(name, endpoint, title):
    known = {
        "bytedance/seedance-2.0/text-to-video": "Seedance 2.0 Text to Video",
        "fal-ai/kling-video/o3/standard/image-to-video": "Kling O3 Image to Video [Standard]",
    }
    maker = "Bria" if endpoint.startswith("bria/") else ""
    made = title_of(name, endpoint, maker)
    assert made == (title or known[endpoint])
    assert title_of(made, endpoint, maker) == made


def test_a_long_title_is_cut():
    assert len(title_of("word " * 40, "a/b")) <= 80


def test_a_story_says_what_of_what_how_much_by_whom_and_how_long():
    story = story_of(
        line(
            "fal-ai/kling-video/v2.5-turbo/pro/image-to-video",
            "image-to-video",
            {"name": "duration", "enum": ["5", "10"]},
            {"name": "resolution", "enum": ["720p", "1080p"]},
            {"name": "generate_audio", "type": "boolean", "default": True},
            {"name": "tail_image_url", "media": "image", "role": "end_frame"},
            name="Kling Video v2.5 Turbo Pro Image to Video",
            provider="Kuaishou",
            seconds=120,
        )
    )
    assert story == (
        "Turns a picture into a video: 5 or 10 seconds, up to 1080p, with sound. "
        "With Kling Video v2.5 Turbo Pro by Kuaishou, the faster edition. "
        "Takes a picture to end on. About 2 minutes a call."
    )


def test_a_story_without_a_maker_of_its_own_says_what_it_does():
    assert story_of(line("fal-ai/birefnet/v2", "image-to-image", provider="fal")) == (
        "Removes the background of a picture. With Thing."
    )
    assert story_of(line("fal-ai/imageutils/rembg/turbo", "image-to-image", provider="fal")) == (
        "Removes the background of a picture. The faster edition."
    )


def test_a_maker_is_not_named_twice():
    made = line("fal-ai/recraft/v4/text-to-image", "text-to-image", provider="Recraft")
    assert "With Recraft V4." in story_of({**made, "name": "Recraft V4 Text to Image"})


def test_a_task_that_nobody_knows_is_said_as_it_is():
    assert deed_of("smell-to-taste", "fal-ai/thing") == ("Does smell to taste", True)


@pytest.mark.parametrize(
    ("endpoint", "task", "words"),
    [
        ("fal-ai/esrgan", "image-to-image", "Upscales a picture"),
        ("fal-ai/docres", "image-to-image", "Cleans the photo of a document"),
        ("fal-ai/flux-pro/kontext/text-to-image", "text-to-image", "Draws pictures from a prompt"),
        ("fal-ai/flux-pro/v1/fill", "image-to-image", "inpainting"),
        ("fal-ai/image-preprocessors/sam", "image-to-image", "Cuts a picture into segments"),
        ("fal-ai/sync-lipsync/v2", "video-to-video", "Lip-syncs a video"),
        ("fal-ai/veo3.1/first-last-frame-to-video", "image-to-video", "between two pictures"),
        ("fal-ai/wan-effects", "image-to-video", "ready-made video effect"),
        ("fal-ai/kokoro/hindi", "text-to-audio", "Speaks a text in Hindi"),
        ("fal-ai/demucs", "audio-to-audio", "Splits a song into its parts"),
        ("fal-ai/whisper", "speech-to-text", "Transcribes"),
        ("fal-ai/flux-2-trainer/edit", "training", "Trains a LoRA for Thing on your own pictures"),
        ("fal-ai/ltx23-trainer-v2/v2v-masked", "training", "from video to video, within a mask"),
        ("fal-ai/post-processing/dodge-burn", "image-to-image", "an effect: dodge burn"),
        ("fal-ai/post-processing/parabolize", "image-to-image", "a bend like a parabola"),
        ("fal-ai/flux-lora-depth", "image-to-image", "keeps the depth of another"),
        ("half-moon-ai/ai-detector/detect-text", "text-to-text", "how likely a text was made"),
        ("sonauto/v2/extend", "audio-to-audio", "Extends a song"),
        ("fal-ai/finegrain-eraser/bbox", "image-to-image", "Removes what you point at"),
        ("fal-ai/object-removal/mask", "image-to-image", "Removes what a mask covers"),
        ("fal-ai/meshy/rigging", "3d-to-3d", "a skeleton"),
        ("fal-ai/ideogram/v2/remix", "image-to-image", "Mixes a picture"),
    ],
)
def test_a_story_starts_with_what_it_does(endpoint, task, words):
    assert words in story_of(line(endpoint, task))


def test_lips_fit_a_recording_or_a_text():
    recording = {"name": "audio_url", "media": "audio"}
    spoken = line("fal-ai/pixverse/lipsync", "video-to-video", recording)
    assert "to fit a recording" in story_of(spoken)
    assert "to fit a text" in story_of(line("fal-ai/pixverse/lipsync", "video-to-video"))
    assert "speak a text" in story_of(line("fal-ai/infinitalk/single-text", "text-to-video"))


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ([{"name": "image_url", "media": "image"}], "Edits a picture"),
        ([{"name": n, "media": "image"} for n in ("image_url", "b_url")], "Edits pictures"),
        (
            [{"name": "image_urls", "type": "array", "media": "image"}],
            "Edits one or more pictures",
        ),
        (
            [{"name": "image_urls", "type": "array", "media": "image", "max_items": 7}],
            "Edits up to 7 pictures",
        ),
    ],
)
def test_it_is_said_how_many_pictures_are_taken(inputs, words):
    assert story_of(line("fal-ai/x/edit", "image-to-image", *inputs)).startswith(words)


@pytest.mark.parametrize(
    ("param", "words"),
    [
        ({"name": "duration", "enum": ["4s", "6s", "8s"]}, "4, 6 or 8 seconds"),
        ({"name": "duration", "enum": ["auto", "8s"]}, "8 seconds"),
        ({"name": "duration", "enum": [3, 4, 5, 6]}, "3 to 6 seconds"),
        (
            {"name": "duration", "type": "number", "minimum": 0.5, "maximum": 22},
            "0.5 to 22 seconds",
        ),
        ({"name": "duration", "type": "integer", "minimum": 0, "maximum": 30}, "up to 30 seconds"),
        ({"name": "seconds", "type": "integer", "minimum": 1, "maximum": 150}, "up to 2.5 minutes"),
    ],
)
def test_durations_are_said_as_they_can_be_chosen(param, words):
    assert measures("text-to-video", {"type": "string", **param}) == [words]


def test_frames_are_counted_in_seconds_where_the_rate_is_known():
    frames = {"name": "num_frames", "type": "integer", "maximum": 161}
    rate = {"name": "frames_per_second", "type": "integer", "default": 16}
    assert measures("text-to-video", frames, rate) == ["up to about 10 seconds"]
    assert measures("text-to-video", frames) == []
    assert measures("text-to-video", {"name": "duration", "type": "integer"}) == []


def test_a_resolution_is_told_by_its_choices_or_by_the_id():
    one = {"name": "resolution", "enum": ["1K", "2K", "4k"]}
    assert measures("text-to-image", one) == ["up to 4K"]
    assert measures("text-to-video", {"name": "resolution", "enum": ["720p"]}) == ["720p"]
    assert measures("text-to-video", endpoint="fal-ai/x/text-to-video/480p") == ["480p"]
    assert measures("text-to-video", endpoint="fal-ai/x/4k/text-to-video") == ["4K"]


def test_sound_is_with_it_or_on_request():
    switch = {"name": "generate_audio", "type": "boolean"}
    assert measures("text-to-video", switch | {"default": False}) == ["with sound if asked"]


def test_numbers_of_things_to_choose_from_are_told():
    voices = {"name": "voice", "enum": ["a", "b", "c"]}
    languages = {"name": "language", "enum": ["en", "de", "fr", "it"]}
    assert measures("text-to-speech", voices, languages) == ["3 voices", "4 languages"]
    many = {"name": "num_images", "type": "integer", "maximum": 8}
    factor = {"name": "upscale_factor", "type": "integer", "enum": [2, 4]}
    assert measures("text-to-image", many, factor) == ["up to 8 at once", "up to 4 times as wide"]


def test_what_else_it_takes_is_told_and_no_more_than_three_things():
    media = {"media": "image"}
    told = line(
        "fal-ai/thing",
        "text-to-video",
        {"name": "loras", "type": "array"},
        {"name": "end_image_url", "role": "end_frame", **media},
        {"name": "mask_url", "role": "mask", **media},
        {"name": "controlnets", "type": "array"},
        {"name": "reference_image_urls", **media},
        {"name": "elements", "type": "array"},
        {"name": "image_url", **media},
        {"name": "video_url", "media": "video"},
        {"name": "audio_url", "media": "audio"},
    )
    assert list(Traits(told).extras("Makes", usual=True)) == [
        "your own LoRAs",
        "a picture to end on",
        "a mask",
        "ControlNets",
        "reference pictures",
        "named characters",
        "pictures to start from",
        "a video as a guide",
        "a sound track",
    ]
    assert story_of(told).endswith("Takes your own LoRAs, a picture to end on and a mask.")
    spoken = line("fal-ai/x", "text-to-speech", {"name": "audio_url", "media": "audio"})
    assert "Takes a recording whose voice it copies." in story_of(spoken)
    redrawn = line("fal-ai/x", "image-to-image", {"name": "strength", "type": "number"})
    assert "Takes a strength (how much changes)." in story_of(redrawn)


def test_every_story_is_short_and_whole(lines):
    stories = {name: story_of(line) for name, line in lines.items()}
    assert max(len(story.split()) for story in stories.values()) <= MAX_WORDS
    odd = [
        name for name, s in stories.items() if "{" in s or ".." in s or "  " in s or s[-1] != "."
    ]
    assert odd == []


def test_most_stories_and_nearly_all_titles_are_of_one_endpoint_only(lines):
    stories = Counter(story_of(line) for line in lines.values())
    titles = Counter(line["name"] for line in lines.values())
    assert sum(count == 1 for count in stories.values()) > 1500
    assert sum(count == 1 for count in titles.values()) > 1555
    assert max(map(len, titles)) <= 80
