"""Time: pieces, joints, loops, backwards, faster and slower; what is made is watched and heard."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from media_mcp.errors import BadMedia, InvalidArguments
from media_mcp.worker.work import Cancelled
from toolkit import (
    BLACK,
    BLUE,
    COLOURS,
    GREEN,
    RED,
    WHITE,
    Bench,
    level,
    make_clip,
    near,
    pitch,
    watch,
)


def order(seen: object, moments: list[float]) -> list[tuple[int, ...]]:
    """Return which of the four colours shows at each moment."""
    found = [seen.colour(at) for at in moments]  # type: ignore[attr-defined]
    return [next((c for c in (*COLOURS, BLACK) if near(one, c)), one) for one in found]


def test_a_piece_is_exact_to_the_frame_and_keeps_its_sound(bench: Bench, clip: Path) -> None:
    # 0.75 s is in the middle of green, and no key frame.
    used = bench.use("trim-video", video_url=clip, start=0.75, end=1.25)

    seen = watch(used.path)
    assert len(seen.frames) == 6
    assert order(seen, [0, 0.2, 0.3, 0.45]) == [GREEN, GREEN, BLUE, BLUE]
    assert seen.fps == 12
    assert abs(seen.sound.shape[1] / 48_000 - 0.5) < 0.06
    assert abs(pitch(seen.sound) - 440) < 8
    assert used.steps[-1] == (6, 6)


def test_a_piece_far_from_a_key_frame_has_exactly_its_frames(bench: Bench, tmp_path: Path) -> None:
    # 240 frames at 24 a second, numbered, with a key frame every 100: beyond 2 s it seeks.
    numbered = tmp_path / "numbered.mp4"
    with av.open(str(numbered), "w") as container:
        video = container.add_stream("libx264", rate=24, options={"g": "100"})
        video.width, video.height, video.pix_fmt = 128, 32, "yuv420p"
        for number in range(240):
            picture = np.zeros((32, 128, 3), np.uint8)
            for bit in range(8):
                picture[:, 16 * bit : 16 * bit + 16] = 255 * (number >> bit & 1)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(video.encode(None))

    for start in (0.99, 2.05, 5.3, 9.5):
        used = bench.use("trim-video", video_url=numbered, start=start, seconds=0.5)
        shown = [
            sum(int(frame[16, 16 * bit + 8, 0] > 128) << bit for bit in range(8))
            for frame in watch(used.path).frames
        ]
        first = int(start * 24 + 0.25)
        assert shown == list(range(first, first + 12))


@pytest.mark.parametrize(
    ("call", "colours"),
    [
        ({"start": 1.5}, [WHITE, WHITE]),
        ({"start": -0.5}, [WHITE, WHITE]),
        ({"end": 0.5}, [RED, RED]),
        ({"start": 0.5, "seconds": 0.5}, [GREEN, GREEN]),
    ],
)
def test_a_piece_is_named_from_either_end(
    bench: Bench, clip: Path, call: dict[str, float], colours: list[object]
) -> None:
    seen = watch(bench.use("trim-video", video_url=clip, **call).path)
    assert order(seen, [0, 0.45]) == colours
    assert len(seen.frames) == 6


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"start": 2.5}, "start: 2.5 s is past the end: the video lasts 2.00 s."),
        ({"start": 1, "end": 3}, "end: the piece would end at 3 s, and the video lasts 2.00 s."),
        ({"start": 1, "seconds": 3}, "seconds: the piece would end at 4 s"),
        ({"start": 1, "end": 1}, "end: 1 s is not after the start at 1 s."),
        ({"end": 1, "seconds": 1}, "seconds: it is given along with end."),
        ({"start": 1, "end": 1.01}, "result: it would last 0 s: nothing."),
    ],
)
def test_a_piece_that_is_not_there_is_refused(
    bench: Bench, clip: Path, call: dict[str, float], words: str
) -> None:
    with pytest.raises(InvalidArguments) as refused:
        bench.use("trim-video", video_url=clip, **call)
    assert refused.value.message.startswith(words)
    assert refused.value.hint


def test_joined_videos_take_the_size_rate_and_sound_of_the_first(bench: Bench, media: Path) -> None:
    joined = bench.use(
        "concat-videos",
        video_urls=[media / "clip.mp4", media / "silent.mp4", media / "wide.webm"],
    )

    seen = watch(joined.path)
    assert seen.size == (64, 48)
    assert seen.fps == 12
    assert len(seen.frames) == 72
    assert order(seen, [0.2, 1.7, 2.2, 3.7, 4.2, 5.7]) == [RED, WHITE, RED, WHITE, RED, WHITE]
    assert near(seen.colour(4.2, y=0.02), BLACK)  # wide, so with black above and below
    assert near(seen.colour(0.2, y=0.02), RED)
    parts = [seen.sound[:, int(s * 48_000) : int((s + 1) * 48_000)] for s in (0.5, 2.5, 4.5)]
    assert level(parts[0]) > 0.1
    assert level(parts[1]) < 0.01
    assert abs(pitch(parts[2]) - 660) < 8


def test_joined_videos_fill_a_size_that_is_named(bench: Bench, media: Path) -> None:
    urls = [media / "wide.webm", media / "clip.mp4"]
    joined = bench.use("concat-videos", video_urls=urls, width=40, height=40, fps=10, fit="fill")

    seen = watch(joined.path)
    assert (seen.size, seen.fps, len(seen.frames)) == ((40, 40), 10, 40)
    assert near(seen.colour(0.2, y=0), RED)


def test_half_a_size_is_none(bench: Bench, clip: Path) -> None:
    with pytest.raises(InvalidArguments, match="width and height go together"):
        bench.use("concat-videos", video_urls=[clip, clip], width=40)


def test_a_video_loops_so_often_or_so_long(bench: Bench, clip: Path) -> None:
    thrice = watch(bench.use("loop-video", video_url=clip, times=3).path)
    assert len(thrice.frames) == 72
    assert order(thrice, [0.2, 2.2, 4.7]) == [RED, RED, GREEN]
    assert level(thrice.sound[:, 5 * 48_000 : 6 * 48_000]) > 0.1

    long = watch(bench.use("loop-video", video_url=clip, seconds=2.5).path)
    assert len(long.frames) == 30
    with pytest.raises(InvalidArguments, match="either times or seconds"):
        bench.use("loop-video", video_url=clip)


def test_a_video_plays_backwards_with_its_sound(bench: Bench, clip: Path) -> None:
    seen = watch(bench.use("reverse-video", video_url=clip).path)
    assert order(seen, [0.2, 0.7, 1.2, 1.7]) == [WHITE, BLUE, GREEN, RED]
    assert abs(pitch(seen.sound) - 440) < 8

    silent = watch(bench.use("reverse-video", video_url=clip, sound="remove").path)
    assert silent.sound is None


def test_backwards_holds_a_window_of_frames_at_a_time(
    bench: Bench, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = watch(bench.use("reverse-video", video_url=clip).path)
    monkeypatch.setattr("media_mcp.worker.pipelines.tools.cuts.HELD", 5 * 64 * 48 * 3)
    windows = watch(bench.use("reverse-video", video_url=clip).path)
    assert len(windows.frames) == len(whole.frames)
    for one, other in zip(windows.frames, whole.frames, strict=True):
        assert np.abs(one.astype(int) - other.astype(int)).max() <= 6  # encoders may differ


@pytest.mark.parametrize(
    ("speed", "sound", "frames", "hertz"),
    [
        (2, "keep_pitch", 12, 440),
        (0.5, "keep_pitch", 48, 440),
        (2, "change_pitch", 12, 880),
        (4, "keep_pitch", 6, 440),
    ],
)
def test_a_video_plays_faster_and_slower(
    bench: Bench, clip: Path, speed: float, sound: str, frames: int, hertz: float
) -> None:
    seen = watch(bench.use("change-speed", video_url=clip, speed=speed, sound=sound).path)
    assert len(seen.frames) == frames
    assert order(seen, [0.05, seen.seconds - 0.05]) == [RED, WHITE]
    middle = seen.sound[:, seen.sound.shape[1] // 4 : -seen.sound.shape[1] // 4]
    assert abs(pitch(middle) - hertz) < 0.05 * hertz


def test_a_cancellation_comes_through_at_a_frame_and_leaves_no_file(
    bench: Bench, clip: Path
) -> None:
    bench.stop_after = 3
    with pytest.raises(Cancelled):
        bench.use("trim-video", video_url=clip)
    assert bench.last_steps == [(1, 24), (2, 24), (3, 24)]
    assert not list(bench.last_folder.iterdir())


def test_what_is_no_video_is_refused(bench: Bench, media: Path, tmp_path: Path) -> None:
    for name, words in {
        "tone.wav": "it holds no moving pictures",
        "red.png": "a file of the kind .png is none",
    }.items():
        with pytest.raises(BadMedia, match=words):
            bench.use("trim-video", video_url=media / name)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes((media / "clip.mp4").read_bytes()[:900])
    false = tmp_path / "false.mp4"
    false.write_bytes(b"\x1a\x45\xdf\xa3" + bytes(2000))
    for path in (cut, false):
        with pytest.raises(BadMedia, match="cannot be read as a video"):
            bench.use("trim-video", video_url=path)


def test_a_result_that_is_too_long_is_refused_before_it_is_begun(bench: Bench, clip: Path) -> None:
    with pytest.raises(InvalidArguments, match="would last") as refused:
        bench.use("loop-video", video_url=clip, times=100_000)
    assert "MAX_SECONDS" in refused.value.hint
    assert bench.last_steps == []


def test_an_odd_size_becomes_even_and_that_is_said(bench: Bench, tmp_path: Path) -> None:
    odd = make_clip(tmp_path / "odd.webm", size=(65, 49), codec="libvpx-vp9", hertz=None)
    used = bench.use("trim-video", video_url=odd)
    assert watch(used.path).size == (64, 48)
    assert used.product.facts["size"] == "64x48, as video needs even sides"
