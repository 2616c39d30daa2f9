"""Frames: taken out, scaled, cut, padded, laid over, written on; pixels are looked at."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from media_mcp.errors import InvalidArguments
from media_mcp.worker.pipelines.tools.titles import read_cues
from toolkit import BLACK, BLUE, GREEN, RED, WHITE, Bench, make_clip, near, watch

SRT = "1\n00:00:00,500 --> 00:00:01,000\nHello <i>there</i>\n"


def middle(path: Path) -> tuple[int, ...]:
    with Image.open(path) as picture:
        found: Any = picture.convert("RGB").getpixel((picture.width // 2, picture.height // 3))
        return tuple(found)


@pytest.mark.parametrize(
    ("call", "colours"),
    [
        ({"at": "first"}, [RED]),
        ({"at": "last"}, [WHITE]),
        ({"at": "middle"}, [BLUE]),
        ({"seconds": 0.6}, [GREEN]),
        ({"seconds": -0.9}, [BLUE]),
        ({"seconds": 2.0}, [WHITE]),
        ({"at": "evenly", "count": 4}, [RED, GREEN, BLUE, WHITE]),
    ],
)
def test_pictures_are_those_of_their_moments(
    bench: Bench, clip: Path, call: dict[str, Any], colours: list[Any]
) -> None:
    used = bench.use("extract-frames", video_url=clip, **call)
    assert len(used.paths) == len(colours)
    assert all(near(middle(path), want) for path, want in zip(used.paths, colours, strict=True))
    assert len(used.product.facts["moments"]) == len(colours)


def test_a_moment_outside_the_video_is_refused(bench: Bench, clip: Path) -> None:
    with pytest.raises(InvalidArguments, match=r"seconds: 7 s is outside the video"):
        bench.use("extract-frames", video_url=clip, seconds=7)


def test_a_contact_sheet_shows_the_whole_video(bench: Bench, clip: Path) -> None:
    used = bench.use("contact-sheet", video_url=clip, count=4, tile_width=64, labels=False)
    with Image.open(used.path) as sheet:
        assert sheet.size == (2 * 72 + 8, 2 * 56 + 8)
        tiles = [sheet.getpixel((x, y)) for y in (20, 76) for x in (40, 112)]
    assert all(near(t, c) for t, c in zip(tiles, (RED, GREEN, BLUE, WHITE), strict=True))
    assert used.steps == [(n, 4) for n in (1, 2, 3, 4)]


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_an_animation_shows_the_piece_at_its_rate(bench: Bench, clip: Path, kind: str) -> None:
    call = {"start": 0.5, "seconds": 1, "fps": 10, "max_width": 32, "output_format": kind}
    used = bench.use("video-to-gif", video_url=clip, **call)
    with Image.open(used.path) as picture:
        assert picture.format == kind.upper()
        assert picture.size == (32, 24)
        assert picture.info["loop"] == 0
        total, colours = 0.0, []
        for number in range(picture.n_frames):  # type: ignore[attr-defined]
            picture.seek(number)
            picture.load()
            total += picture.info["duration"]
            colours.append(picture.convert("RGB").getpixel((16, 8)))
    assert total == pytest.approx(1000)
    assert near(colours[0], GREEN)
    assert near(colours[-1], BLUE)


def test_an_animation_nobody_could_open_is_refused(
    bench: Bench, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("media_mcp.worker.pipelines.tools.film.MAX_ANIMATION", 10_000)
    with pytest.raises(InvalidArguments, match="too many pixels for gif") as refused:
        bench.use("video-to-gif", video_url=clip)
    assert "MAX_ANIMATION" in refused.value.hint


@pytest.mark.parametrize(
    ("tool", "call", "size"),
    [
        ("scale-video", {"width": 32}, (32, 24)),
        ("scale-video", {"height": 96}, (128, 96)),
        ("scale-video", {"width": 40, "height": 40}, (40, 30)),
        ("scale-video", {"width": 40, "height": 40, "mode": "fill"}, (40, 40)),
        ("scale-video", {"width": 40, "height": 40, "mode": "exact"}, (40, 40)),
        ("scale-video", {"width": 33}, (32, 24)),
        ("crop-video", {"aspect_ratio": "1:1"}, (48, 48)),
        ("crop-video", {"width": 20, "height": 10, "x": 4, "y": 2}, (20, 10)),
        ("pad-video", {"aspect_ratio": "2:1"}, (96, 48)),
        ("pad-video", {"width": 64, "height": 64, "position": "top"}, (64, 64)),
    ],
)
def test_a_video_gets_the_size_that_is_asked_for(
    bench: Bench, clip: Path, tool: str, call: dict[str, Any], size: tuple[int, int]
) -> None:
    seen = watch(bench.use(tool, video_url=clip, **call).path)
    assert seen.size == size
    assert len(seen.frames) == 24
    assert seen.sound is not None
    assert near(seen.colour(0.7, y=0.3), GREEN)


def test_a_ground_has_its_colour_and_the_video_its_place(bench: Bench, clip: Path) -> None:
    call = {"width": 128, "height": 48, "mode": "pad", "color": "#0000ff"}
    seen = watch(bench.use("scale-video", video_url=clip, **call).path)
    assert near(seen.colour(0.1, x=0.1), BLUE)
    assert near(seen.colour(0.1, x=0.5, y=0.3), RED)


@pytest.mark.parametrize(
    ("tool", "call", "words"),
    [
        ("crop-video", {"width": 100, "height": 10}, r"width: the piece from .* is not inside the"),
        ("crop-video", {"width": 10, "height": 10, "x": 60}, "is not inside the 64x48 pixels"),
        ("crop-video", {}, "width: no size is given."),
        ("crop-video", {"aspect_ratio": "wide"}, "aspect_ratio: 'wide' is none."),
        ("pad-video", {"width": 20}, "20x48 is smaller than what it is to hold, 64x48"),
        ("scale-video", {}, "neither width nor height is given"),
        ("scale-video", {"width": 8000}, "result: it would be 8000x6000 pixels"),
        ("scale-video", {"width": 10, "color": "reddish"}, "color: 'reddish' is no colour"),
    ],
)
def test_a_size_that_cannot_be_is_refused(
    bench: Bench, clip: Path, tool: str, call: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidArguments, match=words) as refused:
        bench.use(tool, video_url=clip, **call)
    assert refused.value.hint


@pytest.mark.parametrize(("fps", "frames"), [(6, 12), (24, 48), (29.97, 60)])
def test_another_rate_lasts_as_long(bench: Bench, clip: Path, fps: float, frames: int) -> None:
    seen = watch(bench.use("change-fps", video_url=clip, fps=fps).path)
    assert len(seen.frames) == frames
    assert seen.fps == pytest.approx(fps, rel=0.001)
    assert near(seen.colour(1.2), BLUE)


def test_a_picture_is_laid_over_for_its_time_and_shines_through(bench: Bench, media: Path) -> None:
    seen = watch(
        bench.use(
            "overlay-video",
            video_url=media / "clip.mp4",
            image_url=media / "glass.png",
            position="top_left",
            margin=4,
            start=0.25,
            end=0.75,
        ).path
    )
    at = {"x": 14 / 63, "y": 9 / 47}
    assert near(seen.colour(0.1, **at), RED)
    assert near(seen.colour(0.4, **at), (127, 0, 128), 30)
    assert near(seen.colour(0.6, **at), (0, 127, 128), 30)
    assert near(seen.colour(0.9, **at), GREEN)
    assert near(seen.colour(0.4, x=0.8, y=0.3), RED)


def test_a_video_is_laid_over_until_it_ends(bench: Bench, media: Path, tmp_path: Path) -> None:
    short = make_clip(tmp_path / "short.mp4", [WHITE], each=6, hertz=None, size=(32, 24))
    call = {"overlay_video_url": short, "overlay_width": 16, "position": "center", "opacity": 0.5}
    seen = watch(bench.use("overlay-video", video_url=media / "clip.mp4", **call).path)
    assert near(seen.colour(0.2, y=0.42), (255, 127, 127), 30)
    assert near(seen.colour(0.6, y=0.42), GREEN)
    assert len(seen.frames) == 24


def test_an_overlay_that_nobody_would_see_is_refused(bench: Bench, media: Path) -> None:
    clip, glass = media / "clip.mp4", media / "glass.png"
    for call, words in (
        ({"image_url": glass, "x": 200}, "none of the 20x10 pixels would be seen"),
        ({"image_url": glass, "start": 5}, "start: from 5 s on it would not be seen"),
        ({}, "give one picture or one video"),
        ({"image_url": glass, "overlay_video_url": clip}, "give one picture or one video"),
    ):
        with pytest.raises(InvalidArguments, match=words):
            bench.use("overlay-video", video_url=clip, **call)


def test_subtitles_stand_where_and_when_they_should(bench: Bench, tmp_path: Path) -> None:
    dark = make_clip(tmp_path / "dark.mp4", [BLUE], each=20, size=(160, 90), fps=10, hertz=None)
    used = bench.use("burn-subtitles", video_url=dark, subtitles=SRT, size=14)
    seen = watch(used.path)

    def white(at: float) -> Any:
        frame = seen.frames[round(at * 10)]
        return np.argwhere((frame > 180).all(axis=2))

    assert not len(white(0.3))
    assert not len(white(1.2))
    places = white(0.7)
    assert len(places) > 40
    assert places[:, 0].min() > 60  # below
    assert places[:, 1].min() > 4 and places[:, 1].max() < 156  # within the safe edges
    assert abs((places[:, 1].min() + places[:, 1].max()) / 2 - 80) < 6  # in the middle
    assert used.product.facts["cues"] == 1


def test_subtitles_come_from_a_file_and_can_be_shifted(bench: Bench, tmp_path: Path) -> None:
    dark = make_clip(tmp_path / "dark.mp4", [BLUE], each=20, size=(160, 90), fps=10, hertz=None)
    vtt = tmp_path / "words.vtt"
    vtt.write_text("WEBVTT\n\nNOTE no\n\n00:00.000 --> 00:00.500 line:0\n<v Ann>Grüße &amp; Æ\n")
    call = {"subtitles_url": vtt, "shift": 1, "position": "top", "background": "white"}
    seen = watch(bench.use("burn-subtitles", video_url=dark, **call).path)
    assert not (seen.frames[3] > 180).all(axis=2).any()
    assert (seen.frames[12][:40] > 180).all(axis=2).any()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"subtitles": "Hello"}, "subtitles: there is no cue of SRT or VTT in it"),
        ({"subtitles": SRT, "shift": 60}, "they run from 60.5 to 61.0 s; the video lasts 2.0 s"),
        ({}, "give either subtitles or subtitles_url"),
        ({"subtitles": SRT.replace("Hello", "\U0001f9ff")}, "no typeface on this machine has all"),
        ({"subtitles": SRT.replace("Hello", "word " * 400)}, "do not fit into"),
    ],
)
def test_subtitles_that_cannot_be_shown_are_refused(
    bench: Bench, clip: Path, call: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidArguments, match=words):
        bench.use("burn-subtitles", video_url=clip, **call)


def test_cues_are_read_as_people_write_them() -> None:
    text = (
        "\ufeff1\r\n0:00:01.5 --> 00:00:02,25\r\n{\\an8}One\r\ntwo\r\n\r\n"
        "00:05:00.000 --> 00:04:00.000\nnever\n\n01:00 --> 02:00\nno\n"
    )
    cues = read_cues(None, text)
    assert [(cue.start, cue.end, cue.text) for cue in cues] == [(1.5, 2.25, "One\ntwo")]


def test_a_video_from_a_phone_stands_upright(bench: Bench, tmp_path: Path, clip: Path) -> None:
    turned = tmp_path / "turned.mp4"
    data = bytearray(clip.read_bytes())
    at = data.find(b"tkhd") + 4 + 4 + 20 + 16  # the matrix of the first track, version 0
    quarter = (0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
    data[at : at + 36] = struct.pack(">9i", *quarter)
    turned.write_bytes(data)

    used = bench.use("trim-video", video_url=turned, end=1)
    seen = watch(used.path)
    assert seen.size == (48, 64)
    assert near(seen.colour(0.2, x=0.05, y=0.5), BLACK)  # what was below is at the left
    assert near(seen.colour(0.2, x=0.9), RED)
