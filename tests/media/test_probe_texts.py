import json
import random
import struct
import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from media_mcp.errors import BadMedia
from media_mcp.job import MediaKind
from media_mcp.media.decoding.probing import probe_file

Make = Callable[..., Path]
Write = Callable[[Path, bytes | str], Path]
Refusal = Callable[[Path], Awaitable[str]]
pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("text", "mime_type", "extension"),
    [
        ("just words\n", "text/plain", "txt"),
        ("\ufeffwords with a mark\n", "text/plain", "txt"),
        ('{"a": [1, 2]}', "application/json", "json"),
        ("[1, 2", "text/plain", "txt"),
        ("[" * 100_000, "text/plain", "txt"),
        ("1\n00:00:00,000 --> 00:00:01,000\nhello\n", "application/x-subrip", "srt"),
        ("WEBVTT\n\n00:00.000 --> 00:01.000\nhello\n", "text/vtt", "vtt"),
        ("#EXTM3U\n", "text/plain", "txt"),
        ("BMW is a car and this is no bitmap", "text/plain", "txt"),
    ],
)
async def test_text_is_known_by_its_characters(
    write: Write, tmp_path: Path, text: str, mime_type: str, extension: str
) -> None:
    facts = probe_file(write(tmp_path / "x.png", text))
    assert (facts.kind, facts.mime_type, facts.extension) == (MediaKind.TEXT, mime_type, extension)


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01\x02\x03",
        b"text, then \x00",
        b"caf\xe9",
        "cut in a char: é".encode()[:-1],
        b"RIFF\0\0\0\0what",
        b"\xff\xfeu\0t\0f\0",
        b"\xff",
        random.Random(1).randbytes(5000),
    ],
)
async def test_unknown_bytes_are_a_file(write: Write, tmp_path: Path, data: bytes) -> None:
    facts = probe_file(write(tmp_path / "x.png", data))
    assert (facts.kind, facts.mime_type, facts.extension) == (
        MediaKind.FILE,
        "application/octet-stream",
        "bin",
    )


async def test_an_empty_file_is_refused(refusal: Refusal, write: Write, tmp_path: Path) -> None:
    assert await refusal(write(tmp_path / "x.png", b"")) == "The file is empty: 0 bytes."


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ('<svg width="120px" height="80.4"></svg>', (120, 80)),
        ('<svg viewBox="0 0 300,200"><g/></svg>', (300, 200)),
        ('<svg viewBox="0 0 300 200" width="100%"/>', (300, 200)),
        ('<svg viewBox="1 2 3"/>', (None, None)),
        ('<svg width="1.2.3" height="."/>', (None, None)),
        ('<?xml version="1.0"?>\n<!-- a --><!-- b -->\n<svg height="5" width="4"></svg >', (4, 5)),
        (
            '<!DOCTYPE svg PUBLIC "x" [<!ENTITY a "b>c">]><svg:svg width="1" height="2"></svg:svg>',
            (1, 2),
        ),
        ('<!DOCTYPE svg><svg width="1" height="2"></svg>', (1, 2)),
        ('<svg width="9" height="9"><script>alert(1)</script></svg>', (9, 9)),
    ],
)
async def test_an_svg_is_an_image_and_is_never_parsed(
    write: Write, tmp_path: Path, text: str, size: tuple[int | None, int | None]
) -> None:
    facts = probe_file(write(tmp_path / "x.txt", text))
    assert (facts.kind, facts.mime_type, facts.extension) == (
        MediaKind.IMAGE,
        "image/svg+xml",
        "svg",
    )
    assert (facts.width, facts.height) == size


@pytest.mark.parametrize(
    "text", ["<svgfoo></svgfoo>", "<!-- never closed <svg></svg>", "<!-- -->" * 8000, "<?xml"]
)
async def test_what_only_resembles_an_svg_is_text(write: Write, tmp_path: Path, text: str) -> None:
    assert (probe_file(write(tmp_path / "x.svg", text))).mime_type == "text/plain"


async def test_a_truncated_svg_is_refused(refusal: Refusal, write: Write, tmp_path: Path) -> None:
    said = await refusal(write(tmp_path / "x.svg", '<svg width="9"><path d="M 1'))
    assert said == "The SVG image cannot be read: it ends before its closing tag."


def glb(version: int = 2, lie: int = 0) -> bytes:
    body = json.dumps({"asset": {"version": "2.0"}}).encode()
    chunk = struct.pack("<II", len(body), 0x4E4F534A) + body
    return struct.pack("<4sII", b"glTF", version, 12 + len(chunk) + lie) + chunk


async def test_a_3d_model_is_known_by_its_bytes(write: Write, tmp_path: Path) -> None:
    facts = probe_file(write(tmp_path / "x", glb()))
    assert (facts.kind, facts.mime_type) == (MediaKind.MODEL3D, "model/gltf-binary")
    text = json.dumps({"asset": {"version": "2.0"}, "scenes": []})
    assert (probe_file(write(tmp_path / "y", text))).mime_type == "model/gltf+json"


async def test_a_truncated_or_unknown_3d_model_is_refused(
    refusal: Refusal, write: Write, tmp_path: Path
) -> None:
    assert "it declares 54 bytes and holds 49" in await refusal(write(tmp_path / "x", glb(lie=5)))
    assert "version 1" in await refusal(write(tmp_path / "x", glb(version=1)))


async def test_a_zip_is_a_file_and_a_truncated_one_is_refused(
    refusal: Refusal, write: Write, tmp_path: Path
) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "a" * 1000)
    facts = probe_file(path)
    assert (facts.kind, facts.mime_type, facts.extension) == (
        MediaKind.FILE,
        "application/zip",
        "zip",
    )
    assert "it ends before its directory" in await refusal(write(path, path.read_bytes()[:500]))


async def test_damaged_media_never_raise_anything_but_bad_media(
    write: Write, tmp_path: Path, picture: Make, clip: Make, sound: Make, encoded: Make
) -> None:
    dice = random.Random(7)
    whole = [
        *(picture(f"a.{e}").read_bytes() for e in ("png", "jpg", "webp", "gif", "tiff", "bmp")),
        clip(sound=0.5).read_bytes(),
        sound(seconds=0.1).read_bytes(),
        encoded("a.mp3", "libmp3lame", seconds=0.5).read_bytes(),
    ]
    outcomes = {"read": 0, "refused": 0}
    for data in whole:
        for _ in range(12):
            hurt = bytearray(data)
            for _ in range(6):
                hurt[dice.randrange(8, len(hurt))] = dice.randrange(256)
            try:
                probe_file(write(tmp_path / "hurt", bytes(hurt)))
                outcomes["read"] += 1
            except BadMedia:
                outcomes["refused"] += 1
    assert sum(outcomes.values()) == 12 * len(whole)
    assert min(outcomes.values()) > 0
