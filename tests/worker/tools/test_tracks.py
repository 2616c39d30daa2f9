"""The sound of a video, and pictures as a video; what is made is heard and watched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import pytest

from media_mcp.errors import BadMedia, InvalidArguments
from toolkit import (
    BLACK,
    BLUE,
    GREEN,
    RATE,
    RED,
    WHITE,
    Bench,
    hear,
    level,
    make_picture,
    make_tone,
    near,
    pitch,
    watch,
)


def part(sound: Any, start: float, end: float) -> Any:
    return sound[:, int(start * RATE) : int(end * RATE)]


def packets(path: Path) -> list[bytes]:
    """Return the encoded pictures of a video."""
    with av.open(str(path)) as container:
        return [bytes(p) for p in container.demux(video=0) if p.size]


def test_music_is_mixed_under_a_video_and_its_pictures_are_not_touched(
    bench: Bench, media: Path
) -> None:
    used = bench.use(
        "add-audio",
        video_url=media / "clip.mp4",
        audio_url=media / "tone.wav",
        volume=-6,
        offset=0.5,
    )
    seen = watch(used.path)
    assert packets(used.path) == packets(media / "clip.mp4")
    assert used.product.facts["pictures"] == "copied without loss"
    assert len(seen.frames) == 24
    before, during, after = (part(seen.sound, *span) for span in ((0, 0.4), (0.6, 1.4), (1.6, 1.9)))
    assert abs(pitch(before) - 440) < 8
    assert abs(pitch(after) - 440) < 8
    assert level(during) > 1.1 * level(before)


@pytest.mark.parametrize("loop", [False, True])
def test_sound_takes_the_place_of_the_old(bench: Bench, media: Path, loop: bool) -> None:
    call = {"audio_url": media / "tone.wav", "mode": "replace", "loop": loop, "fade_out": 0.2}
    seen = watch(bench.use("add-audio", video_url=media / "clip.mp4", **call).path)
    assert abs(pitch(part(seen.sound, 0.1, 0.7)) - 880) < 8
    late = part(seen.sound, 1.3, 1.7)
    assert level(late) > 0.1 if loop else level(late) < 0.01
    assert level(seen.sound[:, int(1.97 * RATE) : 2 * RATE]) < 0.05
    assert abs(seen.sound.shape[1] / RATE - 2) < 0.05


def test_longer_sound_is_cut_or_the_last_frame_is_held(
    bench: Bench, media: Path, tmp_path: Path
) -> None:
    long = make_tone(tmp_path / "long.wav", seconds=3)
    clip = media / "silent.mp4"
    assert len(watch(bench.use("add-audio", video_url=clip, audio_url=long).path).frames) == 24
    held = watch(bench.use("add-audio", video_url=clip, audio_url=long, extend=True).path)
    assert len(held.frames) == 36
    assert near(held.colour(2.9), WHITE)
    assert level(part(held.sound, 2.5, 2.9)) > 0.1


def test_a_video_loses_its_sound_and_nothing_else(bench: Bench, media: Path) -> None:
    for name, kind in (("clip.mp4", "mp4"), ("wide.webm", "webm")):
        used = bench.use("remove-audio", video_url=media / name, output_format=kind)
        assert watch(used.path).sound is None
        assert packets(used.path) == packets(media / name)
    other = bench.use("remove-audio", video_url=media / "wide.webm", output_format="mp4")
    assert len(watch(other.path).frames) == 40  # encoded anew


def test_sound_that_would_begin_after_the_end_is_refused(bench: Bench, media: Path) -> None:
    call = {"video_url": media / "clip.mp4", "audio_url": media / "tone.wav"}
    with pytest.raises(InvalidArguments, match=r"offset: at 9 s the video of 2.00 s is over"):
        bench.use("add-audio", offset=9, **call)
    with pytest.raises(BadMedia, match="it holds none"):
        bench.use("add-audio", **(call | {"audio_url": media / "silent.mp4"}))


@pytest.mark.parametrize("kind", ["wav", "mp3", "flac", "ogg", "opus", "m4a"])
def test_the_sound_of_a_video_becomes_a_file_of_every_kind(
    bench: Bench, media: Path, kind: str
) -> None:
    call = {"start": 0.5, "seconds": 1, "output_format": kind}
    used = bench.use("extract-audio", video_url=media / "clip.mp4", **call)
    sound = hear(used.path)
    assert abs(sound.shape[1] / RATE - 1) < 0.06
    assert abs(pitch(sound) - 440) < 8
    mimes = {"mp3": "mpeg", "opus": "ogg", "m4a": "mp4"}
    assert used.product.outputs[0].mime_type == f"audio/{mimes.get(kind, kind)}"


def test_a_silent_video_has_no_sound_to_take_out(bench: Bench, media: Path) -> None:
    with pytest.raises(BadMedia, match=r"silent.mp4 cannot be read as sound: it holds none"):
        bench.use("extract-audio", video_url=media / "silent.mp4")


def test_pictures_show_for_their_times_under_music(
    bench: Bench, media: Path, tmp_path: Path
) -> None:
    green = make_picture(tmp_path / "green.png", GREEN, (60, 60))
    used = bench.use(
        "images-to-video",
        image_urls=[media / "red.png", green],
        durations=[1, 0.5],
        fps=10,
        audio_url=media / "tone.wav",
    )
    seen = watch(used.path)
    assert (seen.size, seen.fps, len(seen.frames)) == ((60, 40), 10, 15)
    assert near(seen.colour(0.9), RED)
    assert near(seen.colour(1.1), GREEN)
    assert near(seen.colour(1.1, x=0.02), BLACK)  # a square in a wide frame
    assert abs(seen.sound.shape[1] / RATE - 1.5) < 0.06
    assert level(part(seen.sound, 1.0, 1.2)) > 0.1  # repeated, as it lasts a second


def test_pictures_fade_into_one_another(bench: Bench, media: Path, tmp_path: Path) -> None:
    blue = make_picture(tmp_path / "blue.png", BLUE)
    urls = [media / "red.png", blue]
    call = {"seconds_each": 1, "fade": 0.5, "fps": 10, "width": 120, "height": 40, "fit": "fill"}
    seen = watch(bench.use("images-to-video", image_urls=urls, **call).path)
    assert seen.size == (120, 40)
    assert near(seen.colour(1.2), (127, 0, 127), 40)
    assert near(seen.colour(1.8), BLUE)


def test_a_gif_becomes_a_video_with_its_timing(bench: Bench, media: Path) -> None:
    call = {"video_url": media / "clip.mp4", "fps": 10, "max_width": 64}
    gif = bench.use("video-to-gif", **call).path
    seen = watch(bench.use("animation-to-video", image_url=gif, times=2).path)
    assert seen.seconds == pytest.approx(4, abs=0.05)
    assert seen.size == (64, 48)
    moments = (0.2, 0.7, 1.2, 1.7, 2.2)
    colours = (RED, GREEN, BLUE, WHITE, RED)
    assert all(near(seen.colour(m), c) for m, c in zip(moments, colours, strict=True))
    with pytest.raises(InvalidArguments, match="image_url: it is a still picture"):
        bench.use("animation-to-video", image_url=media / "red.png")


def test_times_must_fit_the_pictures(bench: Bench, media: Path) -> None:
    urls = [media / "red.png", media / "red.png"]
    with pytest.raises(InvalidArguments, match="durations: there are 1 for 2 pictures"):
        bench.use("images-to-video", image_urls=urls, durations=[1])
    with pytest.raises(InvalidArguments, match="fade: 2 s is longer than the shortest picture"):
        bench.use("images-to-video", image_urls=urls, seconds_each=1, fade=2)
