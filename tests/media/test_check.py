from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from PIL import Image

from media_mcp.job import Asset, MediaKind
from media_mcp.media import MediaStore, check_output, streams

Make = Callable[..., Path]
pytestmark = pytest.mark.anyio


async def keep(store: MediaStore, path: Path) -> Asset:
    return await store.put(path, role="x", name="x", provenance={}, mime_type="text/plain")


@pytest.fixture
def paint(tmp_path: Path) -> Make:
    def make(colour: tuple[int, ...], name: str = "x.png") -> Path:
        mode = "RGBA" if len(colour) == 4 else "RGB"
        Image.new(mode, (64, 64), colour).save(tmp_path / name)
        return tmp_path / name

    return make


async def test_good_media_as_asked_have_no_findings(
    store: MediaStore, picture: Make, clip: Make, sound: Make
) -> None:
    image = await keep(store, picture())
    assert await check_output(image, {"kind": "image", "width": 64, "height": 48}) == ()
    video = await keep(store, clip(sound=0.5))
    assert await check_output(video, {"kind": MediaKind.VIDEO, "duration": 2}) == ()
    audio = await keep(store, sound(seconds=1.0))
    assert await check_output(audio, {"duration": 1.05, "width": None}) == ()


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
async def test_a_plain_image_is_found(
    store: MediaStore, paint: Make, colour: tuple[int, ...], finding: str
) -> None:
    assert await check_output(await keep(store, paint(colour)), {}) == (finding,)


async def test_a_dark_picture_with_something_in_it_is_not_called_black(
    store: MediaStore, tmp_path: Path
) -> None:
    image = Image.new("RGB", (64, 64))
    image.putpixel((5, 5), (255, 255, 200))
    image.save(tmp_path / "star.png")
    assert await check_output(await keep(store, tmp_path / "star.png"), {}) == ()


async def test_another_size_than_asked_is_found(store: MediaStore, picture: Make) -> None:
    asset = await keep(store, picture())
    assert await check_output(asset, {"width": 128, "height": 48}) == (
        "The width is 64 px; 128 px were asked for.",
    )
    assert await check_output(asset, {"height": 100}) == (
        "The height is 48 px; 100 px were asked for.",
    )


@pytest.mark.parametrize("asked", [2, 2.1, "2", "2s", "2.0 s", "auto", None, True, [2]])
async def test_a_duration_may_be_asked_for_in_words(
    store: MediaStore, sound: Make, asked: object
) -> None:
    assert await check_output(await keep(store, sound(seconds=2.0)), {"duration": asked}) == ()


async def test_a_duration_in_words_is_compared(store: MediaStore, sound: Make) -> None:
    assert await check_output(await keep(store, sound(seconds=1.0)), {"duration": "5s"}) == (
        "The duration is 1.00 s; 5.00 s were asked for.",
    )


@pytest.mark.parametrize(("mode", "name"), [("I;16", "x.png"), ("I", "x.tiff"), ("F", "x.tiff")])
async def test_a_deep_picture_is_not_taken_for_a_flat_one(
    store: MediaStore, tmp_path: Path, mode: str, name: str
) -> None:
    image = Image.new(mode, (40, 40))
    for x in range(40):
        image.putpixel((x, x), 1000 * x)
    image.save(tmp_path / name)
    asset = await keep(store, tmp_path / name)
    assert await check_output(asset, {}) == ()
    assert await store.preview([asset])
    Image.new(mode, (40, 40), 300).save(tmp_path / name)
    (found,) = await check_output(await keep(store, tmp_path / name), {})
    assert "flat colour" in found or "black" in found


async def test_another_duration_than_asked_is_found(store: MediaStore, sound: Make) -> None:
    asset = await keep(store, sound(seconds=1.0))
    assert await check_output(asset, {"duration": 1.5}) == (
        "The duration is 1.00 s; 1.50 s were asked for.",
    )


async def test_another_kind_than_asked_is_found(store: MediaStore, sound: Make) -> None:
    assert await check_output(await keep(store, sound()), {"kind": "video"}) == (
        "The output is of kind audio (audio/wav), not video.",
    )


@pytest.mark.parametrize(
    ("colour", "finding"),
    [((0, 0, 0), "The video is all black throughout."), ((0, 0, 255), "flat colour")],
)
async def test_a_plain_video_is_found(
    store: MediaStore, clip: Make, colour: tuple[int, int, int], finding: str
) -> None:
    (found,) = await check_output(await keep(store, clip(colour=colour)), {})
    assert finding in found


async def test_a_silent_sound_track_is_found(store: MediaStore, clip: Make) -> None:
    asset = await keep(store, clip(sound=0.0))
    assert await check_output(asset, {}) == ("The sound track is silent.",)


async def test_silence_is_found(store: MediaStore, sound: Make) -> None:
    assert await check_output(await keep(store, sound(loud=0.0)), {}) == ("The audio is silent.",)
    assert await check_output(await keep(store, sound(loud=0.0009)), {}) == (
        "The audio is silent.",
    )


async def test_two_channels_that_cancel_each_other_are_not_silent(
    store: MediaStore, tmp_path: Path, sound: Make
) -> None:
    path = sound(channels=2)
    data = bytearray(path.read_bytes())
    for at in range(44, len(data), 4):
        value = int.from_bytes(data[at : at + 2], "little", signed=True)
        data[at + 2 : at + 4] = (-value).to_bytes(2, "little", signed=True)
    path.write_bytes(bytes(data))
    assert await check_output(await keep(store, path), {}) == ()


async def test_clipping_is_found_with_its_share(store: MediaStore, sound: Make) -> None:
    (found,) = await check_output(await keep(store, sound(loud=3.0)), {})
    assert found.startswith("The audio is clipped: 7")
    assert found.endswith("% of its samples are at full scale.")


async def test_a_long_sound_is_listened_to_for_as_long_as_patience_lasts(
    store: MediaStore, sound: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = await keep(store, sound(seconds=3.0))
    monkeypatch.setattr(streams, "PATIENCE", -1.0)
    blocks = list(streams.samples(asset.path, "wav", rate=None, mono=False))
    assert 0 < sum(map(len, blocks)) < 24_000


@pytest.mark.parametrize("text", ["", "  \n\t "])
async def test_an_empty_text_is_found(store: MediaStore, tmp_path: Path, text: str) -> None:
    (tmp_path / "x.txt").write_text(text)
    assert await check_output(await keep(store, tmp_path / "x.txt"), {}) == ("The text is empty.",)


async def test_text_and_files_and_drawings_have_nothing_to_look_at(
    store: MediaStore, tmp_path: Path
) -> None:
    for data in (b"words", b"\0\1\2", b"<svg/>"):
        (tmp_path / "x").write_bytes(data)
        assert await check_output(await keep(store, tmp_path / "x"), {}) == ()


async def test_a_file_that_does_not_open_is_a_finding(store: MediaStore, picture: Make) -> None:
    asset = await keep(store, picture())
    await anyio.Path(asset.path).write_bytes(picture().read_bytes()[:60])
    (found,) = await check_output(asset, {})
    assert found.startswith("The PNG image cannot be read")
    await anyio.Path(asset.path).unlink()
    assert await check_output(asset, {}) == (
        "The file cannot be opened: no such file or directory.",
    )
