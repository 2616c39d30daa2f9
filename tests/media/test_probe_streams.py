import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from media_mcp.errors import BadMedia
from media_mcp.job import MediaKind
from media_mcp.media import facts as bounds
from media_mcp.media.decoding import containers, streams
from media_mcp.media.decoding.probing import probe_file

Make = Callable[..., Path]
Write = Callable[[Path, bytes | str], Path]
Refusal = Callable[[Path], Awaitable[str]]
pytestmark = pytest.mark.anyio


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
    facts = probe_file(encoded(name, codec, rate=rate))
    assert (facts.kind, facts.mime_type, facts.extension) == (
        MediaKind.AUDIO,
        mime_type,
        extension,
    )
    assert facts.duration == pytest.approx(2.0, abs=0.2)
    assert (facts.channels, facts.sample_rate, facts.frames) == (1, rate, None)


async def test_a_wav_tells_seconds_channels_and_rate(sound: Make) -> None:
    facts = probe_file(sound(seconds=1.5, channels=2))
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
    facts = probe_file(clip(name, codec=codec))
    assert (facts.kind, facts.mime_type, facts.extension) == (
        MediaKind.VIDEO,
        mime_type,
        extension,
    )
    assert (facts.width, facts.height, facts.fps, facts.frames) == (64, 48, 8.0, 16)
    assert facts.duration == pytest.approx(2.0, abs=0.05)


async def test_a_video_with_sound_tells_its_channels(clip: Make) -> None:
    facts = probe_file(clip(sound=0.5))
    assert (facts.kind, facts.channels, facts.sample_rate) == (MediaKind.VIDEO, 1, 8000)


async def test_a_picture_on_a_cover_does_not_make_a_video(
    write: Write, encoded: Make, picture: Make
) -> None:
    path, cover = encoded("x.mp3", "libmp3lame"), picture("cover.jpg").read_bytes()
    body = b"\0image/jpeg\0\x03\0" + cover
    frame = b"APIC" + struct.pack(">IH", len(body), 0) + body
    size = len(frame)
    safe = bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
    facts = probe_file(write(path, b"ID3\x03\0\0" + safe + frame + path.read_bytes()))
    assert (facts.kind, facts.width) == (MediaKind.AUDIO, None)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mov", "clip.avi"])
async def test_a_truncated_video_is_refused(
    refusal: Refusal, write: Write, clip: Make, name: str
) -> None:
    path = clip(name)
    write(path, path.read_bytes()[:-200])
    assert "bytes are missing" in await refusal(path)


async def test_a_video_that_lost_its_last_bytes_behind_the_index_is_refused(
    refusal: Refusal, write: Write, clip: Make
) -> None:
    path = clip(options={"movflags": "faststart"})
    write(path, path.read_bytes()[:-10])
    assert "its last 10 bytes are missing" in await refusal(path)


async def test_a_film_that_ends_before_what_it_declares_is_refused(
    refusal: Refusal, write: Write, clip: Make
) -> None:
    path = clip("x.mkv", frames=64)
    write(path, path.read_bytes()[: path.stat().st_size // 2])
    assert "of the 8.00 s it declares" in await refusal(path)


async def test_a_truncated_wav_is_refused(refusal: Refusal, write: Write, sound: Make) -> None:
    path = sound()
    write(path, path.read_bytes()[:-1000])
    assert await refusal(path) == ("The wav file cannot be read: its last 1,000 bytes are missing.")


async def test_sound_of_an_absurd_rate_is_refused(
    refusal: Refusal, write: Write, sound: Make
) -> None:
    data = bytearray(sound().read_bytes())
    data[24:28] = (234_889_024).to_bytes(4, "little")
    assert await refusal(write(sound(), bytes(data))) == (
        "The sound has 234,889,024 Hz in 1 channels; at most 768,000 Hz in 64 are read."
    )


async def test_sound_that_nobody_can_decode_is_left_out(write: Write, clip: Make) -> None:
    path = clip("x.mkv", sound=0.5)
    facts = probe_file(write(path, path.read_bytes().replace(b"A_AAC", b"A_ZZZ")))
    assert (facts.kind, facts.channels) == (MediaKind.VIDEO, None)


async def test_a_wav_that_miscounts_by_its_own_header_is_read(write: Write, sound: Make) -> None:
    data = bytearray(sound().read_bytes())
    data[4:8] = len(data).to_bytes(4, "little")
    assert (probe_file(write(sound(), bytes(data)))).duration == 1.0


async def test_a_wav_written_to_a_pipe_is_read_to_its_end(write: Write, sound: Make) -> None:
    data = bytearray(sound().read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    facts = probe_file(write(sound(), bytes(data)))
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
    refusal: Refusal, write: Write, tmp_path: Path, head: bytes
) -> None:
    assert "file cannot be read" in await refusal(write(tmp_path / "x", head))


async def test_noise_where_the_frames_should_be_is_refused(
    refusal: Refusal, write: Write, clip: Make
) -> None:
    path = clip(codec="libx264")
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    end = start - 8 + int.from_bytes(data[start - 8 : start - 4], "big")
    data[start:end] = b"\0" * (end - start)
    assert "no frame of it can be decoded" in await refusal(write(path, bytes(data)))


async def test_a_codec_that_nobody_knows_is_said(
    refusal: Refusal, write: Write, clip: Make
) -> None:
    path = clip(codec="libx264")
    write(path, path.read_bytes().replace(b"avc1", b"zz~z"))
    assert await refusal(path) == "The video cannot be read: its codec is not known."


async def test_a_decoder_gets_a_bounded_number_of_tries(
    refusal: Refusal, clip: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = clip()
    monkeypatch.setattr(streams, "TRIES", 0)
    assert "no frame of it can be decoded" in await refusal(path)


async def test_more_boxes_than_anyone_writes_are_left_to_the_decoder(
    clip: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "MAX_BOXES", 1)
    assert (probe_file(clip())).frames == 16


async def test_data_that_contradict_each_other_are_refused(sound: Make) -> None:
    with pytest.raises(BadMedia, match="contradict"), streams.open_streams(sound(), "wav"):
        raise OverflowError


async def test_sound_has_no_frames_to_show(sound: Make) -> None:
    assert list(streams.frames_at(sound(), "wav", [0.0])) == []


async def test_a_playlist_opens_no_other_file(write: Write, clip: Make, tmp_path: Path) -> None:
    listed = f"#EXTM3U\n#EXTINF:2,\n{clip('secret.ts', codec='mpeg4')}\n#EXT-X-ENDLIST\n"
    facts = probe_file(write(tmp_path / "x.mp4", listed))
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
    refusal: Refusal,
    clip: Make,
    monkeypatch: pytest.MonkeyPatch,
    bound: str,
    value: float,
    words: str,
) -> None:
    path = clip(sound=0.5)
    monkeypatch.setattr(streams, bound, value)
    assert words in await refusal(path)


async def test_a_video_of_huge_frames_is_refused(
    refusal: Refusal, clip: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "MAX_PIXELS", 1000)
    assert (
        await refusal(clip())
        == "The video has 64x48 = 3,072 pixels; at most 1,000 pixels are read."
    )
