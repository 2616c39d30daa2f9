"""The stand-ins: of the right kind, size and duration, with the same bytes for the same call."""

from __future__ import annotations

import json
import struct
import sys
import wave
import zipfile
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import av
import pytest
from PIL import Image

from media_mcp.backends.base import Run
from media_mcp.backends.rehearsal import Rehearsal
from media_mcp.catalog.model import Model, OutputSpec
from media_mcp.job import Asset, MediaKind, Output

pytestmark = pytest.mark.anyio


@pytest.fixture
def rehearse(run_of: Callable[..., Run], model_of: Callable[..., Model]) -> Callable[..., Any]:
    """Rehearse a model of one kind and give its first output."""

    async def make(kind: str = "image", mime_type: str = "", **call: Any) -> Output:
        model = model_of(kind, mime_type, task=call.pop("task", "text-to-image"))
        result = await Rehearsal().run(run_of(model, **call))
        return result.outputs[0]

    return make


def asset(kind: MediaKind, **known: Any) -> Asset:
    mime_type = f"{kind}/x"
    return Asset(f"media://{'0' * 64}.x", Path("x"), kind, mime_type, size=1, **known)


@pytest.mark.parametrize("kind", ["image", "svg", "video", "audio", "text", "model3d", "file"])
async def test_the_same_call_gives_the_same_bytes_and_another_seed_others(
    rehearse: Callable[..., Any], kind: str
) -> None:
    usual = {"width": 96, "height": 64, "duration": 0.5, "prompt": "waves", "generate_audio": True}
    outputs = [await rehearse(kind, seed=seed, **usual) for seed in (1, 1, 2)]

    first, second, other = (output.path.read_bytes() for output in outputs)
    assert first == second
    assert first != other


async def test_every_output_of_a_model_is_made(
    run_of: Callable[..., Run], model_of: Callable[..., Model]
) -> None:
    outputs = (
        OutputSpec("video", MediaKind.VIDEO, "video/mp4"),
        OutputSpec("audio", MediaKind.AUDIO, "audio/mpeg"),
        OutputSpec("thumbnail", MediaKind.IMAGE, "image/webp"),
    )
    run = run_of(model_of(outputs=outputs), width=64, height=64, duration=0.2)

    made = (await Rehearsal().run(run)).outputs

    assert [(o.role, o.mime_type) for o in made] == [
        ("video", "video/mp4"),
        ("audio", "audio/wav"),
        ("thumbnail", "image/webp"),
    ]
    assert all(output.path.stat().st_size > 0 for output in made)


@pytest.mark.parametrize(
    ("arguments", "size"),
    [
        ({"width": 200, "height": 100}, (200, 100)),
        ({"width": 200.4, "height": 100}, (200, 100)),
        ({"width": 99_999, "height": 1}, (4096, 16)),
        ({"width": True, "height": 64}, (1024, 1024)),
        ({"image_size": "320x240"}, (320, 240)),
        ({"image_size": "320*240"}, (320, 240)),
        ({"image_size": "landscape_16_9"}, (1024, 576)),
        ({"image_size": {"width": 128, "height": 64}}, (128, 64)),
        ({"image_size": {"width": "wide"}}, (1024, 1024)),
        ({"size": 96}, (96, 96)),
        ({"size": "auto"}, (1024, 1024)),
        ({"aspect_ratio": "1:1"}, (1024, 1024)),
        ({"aspect_ratio": "16:9"}, (1368, 768)),
        ({"aspect_ratio": "9:16"}, (768, 1368)),
        ({"aspect_ratio": "0:9"}, (1024, 1024)),
        ({"aspect_ratio": "auto"}, (1024, 1024)),
        ({"aspect_ratio": "99:1"}, (4096, 256)),
        ({"aspect_ratio": "4:3", "resolution": "480p"}, (640, 480)),
        ({"resolution": "2K"}, (2048, 2048)),
        ({"resolution": "1K", "aspect_ratio": "4:1"}, (2048, 512)),
        ({"resolution": "best"}, (1024, 1024)),
        ({}, (1024, 1024)),
    ],
)
async def test_a_picture_has_the_size_that_was_asked_for(
    rehearse: Callable[..., Any], arguments: dict[str, Any], size: tuple[int, int]
) -> None:
    output = await rehearse(prompt="a boat", **arguments)

    with Image.open(output.path) as picture:
        assert picture.size == size


async def test_without_a_size_a_picture_is_as_large_as_the_input(
    rehearse: Callable[..., Any],
) -> None:
    sound = asset(MediaKind.AUDIO, duration=3.0)
    photo = asset(MediaKind.IMAGE, width=300, height=200)

    output = await rehearse(inputs={"media://a": sound, "media://b": photo})

    with Image.open(output.path) as picture:
        assert picture.size == (300, 200)


@pytest.mark.parametrize(
    ("asked", "declared", "format", "ending"),
    [
        ("jpeg", "image/png", "JPEG", ".jpg"),
        ("png", "image/jpeg", "PNG", ".png"),
        ("webp", "image/png", "WEBP", ".webp"),
        (None, "image/jpeg", "JPEG", ".jpg"),
        (None, "image/gif", "GIF", ".gif"),
        ("tiff", "image/*", "PNG", ".png"),
    ],
)
async def test_a_picture_has_the_format_of_the_call_or_the_card(
    rehearse: Callable[..., Any], asked: str | None, declared: str, format: str, ending: str
) -> None:
    output = await rehearse("image", declared, width=64, height=64, output_format=asked)

    assert output.path.suffix == ending
    assert output.mime_type == f"image/{format.lower()}"
    with Image.open(output.path) as picture:
        assert picture.format == format


async def test_several_pictures_differ(
    run_of: Callable[..., Run], model_of: Callable[..., Model]
) -> None:
    run = run_of(model_of(), num_images=4, width=64, height=64)

    outputs = (await Rehearsal().run(run)).outputs

    assert len({output.path.read_bytes() for output in outputs}) == 4


def film(path: Path) -> tuple[int, tuple[int, int], float, list[bytes], bool]:
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        frames = [frame.to_image() for frame in container.decode(video)]
        seconds = len(frames) / float(video.average_rate or 1)
        ends = [frames[0].tobytes(), frames[-1].tobytes()]
        return len(frames), frames[0].size, seconds, ends, bool(container.streams.audio)


@pytest.mark.parametrize(
    ("arguments", "frames", "size", "seconds"),
    [
        ({"width": 64, "height": 48, "duration": 1}, 24, (64, 48), 1.0),
        ({"width": 65, "height": 49, "duration": "1s", "fps": 10}, 10, (64, 48), 1.0),
        ({"width": 64, "height": 48, "num_frames": 9, "fps": 8}, 9, (64, 48), 9 / 8),
        ({"resolution": "480p", "num_frames": 2}, 2, (856, 480), 2 / 24),
        ({"aspect_ratio": "9:16", "num_frames": 1}, 1, (720, 1280), 1 / 24),
        ({"num_frames": 1}, 1, (1280, 720), 1 / 24),
        ({"width": 64, "height": 48}, 96, (64, 48), 4.0),
    ],
)
async def test_a_clip_has_the_size_and_duration_that_were_asked_for(
    rehearse: Callable[..., Any],
    arguments: dict[str, Any],
    frames: int,
    size: tuple[int, int],
    seconds: float,
) -> None:
    output = await rehearse("video", **arguments)

    found = film(output.path)
    assert found[:2] == (frames, size)
    assert found[2] == pytest.approx(seconds)


async def test_a_clip_moves_and_is_silent_unless_sound_is_asked_for(
    rehearse: Callable[..., Any],
) -> None:
    small = {"width": 64, "height": 48, "duration": 0.5}

    *_, (first, last), silent = film((await rehearse("video", **small)).path)
    assert first != last
    assert not silent
    assert film((await rehearse("video", generate_audio=True, **small)).path)[4]
    assert film((await rehearse("video", task="lipsync", **small)).path)[4]
    voice = {"media://a": asset(MediaKind.AUDIO, duration=0.5)}
    assert film((await rehearse("video", inputs=voice, width=64, height=48)).path)[4]


async def test_a_clip_s_sound_lasts_as_long_as_its_pictures(rehearse: Callable[..., Any]) -> None:
    output = await rehearse("video", width=64, height=48, duration=1, generate_audio=True)

    with av.open(str(output.path)) as container:
        audio = container.streams.audio[0]
        samples = sum(frame.samples for frame in container.decode(audio))
        assert samples / audio.rate == pytest.approx(1.0, abs=0.1)


async def test_where_h264_cannot_be_written_a_clip_is_mpeg4(
    rehearse: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(av, "codecs_available", {"mpeg4"})

    output = await rehearse("video", width=64, height=48, duration=0.2)

    with av.open(str(output.path)) as container:
        assert container.streams.video[0].codec_context.name == "mpeg4"


def heard(path: Path) -> tuple[float, array[int]]:
    with wave.open(str(path)) as file:
        samples = array("h", file.readframes(file.getnframes()))
        return file.getnframes() / file.getframerate(), samples


@pytest.mark.parametrize(
    ("call", "seconds"),
    [
        ({"duration": 1.5}, 1.5),
        ({"duration": "2"}, 2.0),
        ({"duration": "auto"}, 5.0),
        ({"duration": -1}, 5.0),
        ({"music_length_ms": 1500}, 1.5),
        ({"text": "x" * 45, "task": "text-to-speech"}, 3.0),
        ({"text": "hi", "task": "text-to-speech"}, 1.0),
        ({"inputs": {"media://a": asset(MediaKind.AUDIO, duration=2.5)}}, 2.5),
        ({"duration": 61}, 61.0),
        ({"duration": 9999}, 600.0),
        ({}, 5.0),
    ],
)
async def test_sound_lasts_as_long_as_was_asked_or_as_its_text_takes(
    rehearse: Callable[..., Any], call: dict[str, Any], seconds: float
) -> None:
    output = await rehearse("audio", **call)

    length, samples = heard(output.path)
    assert length == pytest.approx(seconds)
    assert max(samples) > 5000


@pytest.mark.parametrize(
    ("asked", "declared", "ending", "mime"),
    [
        (None, "application/json", ".json", "application/json"),
        ("srt", "application/json", ".srt", "application/x-subrip"),
        ("vtt", "text/plain", ".vtt", "text/vtt"),
        (None, "text/plain", ".txt", "text/plain"),
    ],
)
async def test_a_transcript_has_the_format_of_the_call_or_the_card(
    rehearse: Callable[..., Any], asked: str | None, declared: str, ending: str, mime: str
) -> None:
    output = await rehearse("text", declared, response_format=asked, duration=6)

    assert (output.path.suffix, output.mime_type) == (ending, mime)
    assert "rehearsal" in output.path.read_text()


async def test_a_transcript_s_chunks_span_the_recording(rehearse: Callable[..., Any]) -> None:
    voice = {"media://a": asset(MediaKind.AUDIO, duration=9.0)}

    told = json.loads((await rehearse("text", inputs=voice)).path.read_text())

    times = [time for chunk in told["chunks"] for time in chunk["timestamp"]]
    assert times == sorted(times)
    assert (times[0], times[-1]) == (0.0, 9.0)
    assert " ".join(chunk["text"] for chunk in told["chunks"]) == told["text"]


async def test_subtitles_have_numbered_cues(rehearse: Callable[..., Any]) -> None:
    page = (await rehearse("text", "application/x-subrip", duration=4)).path.read_text()

    assert page.startswith("1\n00:00:00,000 --> 00:00:01,000\n")
    assert (await rehearse("text", "text/vtt")).path.read_text().startswith("WEBVTT\n\n1\n")


async def test_the_transcript_is_among_the_facts(
    run_of: Callable[..., Run], model_of: Callable[..., Model]
) -> None:
    result = await Rehearsal().run(run_of(model_of("text", "text/plain")))

    assert result.outputs[0].path.read_text().strip() == result.facts["text"]


async def test_a_drawing_is_well_formed_and_shows_the_prompt_as_text_only(
    rehearse: Callable[..., Any],
) -> None:
    output = await rehearse("svg", prompt="<script>alert(1)</script>", width=40, height=30)

    root = ElementTree.fromstring(output.path.read_text())
    assert (root.get("width"), root.get("height")) == ("40", "30")
    assert not [child for child in root.iter() if child.tag.endswith("script")]


async def test_a_3d_model_is_a_valid_binary_gltf(rehearse: Callable[..., Any]) -> None:
    content = (await rehearse("model3d")).path.read_bytes()

    magic, version, length = struct.unpack_from("<4sII", content)
    assert (magic, version, length) == (b"glTF", 2, len(content))
    size, kind = struct.unpack_from("<I4s", content, 12)
    assert kind == b"JSON"
    scene = json.loads(content[20 : 20 + size])
    binary_size, binary_kind = struct.unpack_from("<I4s", content, 20 + size)
    assert binary_kind == b"BIN\0"
    assert binary_size == scene["buffers"][0]["byteLength"] == len(content) - size - 28
    assert size % 4 == binary_size % 4 == 0


async def test_files_have_the_declared_type(rehearse: Callable[..., Any]) -> None:
    with zipfile.ZipFile((await rehearse("file")).path) as archive:
        assert json.loads(archive.read("rehearsal.json"))["seed"] == 7
    plain = await rehearse("file", "application/json", prompt="rust")
    assert json.loads(plain.path.read_text())["words"] == "rust"
    other = await rehearse("file", "application/octet-stream")
    assert (other.path.suffix, other.mime_type) == (".bin", "application/octet-stream")


@pytest.mark.parametrize("kind", ["image", "svg", "video", "audio", "text", "model3d", "file"])
async def test_a_blank_rehearsal_gives_a_file_with_nothing_in_it(
    rehearse: Callable[..., Any], kind: str
) -> None:
    blank = await rehearse(kind, spec={"failure": "blank"}, width=32, height=32, duration=0.2)
    other = await rehearse(kind, spec={}, width=32, height=32, duration=0.2)

    assert blank.path.exists()
    assert blank.path.read_bytes() != other.path.read_bytes()
    if kind == "image":
        with Image.open(blank.path) as picture:
            assert picture.getcolors() == [(32 * 32, (0, 0, 0))]
    if kind == "audio":
        assert set(heard(blank.path)[1]) == {0}


def test_no_numpy_is_needed() -> None:
    import subprocess

    program = (
        "import sys\n"
        "from media_mcp.backends.rehearsal import Rehearsal\n"
        "print([n for n in ('numpy', 'torch', 'av', 'PIL') if n in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert said.stdout.strip() == "[]"
