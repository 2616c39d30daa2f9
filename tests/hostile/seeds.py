"""One small, sound file of every type that is read, and ways to spoil it."""

from __future__ import annotations

import io
import json
import math
import random
import struct
import wave
import zipfile
from array import array
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from PIL import Image

SOUNDS = {
    "wav": "pcm_s16le",
    "mp3": "libmp3lame",
    "flac": "flac",
    "ogg": "flac",
    "opus": "libopus",
    "m4a": "aac",
    "aac": "aac",
}
FILMS = {
    "mp4": "libx264",
    "mov": "mpeg4",
    "webm": "libvpx",
    "mkv": "libx264",
    "avi": "mpeg4",
    "ogv": "libvpx",
}
PICTURES = ("png", "jpg", "gif", "webp", "bmp", "tiff", "avif")
TEXTS = {
    "svg": b'<?xml version="1.0"?><svg xmlns="x" width="9" height="9"><path d="M0 0h9"/></svg>',
    "vtt": b"WEBVTT\n\n00:00.000 --> 00:01.000\nhello\n",
    "srt": b"1\n00:00:00,000 --> 00:00:01,000\nhello\n",
    "json": b'{"a": [1, 2, {"b": "c"}]}',
    "gltf": b'{"asset": {"version": "2.0"}, "scenes": [], "meshes": [{}]}',
    "txt": b"plain words\n" * 40,
}
NAMES = (*PICTURES, *SOUNDS, *FILMS, *TEXTS, "glb", "zip", "apng")


def seed(name: str, folder: Path) -> bytes:
    """Return a sound file of the type `name`."""
    if name in TEXTS:
        return TEXTS[name]
    if name in PICTURES or name == "apng":
        return _picture(name)
    if name == "glb":
        return _glb()
    if name == "zip":
        return _zip()
    path = folder / f"seed.{name}"
    _record(path, SOUNDS.get(name), FILMS.get(name))
    return path.read_bytes()


def _picture(name: str) -> bytes:
    image = Image.linear_gradient("L").resize((48, 32)).convert("RGB")
    data = io.BytesIO()
    if name == "apng":
        more = [image.rotate(30), image.rotate(60)]
        image.save(data, "PNG", save_all=True, append_images=more, duration=100)
    else:
        image.save(data, {"jpg": "JPEG", "tiff": "TIFF"}.get(name, name.upper()))
    return data.getvalue()


def _glb() -> bytes:
    scene = json.dumps({"asset": {"version": "2.0"}, "meshes": [{}]}).encode().ljust(48)
    chunk = struct.pack("<II", len(scene), 0x4E4F534A) + scene
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunk)) + chunk


def _zip() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", "words " * 100)
    return data.getvalue()


def _record(path: Path, sound: str | None, film: str | None) -> None:
    if path.suffix == ".wav":
        tone = array("h", (int(9000 * math.sin(i / 5)) for i in range(8000)))
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(tone.tobytes())
        return
    with av.open(str(path), "w") as container:
        if film:
            _film(container, film)
        if sound:
            _play(container, sound)


def _film(container: av.container.OutputContainer, codec: str) -> None:
    video = container.add_stream(codec, rate=8)
    video.width, video.height, video.pix_fmt = 48, 32, "yuv420p"
    for i in range(8):
        image = Image.linear_gradient("L").resize((48, 32)).convert("RGB").rotate(20 * i)
        container.mux(video.encode(av.VideoFrame.from_image(image)))
    container.mux(video.encode())


def _play(container: av.container.OutputContainer, codec: str) -> None:
    rate = 48_000 if codec == "libopus" else 44_100
    audio = container.add_stream(codec, rate=rate, layout="mono")
    wanted = audio.codec_context.format.name
    convert = av.AudioResampler(wanted, "mono", rate, frame_size=audio.codec_context.frame_size)
    tone = array("h", (int(9000 * math.sin(i / 12)) for i in range(rate // 2)))
    frame = av.AudioFrame(format="s16", layout="mono", samples=len(tone))
    frame.planes[0].update(tone.tobytes().ljust(frame.planes[0].buffer_size, b"\0"))
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    for piece in (*convert.resample(frame), *convert.resample(None)):
        container.mux(audio.encode(piece))
    container.mux(audio.encode())


def spoilt(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield ways in which a file may be broken or lie, by name; always the same ones."""
    dice = random.Random(name)
    size = len(data)
    for share in (2, 10, 35, 60, 85, 97):
        yield f"cut at {share}%", data[: size * share // 100]
    yield "without its last byte", data[:-1]
    yield "without its first byte", data[1:]
    yield "header alone", data[:16]
    yield "header, then noise", data[:16] + dice.randbytes(4000)
    yield "header, then nothing", data[:16] + bytes(4000)
    yield "middle blanked", data[: size // 3] + bytes(size // 3) + data[2 * (size // 3) :]
    yield "twice", data + data
    yield "with a page behind it", data + b"<html><script>alert(1)</script></html>"
    yield "with an archive behind it", data + _zip()
    for number in range(10):
        hurt = bytearray(data)
        for _ in range(1 + size // 200):
            hurt[dice.randrange(size)] = dice.randrange(256)
        yield f"bytes changed, {number}", bytes(hurt)
    for number in range(6):
        at = dice.randrange(max(1, min(size, 400) - 4))
        huge = dice.choice([b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\x80\0\0\0"])
        yield f"a length that lies, {number}", data[:at] + huge + data[at + 4 :]
