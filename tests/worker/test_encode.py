"""Files from pictures, frames, samples and text: as asked, readable, the same each time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy
import pytest
from PIL import Image

from media_mcp.errors import BadCard, BadOutput, InvalidArguments
from media_mcp.worker import encode
from media_mcp.worker.encode import Sound
from media_mcp.worker.protocol import Made
from media_mcp.worker.work import Work

RATE = 24000
FPS = 12


@pytest.fixture
def asked(work_of: Callable[..., Work]) -> Callable[..., Work]:
    """Make work whose call holds these arguments and whose card this `output`."""

    def make(output: Any = None, **arguments: Any) -> Work:
        return work_of({"output": output} if output else {}, arguments=arguments)

    return make


def frames(width: int = 64, height: int = 48, count: int = 12) -> Any:
    """A green bar that moves over red."""
    made = numpy.zeros((count, height, width, 3), numpy.uint8)
    made[..., 0] = 200
    for index, frame in enumerate(made):
        frame[:, index * 4 : index * 4 + 4, 1] = 250
    return made


def chord(channels: int = 2, seconds: float = 1.0) -> Any:
    time = numpy.arange(int(RATE * seconds)) / RATE
    return numpy.stack(
        [numpy.sin(2 * numpy.pi * 440 * n * time) / 2 for n in range(1, 3)][:channels]
    )


def bytes_of(work: Work, made: Made) -> bytes:
    return (work.folder / made.path).read_bytes()


def streams(path: Path) -> dict[str, str]:
    with av.open(str(path)) as opened:
        return {stream.type: stream.codec_context.name for stream in opened.streams}


def decoded(path: Path) -> list[Any]:
    with av.open(str(path)) as opened:
        return [frame.to_ndarray(format="rgb24") for frame in opened.decode(video=0)]


@pytest.mark.parametrize(
    ("given", "kind", "name", "mime"),
    [
        ({}, "PNG", "images-0.png", "image/png"),
        ({"output_format": "jpeg"}, "JPEG", "images-0.jpg", "image/jpeg"),
        ({"output_format": "JPG"}, "JPEG", "images-0.jpg", "image/jpeg"),
        ({"output_format": "webp"}, "WEBP", "images-0.webp", "image/webp"),
    ],
)
def test_a_picture_is_saved_as_asked(
    asked: Callable[..., Work], given: dict[str, Any], kind: str, name: str, mime: str
) -> None:
    work = asked(**given)
    picture = Image.new("RGBA" if kind != "JPEG" else "RGB", (13, 7), "teal")

    (made,) = encode.save_images(work, [picture])

    assert made == Made(name, "images", mime)
    with Image.open(work.folder / name) as opened:
        assert (opened.format, opened.size) == (kind, (13, 7))
        red, green, blue = opened.convert("RGB").getpixel((6, 3))
        assert red < 10 and abs(green - 128) < 10 and abs(blue - 128) < 10


def test_the_call_counts_before_the_card_and_both_before_the_usual(
    asked: Callable[..., Work],
) -> None:
    picture = [numpy.random.default_rng(1).random((64, 64, 3))]
    card = {"format": "jpeg", "quality": 30}
    rough = bytes_of(work := asked(card), encode.save_images(work, picture)[0])
    fine = bytes_of(work := asked(card, output_quality=95), encode.save_images(work, picture)[0])
    other = asked(card, output_format="webp")

    assert len(rough) < len(fine) / 2
    assert encode.save_images(other, picture)[0].path == "images-0.webp"


def test_pictures_are_numbered_and_arrays_are_pictures(asked: Callable[..., Work]) -> None:
    work = asked()
    grey = numpy.full((5, 9), 0.5)

    made = encode.save_images(work, [grey, grey[..., None]], role="masks", first=3)

    assert [one.path for one in made] == ["masks-3.png", "masks-4.png"]
    with Image.open(work.folder / "masks-4.png") as opened:
        assert (opened.size, opened.getpixel((0, 0))) == ((9, 5), (128, 128, 128))


@pytest.mark.parametrize(
    ("card", "given", "suffix", "codecs"),
    [
        (None, {}, "mp4", {"video": "h264", "audio": "aac"}),
        ({"codec": "h265"}, {}, "mp4", {"video": "hevc", "audio": "aac"}),
        (None, {"output_format": "webm"}, "webm", {"video": "vp9", "audio": "opus"}),
        (None, {"video_output_type": "X264 (.mp4)"}, "mp4", {"video": "h264", "audio": "aac"}),
    ],
)
@pytest.mark.parametrize("size", [(64, 48), (65, 49)])
def test_a_clip_has_its_size_its_frames_its_sound_and_its_colours(
    asked: Callable[..., Work],
    card: Any,
    given: dict[str, Any],
    suffix: str,
    codecs: dict[str, str],
    size: tuple[int, int],
) -> None:
    work = asked(card, **given)

    made = encode.save_video(work, frames(*size), FPS, Sound(chord(), RATE))

    path = work.folder / f"images-0.{suffix}"
    assert made.path == path.name
    assert streams(path) == codecs
    shown = decoded(path)
    assert len(shown) == 12
    assert shown[0].shape == (size[1], size[0], 3)
    assert numpy.abs(shown[0][20, 40].astype(int) - (200, 0, 0)).max() < 12
    assert numpy.abs(shown[11][20, 46].astype(int) - (200, 250, 0)).max() < 12
    with av.open(str(path)) as opened:
        assert opened.duration / 1e6 == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_an_animation_repeats_keeps_time_and_says_that_it_is_silent(
    asked: Callable[..., Work], kind: str
) -> None:
    work = asked(output_format=kind)
    lines: list[str] = []
    object.__setattr__(work, "log", lines.append)

    made = encode.save_video(work, frames(65, 49), FPS, Sound(chord(), RATE))

    assert made == Made(f"images-0.{kind}", "images", f"image/{kind}")
    with Image.open(work.folder / made.path) as opened:
        assert (opened.size, opened.n_frames, opened.info["loop"]) == ((65, 49), 12, 0)
        lengths = []
        for index in range(12):
            opened.seek(index)
            opened.load()
            lengths.append(opened.info["duration"])
    assert sum(lengths) == pytest.approx(1000, abs=10)
    assert lines == [f"The sound is left out: {kind} holds none."]


@pytest.mark.parametrize("kind", ["mp4", "webm", "gif", "webp"])
def test_the_same_frames_give_the_same_bytes(asked: Callable[..., Work], kind: str) -> None:
    work = asked(output_format=kind)
    sound = Sound(chord(), RATE)
    first, again = (
        bytes_of(work, encode.save_video(work, frames(), FPS, sound, index=n)) for n in range(2)
    )
    assert first == again


@pytest.mark.parametrize(("codec", "turns"), [("h264", 40), ("h265", 8)])
def test_waves_of_a_width_that_is_no_multiple_of_anything_give_one_file(
    asked: Callable[..., Work], codec: str, turns: int
) -> None:
    """One h264 file in four was another until x264 was kept from AVX-512, so forty turns tell."""
    import numpy

    y, x = numpy.mgrid[0:56, 0:72]
    noise = numpy.random.default_rng(0)
    waves = [
        numpy.stack([numpy.sin(x / 9 + n), numpy.cos(y / 7 + n / 2), numpy.sin((x + y) / 11)], -1)
        for n in range(9)
    ]
    film = [wave * 0.4 + 0.5 + noise.normal(0, 0.03, wave.shape) for wave in waves]
    work = asked(output={"codec": codec})
    made = (encode.save_video(work, film, FPS, Sound(chord(), RATE)) for _ in range(turns))
    assert len({bytes_of(work, one) for one in made}) == 1


@pytest.mark.parametrize(
    ("given", "suffix", "mime", "codec"),
    [
        ({}, "wav", "audio/wav", "pcm_s16le"),
        ({"output_format": "flac"}, "flac", "audio/flac", "flac"),
        ({"output_format": "ogg"}, "ogg", "audio/ogg", "vorbis"),
        ({"output_format": "mp3_44100_128"}, "mp3", "audio/mpeg", "mp3float"),
        ({"output_format": "opus"}, "ogg", "audio/ogg", "opus"),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_sound_is_saved_as_asked_and_stays_as_long(
    asked: Callable[..., Work],
    given: dict[str, Any],
    suffix: str,
    mime: str,
    codec: str,
    channels: int,
) -> None:
    work = asked(**given)
    samples = chord(channels)

    made = encode.save_sound(work, samples[0] if channels == 1 else samples, RATE, role="audio")

    assert made == Made(f"audio-0.{suffix}", "audio", mime)
    with av.open(str(work.folder / made.path)) as opened:
        stream = opened.streams.audio[0]
        assert (stream.codec_context.name, stream.channels) == (codec, channels)
        heard = list(opened.decode(audio=0))
        seconds = sum(frame.samples for frame in heard) / stream.rate
    assert seconds == pytest.approx(1.0, abs=0.1)
    assert max(numpy.abs(frame.to_ndarray()).max() for frame in heard) > 0.1


def test_a_better_quality_takes_more_room(asked: Callable[..., Work]) -> None:
    sizes = []
    noise = numpy.random.default_rng(1).uniform(-1, 1, (2, RATE))
    for quality in ("low", "maximum"):
        work = asked(output_format="mp3", output_quality=quality)
        sizes.append(len(bytes_of(work, encode.save_sound(work, noise, RATE))))
    assert sizes[0] < sizes[1] / 2


def test_text_is_saved_as_it_is(asked: Callable[..., Work]) -> None:
    work = asked()
    made = encode.save_text(work, "1\n00:00 → 00:01\nÄh\n", "srt", "application/x-subrip")
    assert made == Made("images-0.srt", "images", "application/x-subrip")
    assert bytes_of(work, made).decode() == "1\n00:00 → 00:01\nÄh\n"


@pytest.mark.parametrize("field", ["output_format", "video_output_type"])
def test_a_call_for_a_format_that_there_is_not_is_told_which_there_are(
    asked: Callable[..., Work], field: str
) -> None:
    with pytest.raises(InvalidArguments) as caught:
        encode.save_video(asked(**{field: "PNG"}), frames(), FPS)
    assert caught.value.message == (
        f"{field}: 'PNG' is no format for this; it can be mp4, webm, gif, webp."
    )


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("mp4", "output: this is no {format, quality, codec}."),
        ({"format": "avi"}, "output: format 'avi' is none of mp4, webm, gif, webp."),
        ({"format": "webm", "codec": "h264"}, "output: codec 'h264' is none of vp9."),
        ({"format": "gif", "codec": "h264"}, "output: codec 'h264' is not for this format."),
    ],
)
def test_a_card_that_wants_what_there_is_not_is_told(
    asked: Callable[..., Work], output: Any, said: str
) -> None:
    with pytest.raises(BadCard) as caught:
        encode.save_video(asked(output), frames(), FPS)
    assert caught.value.message == said


def test_what_cannot_be_saved_is_told(asked: Callable[..., Work]) -> None:
    work = asked()
    nan = numpy.full((4, 4, 3), numpy.nan)
    with pytest.raises(BadOutput, match="numbers that are none"):
        encode.save_images(work, [nan])
    with pytest.raises(BadOutput, match="numbers that are none"):
        encode.save_sound(work, nan[..., 0][:2], RATE)
    with pytest.raises(BadOutput, match="sound of the shape 3x4;"):
        encode.save_sound(work, numpy.zeros((3, 4)), RATE)
    with pytest.raises(BadOutput, match="no frames of one size"):
        encode.save_video(work, [], FPS)
    with pytest.raises(BadOutput, match="no frames of one size"):
        encode.save_video(work, [numpy.zeros((4, 4, 3)), numpy.zeros((4, 6, 3))], FPS)
