"""Real media, made on the spot, and a real web server on loopback."""

from __future__ import annotations

import math
import threading
import wave
from array import array
from collections.abc import Awaitable, Callable, Iterator
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image

from media_mcp.errors import BadMedia
from media_mcp.media import MediaStore
from media_mcp.media.decoding.probing import probe_file


@pytest.fixture
def store(tmp_path: Path) -> MediaStore:
    return MediaStore(tmp_path / "store")


@pytest.fixture
def write() -> Callable[[Path, bytes | str], Path]:
    """Write a file and return its path."""

    def make(path: Path, data: bytes | str) -> Path:
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    return make


@pytest.fixture
def refusal() -> Callable[[Path], Awaitable[str]]:
    """Return the words with which a probe refuses a file."""

    async def ask(path: Path) -> str:
        with pytest.raises(BadMedia) as caught:
            probe_file(path)
        assert caught.value.hint
        return caught.value.message

    return ask


@pytest.fixture
def picture(tmp_path: Path) -> Callable[..., Path]:
    """Draw a gradient; every size and format gives other bytes."""

    def make(name: str = "picture.png", size: tuple[int, int] = (64, 48), **save: Any) -> Path:
        path = tmp_path / name
        Image.linear_gradient("L").convert("RGB").resize(size).save(path, **save)
        return path

    return make


@pytest.fixture
def sound(tmp_path: Path) -> Callable[..., Path]:
    """Write a WAV of a 440 Hz tone: 16 bit, 8 kHz, peak `loud` of 32767."""

    def make(
        name: str = "sound.wav", seconds: float = 1.0, loud: float = 0.5, channels: int = 1
    ) -> Path:
        tone = (math.sin(i * 440 * math.tau / 8000) for i in range(int(8000 * seconds)))
        values = (max(-32768, min(32767, int(32767 * loud * v))) for v in tone)
        data = array("h", (v for value in values for v in (value,) * channels))
        with wave.open(str(tmp_path / name), "wb") as file:
            file.setparams((channels, 2, 8000, 0, "NONE", ""))
            file.writeframes(data.tobytes())
        return tmp_path / name

    return make


@pytest.fixture
def clip(tmp_path: Path) -> Callable[..., Path]:
    """Encode frames that grow brighter, 8 a second; `sound` adds a track of that loudness."""

    def make(
        name: str = "clip.mp4",
        frames: int = 16,
        colour: tuple[int, int, int] | None = None,
        sound: float | None = None,
        codec: str = "mpeg4",
        options: dict[str, str] | None = None,
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w", options=options) as container:
            video = container.add_stream(codec, rate=8)
            video.width, video.height = 64, 48
            video.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            audio = None if sound is None else container.add_stream("aac", rate=8000, layout="mono")
            for i in range(frames):
                image = Image.linear_gradient("L").resize((64, 48)).convert("RGB")
                image = (
                    image.rotate(i * 11) if colour is None else Image.new("RGB", (64, 48), colour)
                )
                container.mux(video.encode(av.VideoFrame.from_image(image)))
            container.mux(video.encode())
            if audio is not None:
                for frame in tones(frames / 8, sound or 0.0):
                    container.mux(audio.encode(frame))
                container.mux(audio.encode())
        return path

    return make


def tones(seconds: float, loud: float, rate: int = 8000) -> Iterator[av.AudioFrame]:
    """Yield frames of 1000 samples of a tone."""
    for block in range(int(seconds * rate) // 1000):
        frame = av.AudioFrame(format="s16", layout="mono", samples=1000)
        frame.sample_rate, frame.pts, frame.time_base = rate, block * 1000, Fraction(1, rate)
        tone = (math.sin((block * 1000 + i) / 3) for i in range(1000))
        data = array("h", (int(32767 * loud * v) for v in tone)).tobytes()
        frame.planes[0].update(data.ljust(frame.planes[0].buffer_size, b"\0"))
        yield frame


@pytest.fixture
def encoded(tmp_path: Path) -> Callable[..., Path]:
    """Encode a tone with any codec and container."""

    def make(name: str, codec: str, seconds: float = 2.0, rate: int = 8000) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=rate, layout="mono")
            for frame in tones(seconds, 0.5, rate):
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return make


class Web(ThreadingHTTPServer):
    """Serves `pages`: path to (status, headers, body); keeps what it was asked in `seen`.

    A page whose body is None hangs until the server closes.
    """

    daemon_threads = True

    def __init__(self, host: str = "127.0.0.1") -> None:
        super().__init__((host, 0), Handler)
        self.pages: dict[str, tuple[int, dict[str, str], bytes | None]] = {}
        self.seen: list[tuple[str, str]] = []
        self.closing = threading.Event()

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    server: Web

    def do_GET(self) -> None:
        self.server.seen.append((self.headers["Host"], self.path))
        status, headers, body = self.server.pages[self.path.partition("?")[0]]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if body is None:
            self.server.closing.wait(60)
        else:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def web() -> Iterator[Callable[..., Web]]:
    """Start servers on loopback; each call starts one more."""
    servers: list[Web] = []

    def start(host: str = "127.0.0.1") -> Web:
        server = Web(host)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.closing.set()
        server.shutdown()
        server.server_close()
