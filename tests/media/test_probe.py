import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from media_mcp.errors import BadMedia
from media_mcp.job import MediaKind
from media_mcp.media import containers, pictures, probe, streams
from media_mcp.media import facts as bounds

Make = Callable[..., Path]
pytestmark = pytest.mark.anyio


async def refusal(path: Path) -> str:
    with pytest.raises(BadMedia) as caught:
        await probe(path)
    assert caught.value.hint
    return caught.value.message


def write(path: Path, data: bytes | str) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


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
    facts = await probe(path.rename(path.with_name("lying.mp3")))
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
    facts = await probe(path)
    assert (facts.kind, facts.frames, facts.duration, facts.fps) == (MediaKind.IMAGE, 4, 1.0, 4.0)


async def test_an_animation_of_too_many_frames_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = [Image.new("L", (8, 8), i) for i in range(4)]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    monkeypatch.setattr(pictures, "MAX_FRAMES", 3)
    assert "more than 3 frames" in await refusal(tmp_path / "x.gif")
    monkeypatch.setattr(pictures, "PATIENCE", -1.0)
    assert "what 30 s can decode" in await refusal(tmp_path / "x.gif")


def bomb(width: int, height: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + crc

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


async def test_a_picture_too_long_on_one_side_is_refused(tmp_path: Path) -> None:
    said = await refusal(write(tmp_path / "x.png", bomb(40_000, 8)))
    assert said == "The PNG image has 40000x8 pixels; at most 32,768 on a side are read."


@pytest.mark.parametrize("side", [8400, 12_000, 60_000])
async def test_a_decompression_bomb_is_refused_before_it_is_decoded(
    tmp_path: Path, side: int
) -> None:
    said = await refusal(write(tmp_path / "bomb.png", bomb(side, side)))
    assert f"{bounds.MAX_PIXELS:,}" in said
    assert "pixels" in said


@pytest.mark.parametrize("extension", ["png", "jpg", "webp", "gif", "bmp", "tiff", "avif"])
async def test_a_truncated_image_is_refused(picture: Make, extension: str) -> None:
    path = picture(f"x.{extension}", size=(200, 200))
    write(path, path.read_bytes()[: path.stat().st_size // 2])
    said = await refusal(path)
    assert "image cannot be read" in said


async def test_an_image_header_with_nothing_behind_it_is_refused(tmp_path: Path) -> None:
    said = await refusal(write(tmp_path / "x.png", b"\x89PNG\r\n\x1a\n"))
    assert said.startswith("The PNG image cannot be read")


async def test_a_polyglot_is_what_its_first_bytes_say(picture: Make, tmp_path: Path) -> None:
    path = picture("x.gif")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("evil.html", "<script>alert(1)</script>")
    write(path, path.read_bytes() + (tmp_path / "x.zip").read_bytes())
    assert (await probe(path)).mime_type == "image/gif"


async def test_html_is_plain_text(tmp_path: Path) -> None:
    facts = await probe(write(tmp_path / "x.png", "<!DOCTYPE html><script>alert(1)</script>"))
    assert (facts.kind, facts.mime_type, facts.extension) == (MediaKind.TEXT, "text/plain", "txt")


@pytest.mark.parametrize(
    ("name", "codec", "rate", "mime_type", "extension"),
    [
        ("x.mp3", "libmp3lame", 8000, "audio/mpeg", "mp3"),
        ("x.flac", "flac", 8000, "audio/flac", "flac"),
        ("x.ogg", "libopus", 48000, "audio/ogg", "ogg"),
        ("x.m4a", "aac", 8000, "audio/mp4", "m4a"),
        ("x.aac", "aac", 8000, "audio/aac", "aac"),
        ("x.webm", "libopus", 48000, "audio/webm", "weba"),
        ("x.mka", "flac", 8000, "audio/matroska", "mka"),
    ],
)
async def test_sound_is_known_by_its_bytes(
    encoded: Make, name: str, codec: str, rate: int, mime_type: str, extension: str
) -> None:
    facts = await probe(encoded(name, codec, rate=rate))
    assert (facts.kind, facts.mime_type, facts.extension) == (
        MediaKind.AUDIO,
        mime_type,
        extension,
    )
    assert facts.duration == pytest.approx(2.0, abs=0.2)
    assert (facts.channels, facts.sample_rate, facts.frames) == (1, rate, None)


async def test_a_wav_tells_seconds_channels_and_rate(sound: Make) -> None:
    facts = await probe(sound(seconds=1.5, channels=2))
    assert (facts.mime_type, facts.duration, facts.channels, facts.sample_rate) == (
        "audio/wav",
        1.5,
        2,
        8000,
    )


@pytest.mark.parametrize(
    ("name", "codec", "mime_type", "extension"),
    [
        ("x.mp4", "mpeg4", "video/mp4", "mp4"),
        ("x.mp4", "libx264", "video/mp4", "mp4"),
        ("x.mov", "mpeg4", "video/quicktime", "mov"),
        ("x.webm", "libvpx-vp9", "video/webm", "webm"),
        ("x.mkv", "mpeg4", "video/matroska", "mkv"),
        ("x.avi", "mpeg4", "video/x-msvideo", "avi"),
    ],
)
async def test_a_video_is_known_by_its_bytes(
    clip: Make, name: str, codec: str, mime_type: str, extension: str
) -> None:
    facts = await probe(clip(name, codec=codec))
    assert (facts.kind, facts.mime_type, facts.extension) == (
        MediaKind.VIDEO,
        mime_type,
        extension,
    )
    assert (facts.width, facts.height, facts.fps, facts.frames) == (64, 48, 8.0, 16)
    assert facts.duration == pytest.approx(2.0, abs=0.05)


async def test_a_video_with_sound_tells_its_channels(clip: Make) -> None:
    facts = await probe(clip(sound=0.5))
    assert (facts.kind, facts.channels, facts.sample_rate) == (MediaKind.VIDEO, 1, 8000)


async def test_a_picture_on_a_cover_does_not_make_a_video(encoded: Make, picture: Make) -> None:
    path, cover = encoded("x.mp3", "libmp3lame"), picture("cover.jpg").read_bytes()
    body = b"\0image/jpeg\0\x03\0" + cover
    frame = b"APIC" + struct.pack(">IH", len(body), 0) + body
    size = len(frame)
    safe = bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
    facts = await probe(write(path, b"ID3\x03\0\0" + safe + frame + path.read_bytes()))
    assert (facts.kind, facts.width) == (MediaKind.AUDIO, None)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mov", "clip.avi"])
async def test_a_truncated_video_is_refused(clip: Make, name: str) -> None:
    path = clip(name)
    write(path, path.read_bytes()[:-200])
    assert "bytes are missing" in await refusal(path)


async def test_a_video_that_lost_its_last_bytes_behind_the_index_is_refused(clip: Make) -> None:
    path = clip(options={"movflags": "faststart"})
    write(path, path.read_bytes()[:-10])
    assert "its last 10 bytes are missing" in await refusal(path)


async def test_a_film_that_ends_before_what_it_declares_is_refused(clip: Make) -> None:
    path = clip("x.mkv", frames=64)
    write(path, path.read_bytes()[: path.stat().st_size // 2])
    assert "of the 8.00 s it declares" in await refusal(path)


async def test_a_truncated_wav_is_refused(sound: Make) -> None:
    path = sound()
    write(path, path.read_bytes()[:-1000])
    assert await refusal(path) == ("The wav file cannot be read: its last 1,000 bytes are missing.")


async def test_a_wav_written_to_a_pipe_is_read_to_its_end(sound: Make) -> None:
    data = bytearray(sound().read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    facts = await probe(write(sound(), bytes(data)))
    assert facts.duration == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(
    "head",
    [
        b"\0\0\0\x18ftypisom\0\0\0\0isomiso2" + b"\0" * 100,
        b"\x1a\x45\xdf\xa3" + b"\xff" * 100,
        b"OggS" + b"\0" * 100,
        b"fLaC" + b"\0" * 100,
        b"RIFF\x64\0\0\0WAVE" + b"\0" * 96,
        b"\0\0\0\0moov" + b"\0" * 50,
    ],
)
async def test_a_media_header_with_rubbish_behind_it_is_refused(
    tmp_path: Path, head: bytes
) -> None:
    assert "file cannot be read" in await refusal(write(tmp_path / "x", head))


async def test_noise_where_the_frames_should_be_is_refused(clip: Make) -> None:
    path = clip(codec="libx264")
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    end = start - 8 + int.from_bytes(data[start - 8 : start - 4], "big")
    data[start:end] = b"\0" * (end - start)
    assert "no frame of it can be decoded" in await refusal(write(path, bytes(data)))


async def test_a_codec_that_nobody_knows_is_said(clip: Make) -> None:
    path = clip(codec="libx264")
    write(path, path.read_bytes().replace(b"avc1", b"zz~z"))
    assert await refusal(path) == "The video cannot be read: its codec is not known."


async def test_a_decoder_gets_a_bounded_number_of_tries(
    clip: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = clip()
    monkeypatch.setattr(streams, "TRIES", 0)
    assert "no frame of it can be decoded" in await refusal(path)


async def test_more_boxes_than_anyone_writes_are_left_to_the_decoder(
    clip: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "MAX_BOXES", 1)
    assert (await probe(clip())).frames == 16


async def test_data_that_contradict_each_other_are_refused(sound: Make) -> None:
    with pytest.raises(BadMedia, match="contradict"), streams.open_streams(sound(), "wav"):
        raise OverflowError


async def test_sound_has_no_frames_to_show(sound: Make) -> None:
    assert list(streams.frames_at(sound(), "wav", [0.0])) == []


async def test_a_playlist_opens_no_other_file(clip: Make, tmp_path: Path) -> None:
    listed = f"#EXTM3U\n#EXTINF:2,\n{clip('secret.ts', codec='mpeg4')}\n#EXT-X-ENDLIST\n"
    facts = await probe(write(tmp_path / "x.mp4", listed))
    assert facts.mime_type == "text/plain"


@pytest.mark.parametrize(
    ("bound", "value", "words"),
    [
        ("MAX_STREAMS", 1, "2 streams"),
        ("MAX_SECONDS", 1.0, "1 s"),
        ("MAX_PACKETS", 3, "packets"),
        ("PATIENCE", -1.0, "packets"),
    ],
)
async def test_a_video_beyond_the_bounds_is_refused(
    clip: Make, monkeypatch: pytest.MonkeyPatch, bound: str, value: float, words: str
) -> None:
    path = clip(sound=0.5)
    monkeypatch.setattr(streams, bound, value)
    assert words in await refusal(path)


async def test_a_video_of_huge_frames_is_refused(
    clip: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "MAX_PIXELS", 1000)
    assert (
        await refusal(clip())
        == "The video has 64x48 = 3,072 pixels; at most 1,000 pixels are read."
    )


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
    tmp_path: Path, text: str, mime_type: str, extension: str
) -> None:
    facts = await probe(write(tmp_path / "x.png", text))
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
async def test_unknown_bytes_are_a_file(tmp_path: Path, data: bytes) -> None:
    facts = await probe(write(tmp_path / "x.png", data))
    assert (facts.kind, facts.mime_type, facts.extension) == (
        MediaKind.FILE,
        "application/octet-stream",
        "bin",
    )


async def test_an_empty_file_is_refused(tmp_path: Path) -> None:
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
    tmp_path: Path, text: str, size: tuple[int | None, int | None]
) -> None:
    facts = await probe(write(tmp_path / "x.txt", text))
    assert (facts.kind, facts.mime_type, facts.extension) == (
        MediaKind.IMAGE,
        "image/svg+xml",
        "svg",
    )
    assert (facts.width, facts.height) == size


@pytest.mark.parametrize(
    "text", ["<svgfoo></svgfoo>", "<!-- never closed <svg></svg>", "<!-- -->" * 8000, "<?xml"]
)
async def test_what_only_resembles_an_svg_is_text(tmp_path: Path, text: str) -> None:
    assert (await probe(write(tmp_path / "x.svg", text))).mime_type == "text/plain"


async def test_a_truncated_svg_is_refused(tmp_path: Path) -> None:
    said = await refusal(write(tmp_path / "x.svg", '<svg width="9"><path d="M 1'))
    assert said == "The SVG image cannot be read: it ends before its closing tag."


def glb(version: int = 2, lie: int = 0) -> bytes:
    body = json.dumps({"asset": {"version": "2.0"}}).encode()
    chunk = struct.pack("<II", len(body), 0x4E4F534A) + body
    return struct.pack("<4sII", b"glTF", version, 12 + len(chunk) + lie) + chunk


async def test_a_3d_model_is_known_by_its_bytes(tmp_path: Path) -> None:
    facts = await probe(write(tmp_path / "x", glb()))
    assert (facts.kind, facts.mime_type) == (MediaKind.MODEL3D, "model/gltf-binary")
    text = json.dumps({"asset": {"version": "2.0"}, "scenes": []})
    assert (await probe(write(tmp_path / "y", text))).mime_type == "model/gltf+json"


async def test_a_truncated_or_unknown_3d_model_is_refused(tmp_path: Path) -> None:
    assert "it declares 54 bytes and holds 49" in await refusal(write(tmp_path / "x", glb(lie=5)))
    assert "version 1" in await refusal(write(tmp_path / "x", glb(version=1)))


async def test_a_zip_is_a_file_and_a_truncated_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "a" * 1000)
    facts = await probe(path)
    assert (facts.kind, facts.mime_type, facts.extension) == (
        MediaKind.FILE,
        "application/zip",
        "zip",
    )
    assert "it ends before its directory" in await refusal(write(path, path.read_bytes()[:500]))


async def test_damaged_media_never_raise_anything_but_bad_media(
    tmp_path: Path, picture: Make, clip: Make, sound: Make, encoded: Make
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
                await probe(write(tmp_path / "hurt", bytes(hurt)))
                outcomes["read"] += 1
            except BadMedia:
                outcomes["refused"] += 1
    assert sum(outcomes.values()) == 12 * len(whole)
    assert min(outcomes.values()) > 0
