"""Broken, lying and monstrous media: each is known for what it is or refused, and harms nobody."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image
from seeds import NAMES, PICTURES, seed, spoilt

from media_mcp.errors import BadMedia
from media_mcp.job import MediaKind
from media_mcp.media import MediaStore
from media_mcp.media.decoding.pool import Decoders
from media_mcp.media.facts import Facts

pytestmark = pytest.mark.anyio
SHORT = tuple(f"cut at {share}%" for share in (2, 10, 35, 60))


@pytest.fixture(scope="module")
def sound_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("seeds")
    return {name: seed(name, folder) for name in NAMES}


@pytest.fixture
async def decoders(anyio_backend: str) -> AsyncIterator[Decoders]:
    yield Decoders()


WAYS = [name for name, _ in spoilt("png", bytes(1000))]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NAMES)
async def test_a_spoilt_file_is_known_for_what_it_is_or_refused(
    sound_files: dict[str, bytes], decoders: Decoders, tmp_path: Path, name: str, way: str
) -> None:
    path = tmp_path / "innocent.png"
    path.write_bytes(dict(spoilt(name, sound_files[name]))[way])
    try:
        facts = (await decoders.read(path, "image/png", look=True)).facts
    except BadMedia as error:
        assert error.message.endswith(".")
        assert error.hint
        assert len(error.message) < 300
        return
    assert facts.mime_type not in ("text/html", "application/javascript")
    assert name not in PICTURES or way not in SHORT or facts.kind is not MediaKind.IMAGE
    assert (facts.duration or 0) <= 6 * 3600


@pytest.mark.parametrize("name", NAMES)
async def test_a_sound_file_is_read_whatever_it_is_called(
    sound_files: dict[str, bytes], decoders: Decoders, tmp_path: Path, name: str
) -> None:
    (tmp_path / "x.exe").write_bytes(sound_files[name])
    seen = await decoders.read(tmp_path / "x.exe", look=True)
    assert seen.facts.kind is not MediaKind.FILE or name == "zip"


def png(width: int, height: int, pixels: bytes = b"", *extra: tuple[bytes, bytes]) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def riff(rate: int, channels: int, length: int, data: bytes = bytes(64)) -> bytes:
    speed, block = rate * channels * 2 & 0xFFFFFFFF, channels * 2 & 0xFFFF
    form = struct.pack("<HHIIHH", 1, channels, rate, speed, block, 16)
    body = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", length) + data
    return b"RIFF" + struct.pack("<I", min(0xFFFFFFFF, 36 + length)) + body


def box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", 8 + len(data)) + kind + data


def many_frames(count: int) -> bytes:
    """A GIF of `count` frames of one pixel."""
    frame = b"\x2c\0\0\0\0\1\0\1\0\0\2\2\x44\1\0"
    return b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff" + frame * count + b"\x3b"


def huge_gif() -> bytes:
    return b"GIF89a" + struct.pack("<HH", 65535, 65535) + many_frames(1)[10:]


def archive(nested: int) -> bytes:
    data = bytes(10_000_000)
    for _ in range(nested):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as into:
            for number in range(4):
                into.writestr(f"{number}.zip", data)
        data = packed.getvalue()
    return data


def webp(width: int, height: int) -> bytes:
    size = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + size
    return b"RIFF" + struct.pack("<I", len(body)) + body


def tiff(width: int, height: int) -> bytes:
    tags = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (278, height)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + bytes(4)


def bmp(width: int, height: int) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header


SPARSE = zlib.compress(bytes(60_000_000), 9)
BOMBS = {
    "30000x30000 PNG": (png(30_000, 30_000), "pixels"),
    "PNG of 2^31-1 pixels a side": (png(2**31 - 1, 2**31 - 1), ""),
    "PNG 1 pixel wide and 100000 high": (png(1, 100_000), "32,768 on a side"),
    "PNG whose text unpacks to 60 MB": (png(8, 8, b"", (b"zTXt", b"x\0\0" + SPARSE)), ""),
    "PNG whose profile unpacks to 60 MB": (png(8, 8, b"", (b"iCCP", b"x\0\0" + SPARSE)), ""),
    "GIF of 65535x65535": (huge_gif(), "pixels"),
    "GIF of 6000 frames": (many_frames(6000), "more than 5000 frames"),
    "WebP of 16383x16383": (webp(16_383, 16_383), ""),
    "TIFF of 60000x60000": (tiff(60_000, 60_000), ""),
    "BMP of 50000x50000": (bmp(50_000, 50_000), ""),
    "BMP of negative height": (bmp(100, -(2**31)), ""),
    "ten hours of silence, announced": (riff(48_000, 2, 0x7FFF0000), "bytes are missing"),
    "ten hours of silence, of unknown length": (
        riff(1, 1, 0xFFFFFFFF, bytes(80_000)),
        "at most 21,600 s are read",
    ),
    "sound of 4 GHz": (riff(0xFFFFFFFF, 1, 64), ""),
    "sound of 65535 channels": (riff(8000, 65535, 64), ""),
    "sound without channels": (riff(8000, 0, 64), ""),
    "MP4 of 10 hours, announced": (
        box(b"ftyp", b"isom\0\0\0\0isom")
        + box(b"moov", box(b"mvhd", bytes(12) + struct.pack(">II", 1, 36_000) + bytes(80))),
        "",
    ),
    "MP4 whose box is longer than the world": (
        box(b"ftyp", b"isom\0\0\0\0isom") + b"\0\0\0\1mdat" + b"\x7f" * 8,
        "bytes are missing",
    ),
    "MP4 of boxes in boxes": (
        box(b"ftyp", b"isom\0\0\0\0isom") + b"".join([b"\0\0\0\x10moov" for _ in range(20_000)]),
        "",
    ),
    "MP3 of one tag of 256 MB": (b"ID3\3\0\0\x7f\x7f\x7f\x7f" + bytes(4000), ""),
    "FLAC that announces 2^36 samples": (
        b"fLaC\x80\0\0\x22\x10\0\x10\0" + bytes(6) + b"\x0a\xc4\x42\xff" + b"\xff" * 4 + bytes(16),
        "",
    ),
    "Matroska of unknown size": (b"\x1a\x45\xdf\xa3\x01" + b"\xff" * 7 + bytes(4000), ""),
    "Ogg page that goes on for ever": (b"OggS\0\2" + b"\xff" * 20 + b"\xff" * 300, ""),
}


@pytest.mark.parametrize("bomb", BOMBS)
async def test_a_bomb_is_refused_in_words(decoders: Decoders, tmp_path: Path, bomb: str) -> None:
    data, words = BOMBS[bomb]
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(BadMedia) as caught:
        await decoders.read(tmp_path / "x", look=True)
    assert words in caught.value.message
    assert "crashed" not in caught.value.message


async def test_a_picture_is_unpacked_no_further_than_it_is_large(
    decoders: Decoders, tmp_path: Path
) -> None:
    (tmp_path / "x").write_bytes(png(8, 8, SPARSE))
    seen = await decoders.read(tmp_path / "x", look=True)
    assert (seen.facts.width, seen.facts.height) == (8, 8)
    assert [flaw.code for flaw in seen.flaws] == ["black"]


@pytest.mark.parametrize("nested", [1, 2])
async def test_archives_are_never_unpacked(decoders: Decoders, tmp_path: Path, nested: int) -> None:
    (tmp_path / "x").write_bytes(archive(nested))
    assert (await decoders.read(tmp_path / "x", look=True)).facts.mime_type == "application/zip"


LAUGHS = "".join(f'<!ENTITY l{i + 1} "{f"&l{i};" * 10}">' for i in range(9))
ACTIVE = {
    "page": b"<!doctype html><script>fetch('//x')</script>",
    "page that says it is a picture": b"\x00\x00GIF<html><script>x</script>",
    "drawing with script": b"<svg xmlns='x'><script>alert(1)</script><path/></svg>",
    "drawing that loads": b"<svg xmlns='x' onload='x()'><image href='file:///etc/passwd'/></svg>",
    "drawing of entities": f"<!DOCTYPE svg [{LAUGHS}]><svg><text>&l9;</text></svg>".encode(),
    "drawing of outside": b"<!DOCTYPE svg [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><svg>&x;</svg>",
    "playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n",
    "list of files": b"ffconcat version 1.0\nfile /etc/passwd\n",
    "session": b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=audio 1 RTP/AVP 0\n",
    "manifest": b"<?xml version='1.0'?><MPD><BaseURL>file:///etc/passwd</BaseURL></MPD>",
    "script": b"#!/bin/sh\nrm -rf /\n",
    "postscript": b"%!PS-Adobe-3.0\n(x) run\n",
    "document": b"%PDF-1.7\n1 0 obj<</S/JavaScript/JS(app.alert(1))>>endobj\n",
    "pickle": b"\x80\x04\x95\x1f\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94.",
}


@pytest.mark.parametrize("what", ACTIVE)
async def test_what_could_run_is_no_medium_that_runs(
    store: MediaStore, tmp_path: Path, what: str
) -> None:
    """It is kept as text, as a drawing that is never drawn, or as a file of no kind."""
    (tmp_path / "x.html").write_bytes(ACTIVE[what])
    asset = await store.put(tmp_path / "x.html", role="x", name="x.html", provenance={})
    assert asset.path.suffix in (".txt", ".svg", ".bin", ".pdf")
    assert asset.mime_type != "text/html"
    assert await store.preview([asset]) is None


@pytest.mark.parametrize("depth", [1_000, 10_000, 1_000_000])
async def test_json_that_nests_without_end_is_text(
    decoders: Decoders, tmp_path: Path, depth: int
) -> None:
    for data in (
        b"[" * depth + b"]" * depth,
        b'{"a":' * depth,
        b'{"a":' * depth + b"1" + b"}" * depth,
    ):
        (tmp_path / "x.json").write_bytes(data)
        facts: Facts = (await decoders.read(tmp_path / "x.json", look=True)).facts
        assert facts.kind is MediaKind.TEXT


async def test_two_in_one_is_the_first_of_them(
    sound_files: dict[str, bytes], store: MediaStore, tmp_path: Path
) -> None:
    """A file that is a picture and an archive is served as the picture that it begins as."""
    for front in ("png", "jpg", "gif", "webp"):
        for back in ("zip", "mp4", "svg", "wav"):
            (tmp_path / "x").write_bytes(sound_files[front] + sound_files[back])
            asset = await store.put(tmp_path / "x", role="x", name="x", provenance={})
            assert asset.mime_type == Image.MIME[{"jpg": "JPEG"}.get(front, front.upper())]
