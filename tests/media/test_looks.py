"""What a decoder finds wrong with what a file holds."""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Callable
from pathlib import Path

import av
import pytest
from PIL import Image

from media_mcp.errors import BadMedia
from media_mcp.media.decoding import streams
from media_mcp.media.decoding.looks import look, read
from media_mcp.media.decoding.probing import probe_file

Make = Callable[..., Path]


def findings(path: Path, claimed: str | None = None) -> list[str]:
    facts, seen = probe_file(path, claimed), read(path, claimed)
    assert seen.facts == facts
    assert seen.flaws == look(path, facts)
    return [flaw.message for flaw in seen.flaws]


@pytest.fixture
def paint(tmp_path: Path) -> Make:
    def make(colour: tuple[int, ...], name: str = "x.png") -> Path:
        mode = "RGBA" if len(colour) == 4 else "RGB"
        Image.new(mode, (64, 64), colour).save(tmp_path / name)
        return tmp_path / name

    return make


def film(path: Path, colours: list[int], rate: int = 8) -> Path:
    """Encode one frame for each grey: 255 is a bright picture that moves, other greys are flat."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=rate)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for i, grey in enumerate(colours):
            image = Image.linear_gradient("L").resize((64, 48)).convert("RGB").rotate(i * 20)
            image = image if grey == 255 else Image.new("RGB", (64, 48), (grey,) * 3)
            container.mux(video.encode(av.VideoFrame.from_image(image)))
        container.mux(video.encode())
    return path


def test_good_media_have_no_findings(picture: Make, clip: Make, sound: Make) -> None:
    for path in (
        picture(),
        clip(sound=0.5),
        sound(),
        picture("x.jpg"),
        clip("x.webm", codec="vp9"),
    ):
        assert findings(path) == []


@pytest.mark.parametrize(
    ("colour", "finding"),
    [
        ((0, 0, 0), "The image is all black."),
        ((8, 3, 0), "The image is all black."),
        ((200, 10, 30), "The image is one flat colour (200, 10, 30)."),
        ((255, 255, 255, 0), "The image is fully transparent."),
        ((255, 255, 255, 200), "The image is one flat colour (255, 255, 255)."),
    ],
)
def test_a_plain_image_is_found(paint: Make, colour: tuple[int, ...], finding: str) -> None:
    assert findings(paint(colour)) == [finding]


def test_a_dark_picture_with_something_in_it_is_not_called_black(tmp_path: Path) -> None:
    image = Image.new("RGB", (64, 64))
    image.putpixel((5, 5), (255, 255, 200))
    image.save(tmp_path / "star.png")
    assert findings(tmp_path / "star.png") == []


def test_an_animation_is_black_only_throughout(tmp_path: Path) -> None:
    dark, light = (Image.new("L", (16, 16)), Image.linear_gradient("L").resize((16, 16)))
    dark.save(tmp_path / "fade.gif", save_all=True, append_images=[light, light])
    assert findings(tmp_path / "fade.gif") == []
    other = Image.new("L", (16, 16), 3)
    dark.save(tmp_path / "dark.gif", save_all=True, append_images=[other, dark])
    assert findings(tmp_path / "dark.gif") == ["The image is all black."]


@pytest.mark.parametrize(("mode", "name"), [("I;16", "x.png"), ("I", "x.tiff"), ("F", "x.tiff")])
def test_a_deep_picture_is_not_taken_for_a_flat_one(tmp_path: Path, mode: str, name: str) -> None:
    image = Image.new(mode, (40, 40))
    for x in range(40):
        image.putpixel((x, x), 1000 * x)
    image.save(tmp_path / name)
    assert findings(tmp_path / name) == []
    Image.new(mode, (40, 40), 300).save(tmp_path / name)
    (found,) = findings(tmp_path / name)
    assert "flat colour" in found or "black" in found


def test_pixels_that_are_no_numbers_are_found(tmp_path: Path) -> None:
    image = Image.new("F", (8, 8), 0.5)
    image.putpixel((3, 3), math.nan)
    image.save(tmp_path / "x.tiff")
    assert findings(tmp_path / "x.tiff") == ["The image holds values that are no numbers (NaN)."]


@pytest.mark.parametrize(
    ("colour", "finding"),
    [((0, 0, 0), "The video is all black throughout."), ((0, 0, 255), "flat colour")],
)
def test_a_plain_video_is_found(clip: Make, colour: tuple[int, int, int], finding: str) -> None:
    (found,) = findings(clip(colour=colour))
    assert finding in found


def test_a_single_black_frame_at_an_end_is_found(tmp_path: Path) -> None:
    assert findings(film(tmp_path / "a.mp4", [0, *[255] * 15])) == [
        "The first frame of the video is black."
    ]
    assert findings(film(tmp_path / "b.mp4", [*[255] * 15, 0])) == [
        "The last frame of the video is black."
    ]
    assert findings(film(tmp_path / "c.mp4", [*[255] * 7, 0, *[255] * 8])) == []


def test_a_fade_is_no_black_frame(tmp_path: Path) -> None:
    ramp = list(range(0, 160, 16))
    assert findings(film(tmp_path / "x.mp4", [*ramp, *[255] * 8, *reversed(ramp)])) == []


def test_a_video_that_stands_still_is_found(tmp_path: Path) -> None:
    picture = Image.linear_gradient("L").resize((64, 48)).convert("RGB")
    with av.open(str(tmp_path / "x.mp4"), "w") as container:
        video = container.add_stream("libx264", rate=8)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for _ in range(16):
            container.mux(video.encode(av.VideoFrame.from_image(picture)))
        container.mux(video.encode())
    assert findings(tmp_path / "x.mp4") == ["The video stands still: all its frames are the same."]


def test_a_long_video_is_looked_at_by_leaps(clip: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media_mcp.media.decoding.looks.MAX_FRAME_STEPS", 10)
    assert findings(clip(frames=24)) == []
    assert findings(clip(frames=24, colour=(0, 0, 0))) == ["The video is all black throughout."]


def test_a_silent_sound_track_is_found(clip: Make) -> None:
    assert findings(clip(sound=0.0)) == ["The sound track is silent."]


def test_silence_is_found(sound: Make) -> None:
    assert findings(sound(loud=0.0)) == ["The audio is silent."]
    assert findings(sound(loud=0.0009)) == ["The audio is silent."]


def test_two_channels_that_cancel_each_other_are_not_silent(sound: Make) -> None:
    path = sound(channels=2)
    data = bytearray(path.read_bytes())
    for at in range(44, len(data), 4):
        value = int.from_bytes(data[at : at + 2], "little", signed=True)
        data[at + 2 : at + 4] = (-value).to_bytes(2, "little", signed=True)
    path.write_bytes(bytes(data))
    assert findings(path) == []


def test_clipping_is_found_with_its_share(sound: Make) -> None:
    (found,) = findings(sound(loud=3.0))
    assert found.startswith("The audio is clipped: 7")
    assert found.endswith("% of its samples are at full scale.")


@pytest.mark.parametrize(("letter", "code"), [("f", 3), ("d", 3)])
def test_samples_that_are_no_numbers_are_found(tmp_path: Path, letter: str, code: int) -> None:
    def write(values: list[float]) -> Path:
        data, size = array(letter, values).tobytes(), array(letter).itemsize
        form = struct.pack("<HHIIHH", code, 1, 8000, 8000 * size, size, 8 * size)
        body = b"WAVEfmt " + struct.pack("<I", len(form)) + form
        body += b"data" + struct.pack("<I", len(data)) + data
        path = tmp_path / "x.wav"
        path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
        return path

    tone = [math.sin(i / 3) / 2 for i in range(8000)]
    assert findings(write(tone)) == []
    tone[5000] = math.nan
    assert findings(write(tone)) == ["The audio holds samples that are no numbers (NaN)."]


def test_a_long_sound_is_listened_to_for_as_long_as_patience_lasts(
    sound: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sound(seconds=3.0)
    monkeypatch.setattr(streams, "PATIENCE", -1.0)
    blocks = list(streams.samples(path, "wav", rate=None, mono=False))
    assert 0 < sum(map(len, blocks)) < 24_000


@pytest.mark.parametrize("text", ["", "  \n\t ", "{}", "[]\n", "\ufeff", "null"])
def test_an_empty_text_is_found(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.txt").write_text(text)
    assert findings(tmp_path / "x.txt", "text/plain") == ["The text is empty."]


def test_subtitles_without_a_line_are_found(tmp_path: Path) -> None:
    (tmp_path / "x.vtt").write_text("WEBVTT\n\n")
    assert findings(tmp_path / "x.vtt") == ["The subtitles hold no line."]
    (tmp_path / "x.vtt").write_text("WEBVTT\n\n00:00.000 --> 00:01.000\nhello\n")
    assert findings(tmp_path / "x.vtt") == []


@pytest.mark.parametrize(
    ("inside", "found"),
    [
        ("", ["The drawing has no shapes."]),
        ("<title>x</title><defs></defs>", ["The drawing has no shapes."]),
        ("<path d='M0 0'/>", []),
        ("<s:rect width='1'/>", []),
        (" " * 2**20 + "<circle r='1'/>", []),
    ],
)
def test_a_drawing_without_shapes_is_found(tmp_path: Path, inside: str, found: list[str]) -> None:
    (tmp_path / "x.svg").write_text(f"<svg xmlns='http://www.w3.org/2000/svg'>{inside}</svg>")
    assert findings(tmp_path / "x.svg") == found


def test_a_model_without_a_mesh_is_found(tmp_path: Path) -> None:
    def glb(scene: bytes) -> Path:
        scene += b" " * (-len(scene) % 4)
        chunk = struct.pack("<II", len(scene), 0x4E4F534A) + scene
        path = tmp_path / "x.glb"
        path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(chunk)) + chunk)
        return path

    assert findings(glb(b'{"asset": {"version": "2.0"}, "meshes": [{}]}')) == []
    assert findings(glb(b'{"asset": {"version": "2.0"}}')) == ["The 3D model holds no mesh."]
    with pytest.raises(BadMedia, match="JSON is damaged"):
        findings(glb(b"{{{{"))


def test_words_and_files_have_nothing_to_look_at(tmp_path: Path) -> None:
    for data in (b"words", b"\0\1\2", b"%PDF-1.4 x"):
        (tmp_path / "x").write_bytes(data)
        assert findings(tmp_path / "x") == []
