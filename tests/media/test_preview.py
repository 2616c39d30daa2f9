import io
from collections.abc import Callable
from pathlib import Path

import anyio
import av
import pytest
from PIL import Image, ImageChops

from media_mcp.job import Asset
from media_mcp.media import MediaStore
from media_mcp.media.decoding import drawing, streams
from media_mcp.media.decoding.pool import Decoders

Make = Callable[..., Path]
pytestmark = pytest.mark.anyio


async def keep(store: MediaStore, path: Path) -> Asset:
    return await store.put(path, role="x", name="x", provenance={})


def opened(data: bytes | None) -> Image.Image:
    assert data is not None
    assert len(data) <= 40_000
    image = Image.open(io.BytesIO(data), formats=["JPEG"])
    image.load()
    assert max(image.size) <= 512
    return image


async def test_a_large_picture_becomes_a_thumbnail_of_512_pixels(
    store: MediaStore, picture: Make
) -> None:
    asset = await keep(store, picture(size=(1600, 800)))
    assert opened(await store.preview([asset])).size == (512, 256)


async def test_a_small_picture_is_enlarged_without_blur(store: MediaStore, tmp_path: Path) -> None:
    image = Image.new("RGB", (64, 64))
    image.putpixel((10, 10), (255, 255, 255))
    image.save(tmp_path / "x.png")
    seen = opened(await store.preview([await keep(store, tmp_path / "x.png")]))
    assert seen.size == (256, 256)
    assert min(seen.getpixel((41, 41))) > 200
    assert max(seen.getpixel((48, 48))) < 60


async def test_the_hardest_picture_fits_into_40_kilobytes(
    store: MediaStore, tmp_path: Path
) -> None:
    noise = Image.merge("RGB", [Image.effect_noise((512, 512), 200) for _ in range(3)])
    noise.save(tmp_path / "x.png")
    opened(await store.preview([await keep(store, tmp_path / "x.png")]))


async def test_what_is_transparent_is_shown_on_white(store: MediaStore, tmp_path: Path) -> None:
    Image.new("RGBA", (300, 300), (255, 0, 0, 0)).save(tmp_path / "x.png")
    seen = opened(await store.preview([await keep(store, tmp_path / "x.png")]))
    assert min(seen.getpixel((150, 150))) > 250


async def test_a_picture_that_says_it_lies_on_its_side_is_turned(
    store: MediaStore, picture: Make
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    asset = await keep(store, picture("x.jpg", size=(400, 300), exif=exif))
    assert opened(await store.preview([asset])).size == (300, 400)


async def test_several_pictures_become_a_labelled_sheet(store: MediaStore, tmp_path: Path) -> None:
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]
    assets = []
    for i, colour in enumerate(colours):
        Image.new("RGB", (100, 100 + i), colour).save(tmp_path / f"{i}.png")
        assets.append(await keep(store, tmp_path / f"{i}.png"))
    sheet = opened(await store.preview(assets))
    half = sheet.width // 2, sheet.height // 2
    quarter = half[0] // 2, half[1] // 2
    seen = [
        sheet.getpixel((quarter[0] + half[0] * (i % 2), quarter[1] + half[1] * (i // 2)))
        for i in range(3)
    ]
    assert [max(range(3), key=pixel.__getitem__) for pixel in seen] == [0, 1, 2]
    label = sheet.crop((0, half[1] - drawing.LABEL, half[0], half[1])).convert("L")
    assert label.getextrema()[0] < 120


async def test_a_sheet_shows_nine_and_says_how_many_more_there_are(
    store: MediaStore, picture: Make
) -> None:
    asset = await keep(store, picture())
    opened(await store.preview([asset] * 12))
    assert drawing._label(8, [asset] * 12) == "9 · 64x48 (+3 more)"
    assert drawing._label(7, [asset] * 12) == "8 · 64x48"


async def test_a_video_becomes_nine_frames_in_the_order_of_time(
    store: MediaStore, tmp_path: Path, clip: Make
) -> None:
    asset = await keep(store, clip(frames=36))
    moments = [at for at, _ in drawing._frames(asset, 9)]
    assert moments == pytest.approx([asset.duration / 9 * (i + 0.5) for i in range(9)])
    sheet = opened(await store.preview([asset]))
    assert sheet.width > 500


async def test_a_video_of_one_frame_has_a_preview(store: MediaStore, clip: Make) -> None:
    opened(await store.preview([await keep(store, clip(frames=1))]))


async def test_a_video_without_one_frame_that_decodes_has_no_preview(
    store: MediaStore, clip: Make
) -> None:
    asset = await keep(store, clip("x.mkv", codec="mjpeg"))
    data = bytearray(asset.path.read_bytes())
    with av.open(str(asset.path)) as container:
        for packet in container.demux():
            if packet.size and packet.pos is not None:
                data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    await anyio.Path(asset.path).write_bytes(data)
    assert await store.preview([asset]) is None
    assert await store.preview([asset, asset]) is None


async def test_a_frame_far_from_a_key_frame_is_found_within_bounds(
    store: MediaStore, clip: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = await keep(store, clip(frames=24, codec="libx264"))
    monkeypatch.setattr(streams, "MAX_FRAME_STEPS", 2)
    assert len(list(drawing._frames(asset, 9))) == 9


async def test_sound_becomes_a_waveform_over_its_whole_length(
    store: MediaStore, sound: Make
) -> None:
    seen = opened(await store.preview([await keep(store, sound(seconds=2.0, loud=0.9))]))
    assert seen.size == (512, 128)
    middle = [seen.getpixel((x, 30)) for x in (5, 250, 505)]
    assert all(pixel[2] > pixel[0] + 60 for pixel in middle)


async def test_the_waveform_of_silence_is_a_line(store: MediaStore, sound: Make) -> None:
    seen = opened(await store.preview([await keep(store, sound(loud=0.0))]))
    assert min(seen.getpixel((250, 30))) > 200


async def test_the_shortest_sound_has_a_waveform(store: MediaStore, sound: Make) -> None:
    opened(await store.preview([await keep(store, sound(seconds=0.01))]))


async def test_media_of_several_kinds_share_a_sheet(
    store: MediaStore, picture: Make, clip: Make, sound: Make
) -> None:
    assets = [await keep(store, path) for path in (picture(), clip(), sound())]
    opened(await store.preview(assets))


@pytest.mark.parametrize("text", ["words", '<svg width="9" height="9"><script/></svg>'])
async def test_there_is_no_preview_of_text_and_drawings(store: MediaStore, text: str) -> None:
    asset = await store.put_bytes(text.encode(), role="x", name="x", provenance={})
    assert await store.preview([asset]) is None
    assert await store.preview([asset, asset]) is None
    assert await store.preview([]) is None


async def test_a_preview_is_drawn_once(store: MediaStore, picture: Make) -> None:
    asset = await keep(store, picture())
    first = await store.preview([asset])
    asset.path.unlink()
    assert await store.preview([asset]) == first
    (kept,) = (store.folder / "previews").iterdir()
    assert kept.read_bytes() == first


async def test_a_preview_that_cannot_be_kept_is_shown_all_the_same(
    store: MediaStore, picture: Make
) -> None:
    asset = await keep(store, picture())
    (store.folder / "previews").write_text("in the way")
    opened(await store.preview([asset]))
    assert list((store.folder / "staging").iterdir()) == []


async def test_a_preview_that_was_cut_is_drawn_again(store: MediaStore, picture: Make) -> None:
    asset = await keep(store, picture())
    first = await store.preview([asset])
    (kept,) = (store.folder / "previews").iterdir()
    assert first is not None
    for cut in (b"", first[:100]):
        await anyio.Path(kept).write_bytes(cut)
        assert await store.preview([asset]) == first


async def test_a_file_that_was_damaged_since_has_no_preview(
    store: MediaStore, picture: Make, clip: Make, sound: Make
) -> None:
    for path in (picture(), clip(), sound()):
        asset = await keep(store, path)
        await anyio.Path(asset.path).write_bytes(path.read_bytes()[:30])
        assert await store.preview([asset]) is None
        await anyio.Path(asset.path).unlink()
        assert await store.preview([asset]) is None


async def kept(store: MediaStore, path: Path) -> Asset:
    draft = await store.draft(path, draw=True)
    return await store.keep(draft, role="x", name="x", provenance={})


@pytest.mark.parametrize("form", ["png", "jpg", "gif", "webp"])
async def test_a_picture_that_was_drawn_as_it_was_looked_at_has_the_same_preview(
    store: MediaStore, tmp_path: Path, form: str
) -> None:
    Image.linear_gradient("L").convert("RGB").resize((900, 300)).save(tmp_path / f"x.{form}")
    drawn = await kept(MediaStore(tmp_path / "other"), tmp_path / f"x.{form}")
    (at_hand,) = (tmp_path / "other" / "previews").iterdir()
    assert opened(at_hand.read_bytes()).size == (512, 171)
    asset = await keep(store, tmp_path / f"x.{form}")
    assert asset.uri == drawn.uri
    assert near(at_hand.read_bytes(), await store.preview([asset]))


def near(one: bytes, other: bytes | None) -> bool:
    """A JPEG is decoded at a fraction of its size where it is only to be drawn."""
    spread = ImageChops.difference(opened(one), opened(other)).getextrema()
    return max(high for _, high in spread) <= 8


async def test_what_is_no_picture_is_drawn_when_it_is_asked_for(
    store: MediaStore, clip: Make
) -> None:
    asset = await kept(store, clip())
    assert not (store.folder / "previews").exists()
    assert opened(await store.preview([asset]))


async def test_a_second_look_at_what_was_drawn_with_it_asks_no_decoder(
    tmp_path: Path, picture: Make
) -> None:
    asset = await kept(MediaStore(tmp_path / "s"), picture())
    nobody = Decoders(command=("/nowhere/python",))
    assert opened(await MediaStore(tmp_path / "s", nobody).preview([asset]))
