"""What was asked for, read from the arguments of any model, and what differs from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.model import Model, OutputSpec, Param
from media_mcp.job import Asset, MediaKind
from media_mcp.media.check import compare, read_wanted
from media_mcp.media.facts import Facts

IMAGE = OutputSpec("images", MediaKind.IMAGE, "image/png", "files")
VIDEO = OutputSpec("video", MediaKind.VIDEO, "video/mp4")
AUDIO = OutputSpec("audio", MediaKind.AUDIO, "audio/wav")
TYPES = {
    MediaKind.IMAGE: ("image/png", "png"),
    MediaKind.VIDEO: ("video/mp4", "mp4"),
    MediaKind.AUDIO: ("audio/wav", "wav"),
    MediaKind.TEXT: ("text/plain", "txt"),
}


def model(*outputs: OutputSpec, inputs: tuple[Param, ...] = ()) -> Model:
    return Model("m", "m", "M", "", "task", "MIT", inputs, outputs, ())


def facts(kind: MediaKind = MediaKind.IMAGE, mime: str = "", **said: object) -> Facts:
    mime_type, extension = TYPES[kind]
    return Facts(kind, mime or mime_type, extension, **said)  # type: ignore[arg-type]


def picture(width: int, height: int, mime: str = "") -> Facts:
    return facts(mime=mime, width=width, height=height, frames=1)


def clip(seconds: float, fps: float = 24.0, size: tuple[int, int] = (1280, 720)) -> Facts:
    return facts(MediaKind.VIDEO, width=size[0], height=size[1], duration=seconds, fps=fps)


def found(
    made: Facts | list[Facts], output: OutputSpec, *given: Asset, **arguments: object
) -> list[str]:
    inputs = tuple(Param(f"in_{i}", "string", media=asset.kind) for i, asset in enumerate(given))
    uris = {f"in_{i}": asset.uri for i, asset in enumerate(given)}
    wanted = read_wanted(
        model(output, inputs=inputs), {**arguments, **uris}, {a.uri: a for a in given}
    )
    made = made if isinstance(made, list) else [made]
    return compare(wanted, [(output.role, one) for one in made])


def given(kind: MediaKind, width: int | None = 640, height: int | None = 640) -> Asset:
    uri = f"media://{'0' * 63}{len(kind.value) % 10}.x"
    return Asset(uri, Path("x"), kind, "x/y", 1, width, height, 3.0)


@pytest.mark.parametrize(
    ("arguments", "size"),
    [
        ({"width": 64, "height": 48}, (64, 48)),
        ({"image_size": {"width": 64, "height": 48}}, (64, 48)),
        ({"image_size": "64x48"}, (64, 48)),
        ({"size": 64}, (64, 64)),
        ({"width": 1000, "height": 1000}, (1008, 992)),  # a grid of 16
        ({"width": 1000, "height": 1000}, (1024, 960)),  # a grid of 64
        ({"width": 101, "height": 99}, (100, 100)),
        ({"image_size": "1280x720"}, (1280, 704)),
        ({"image_size": "square_hd"}, (1024, 1024)),
        ({"image_size": "square_hd"}, (2048, 2048)),  # the preset's shape is meant
        ({"image_size": "landscape_4_3"}, (1152, 896)),
        ({"image_size": "auto"}, (999, 333)),
        ({"aspect_ratio": "16:9"}, (1344, 768)),
        ({"aspect_ratio": "auto"}, (999, 333)),
        ({"aspect_ratio": "9:16", "resolution": "1K"}, (768, 1344)),
        ({"resolution": "2K"}, (2048, 2048)),
        ({"resolution": "medium"}, (10, 10)),
        ({"width": 64, "height": 64, "upscale_factor": 4}, (256, 256)),
        ({}, (7, 5)),
    ],
)
def test_a_size_as_asked_or_as_free_is_no_finding(
    arguments: dict[str, object], size: tuple[int, int]
) -> None:
    assert found(picture(*size), IMAGE, **arguments) == []


@pytest.mark.parametrize(
    ("arguments", "size", "finding"),
    [
        ({"width": 128, "height": 48}, (64, 48), "The width is 64 px; 128 px were asked for."),
        ({"height": 100}, (64, 48), "The height is 48 px; 100 px were asked for."),
        ({"image_size": {"width": 64, "height": 64}}, (64, 32), "The height is 32 px; 64 px"),
        ({"image_size": "1280x720"}, (1280, 640), "The height is 640 px; 720 px were asked"),
        ({"size": 512}, (256, 512), "The width is 256 px; 512 px were asked for."),
        ({"image_size": "portrait_16_9"}, (1024, 576), "The shape is 1024x576, 1.78 to 1; 0.56"),
        ({"aspect_ratio": "1:1"}, (1024, 576), "The shape is 1024x576, 1.78 to 1; 1 to 1 was"),
        ({"resolution": "4K"}, (1024, 1024), "The size is 1024x1024; 4K was asked for."),
    ],
)
def test_another_size_or_shape_than_asked_is_found(
    arguments: dict[str, object], size: tuple[int, int], finding: str
) -> None:
    (said,) = found(picture(*size), IMAGE, **arguments)
    assert said.startswith(finding)


def test_what_is_made_from_a_picture_may_have_the_shape_of_that() -> None:
    square = given(MediaKind.IMAGE)
    assert found(clip(5, size=(960, 960)), VIDEO, square, aspect_ratio="16:9") == []
    assert found(clip(5, size=(960, 960)), VIDEO, aspect_ratio="16:9") != []


@pytest.mark.parametrize(
    ("resolution", "size", "finds"),
    [
        ("720p", (1280, 720), False),
        ("720p", (720, 720), False),
        ("720p", (960, 960), False),
        ("720p", (848, 480), True),
        ("1080p", (1280, 720), True),
        ("480p", (832, 480), False),
        ("4k", (3840, 2160), False),
    ],
)
def test_a_resolution_is_known_by_its_pixels(
    resolution: str, size: tuple[int, int], finds: bool
) -> None:
    assert bool(found(clip(5, size=size), VIDEO, resolution=resolution)) is finds


@pytest.mark.parametrize("asked", [2, 2.1, "2", "2s", "2.0 s", "auto", None, True, [2], -1, 0])
def test_seconds_may_be_asked_for_in_words(asked: object) -> None:
    assert found(facts(MediaKind.AUDIO, duration=2.0), AUDIO, duration=asked) == []


@pytest.mark.parametrize(
    ("arguments", "finding"),
    [
        ({"duration": 1.5}, "The duration is 1.00 s; 1.5 s were asked for."),
        ({"duration": "5s"}, "The duration is 1.00 s; 5 s were asked for."),
        ({"seconds_total": 3}, "The duration is 1.00 s; 3 s were asked for."),
        ({"music_length_ms": 4000}, "The duration is 1.00 s; 4 s were asked for."),
    ],
)
def test_other_seconds_than_asked_are_found(arguments: dict[str, object], finding: str) -> None:
    assert found(facts(MediaKind.AUDIO, duration=1.0), AUDIO, **arguments) == [finding]


def test_frames_and_their_rate_are_seconds_and_are_compared() -> None:
    asked: dict[str, object] = {"num_frames": 81, "frames_per_second": 16}
    assert found(clip(81 / 16, 16), VIDEO, **asked) == []
    assert found(clip(77 / 16, 16), VIDEO, **asked) == []  # 4 frames make one step
    assert found(clip(81 / 16, 15.984), VIDEO, **asked) == []
    assert found(clip(2.0, 8), VIDEO, **asked) == [
        "The duration is 2.00 s; 5.06 s were asked for.",
        "The video has 8 frames a second; 16 were asked for.",
    ]
    assert found(clip(5, 32), VIDEO, **asked, num_interpolated_frames=1) == []
    assert found(clip(5, 24), VIDEO, fps=8, export_fps=24) == []


def test_the_length_of_what_comes_in_may_count_more_than_what_was_asked() -> None:
    assert found(clip(3, 30), VIDEO, given(MediaKind.VIDEO), duration=5, fps=24) == []
    assert found(clip(3), VIDEO, given(MediaKind.AUDIO, None, None), duration=5) == []


@pytest.mark.parametrize(
    ("output", "made", "word"),
    [
        (IMAGE, picture(8, 8, "image/jpeg"), "png"),
        (IMAGE, picture(8, 8, "image/png"), "jpeg"),
        (VIDEO, clip(1), "VP9 (.webm)"),
        (AUDIO, facts(MediaKind.AUDIO), "mp3_44100_128"),
    ],
)
def test_another_format_than_asked_is_found(output: OutputSpec, made: Facts, word: str) -> None:
    (said,) = found(made, output, output_format=word)
    assert said.startswith(f"The output is {made.mime_type}; ")


def test_a_format_as_asked_is_no_finding_even_of_another_kind() -> None:
    assert found(picture(8, 8, "image/jpeg"), IMAGE, output_format="jpg") == []
    assert found(clip(1), VIDEO, output_format="X264 (.mp4)") == []
    assert found(picture(8, 8, "image/gif"), VIDEO, output_format="GIF (.gif)") == []
    assert found(facts(MediaKind.AUDIO), AUDIO, output_format="pcm_16000") == []


def test_another_kind_than_promised_is_found() -> None:
    assert found(facts(MediaKind.AUDIO), VIDEO) == [
        "The output is of kind audio (audio/wav), not video."
    ]
    anything = OutputSpec("file", MediaKind.FILE, "application/octet-stream")
    assert found(facts(MediaKind.TEXT), anything) == []
    drawing = OutputSpec("images", MediaKind.IMAGE, "image/svg+xml", "files")
    assert found(picture(8, 8), drawing) == ["The output is image/png; svg was asked for."]


def test_too_few_and_too_many_are_found() -> None:
    one = picture(8, 8)
    assert found([one] * 4, IMAGE, num_images=4) == []
    assert found([one], IMAGE, num_images=4) == ["4 outputs (images) were asked for; 1 came."]
    assert found([one] * 3, IMAGE, num_images=2) == ["2 outputs (images) were asked for; 3 came."]
    assert found([one] * 3, IMAGE, num_images=1, max_images=6) == []
    assert found(clip(1), VIDEO, num_videos=2) == []  # one file may show both


def test_a_wish_can_be_read_from_the_examples_of_every_model() -> None:
    """Whatever a model of the catalog is called with by example, it asks for what can be."""
    for one in Catalog.load([]):
        defaults = {p.name: p.default for p in one.inputs if p.default is not None}
        for arguments in (defaults, *(defaults | dict(e.arguments) for e in one.examples)):
            wanted = read_wanted(one, arguments, {})
            assert all(side is None or 0 < side <= 16_384 for side in wanted.size), one.id
            assert wanted.rate is None or 1 <= wanted.rate <= 120, one.id
            assert wanted.seconds is None or 0 < wanted.seconds.high <= 3600, one.id
            assert wanted.count is None or 1 <= wanted.count <= 32, one.id
            assert compare(wanted, []) == [] or wanted.count, one.id
