import struct
import zipfile
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from PIL import Image

from media_mcp.job import MediaKind
from media_mcp.media import facts as bounds
from media_mcp.media.decoding import pictures
from media_mcp.media.decoding.probing import probe_file

Make = Callable[..., Path]
Write = Callable[[Path, bytes | str], Path]
Refusal = Callable[[Path], Awaitable[str]]
pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("extension", "mime_type"),
    [
        ("png", "image/png"),
        ("jpg", "image/jpeg"),
        ("webp", "image/webp"),
        ("gif", "image/gif"),
        ("bmp", "image/bmp"),
        ("tiff", "image/tiff"),
        ("avif", "image/avif"),
    ],
)
async def test_an_image_is_known_by_its_bytes_whatever_its_name(
    picture: Make, extension: str, mime_type: str
) -> None:
    path = picture(f"x.{extension}")
    facts = probe_file(path.rename(path.with_name("lying.mp3")))
    assert (facts.kind, facts.mime_type, facts.extension) == (
        MediaKind.IMAGE,
        mime_type,
        extension,
    )
    assert (facts.width, facts.height, facts.frames) == (64, 48, 1)


@pytest.mark.parametrize("extension", ["gif", "webp", "png"])
async def test_an_animation_tells_its_frames_and_seconds(tmp_path: Path, extension: str) -> None:
    frames = [Image.new("RGB", (8, 8), (i * 60, 0, 0)) for i in range(4)]
    path = tmp_path / f"x.{extension}"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=250)
    facts = probe_file(path)
    assert (facts.kind, facts.frames, facts.duration, facts.fps) == (MediaKind.IMAGE, 4, 1.0, 4.0)


async def test_an_animation_of_too_many_frames_is_refused(
    refusal: Refusal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = [Image.new("L", (8, 8), i) for i in range(4)]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    monkeypatch.setattr(pictures, "MAX_FRAMES", 3)
    assert "more than 3 frames" in await refusal(tmp_path / "x.gif")
    monkeypatch.setattr(pictures, "PATIENCE", -1.0)
    assert "s can decode" in await refusal(tmp_path / "x.gif")


def bomb(width: int, height: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + crc

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


async def test_a_picture_too_long_on_one_side_is_refused(
    refusal: Refusal, write: Write, tmp_path: Path
) -> None:
    said = await refusal(write(tmp_path / "x.png", bomb(40_000, 8)))
    assert said == "The PNG image has 40000x8 pixels; at most 32,768 on a side are read."


@pytest.mark.parametrize("side", [8400, 12_000, 60_000])
async def test_a_decompression_bomb_is_refused_before_it_is_decoded(
    refusal: Refusal, write: Write, tmp_path: Path, side: int
) -> None:
    said = await refusal(write(tmp_path / "bomb.png", bomb(side, side)))
    assert f"{bounds.MAX_PIXELS:,}" in said
    assert "pixels" in said


@pytest.mark.parametrize("extension", ["png", "jpg", "webp", "gif", "bmp", "tiff", "avif"])
async def test_a_truncated_image_is_refused(
    refusal: Refusal, write: Write, picture: Make, extension: str
) -> None:
    path = picture(f"x.{extension}", size=(200, 200))
    write(path, path.read_bytes()[: path.stat().st_size // 2])
    said = await refusal(path)
    assert "image cannot be read" in said


async def test_an_image_header_with_nothing_behind_it_is_refused(
    refusal: Refusal, write: Write, tmp_path: Path
) -> None:
    said = await refusal(write(tmp_path / "x.png", b"\x89PNG\r\n\x1a\n"))
    assert said.startswith("The PNG image cannot be read")


async def test_a_polyglot_is_what_its_first_bytes_say(
    write: Write, picture: Make, tmp_path: Path
) -> None:
    path = picture("x.gif")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("evil.html", "<script>alert(1)</script>")
    write(path, path.read_bytes() + (tmp_path / "x.zip").read_bytes())
    assert (probe_file(path)).mime_type == "image/gif"


async def test_html_is_plain_text(write: Write, tmp_path: Path) -> None:
    facts = probe_file(write(tmp_path / "x.png", "<!DOCTYPE html><script>alert(1)</script>"))
    assert (facts.kind, facts.mime_type, facts.extension) == (MediaKind.TEXT, "text/plain", "txt")
