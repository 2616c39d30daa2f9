"""What tests of the tools share: tiny clips and sounds of known content, and eyes and ears."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from media_mcp.worker import protocol
from media_mcp.worker.device import Device
from media_mcp.worker.pipelines import tools
from media_mcp.worker.residency import Residency
from media_mcp.worker.work import Cancelled, Product, Work

RATE = 48_000
RED, GREEN, BLUE, BLACK, WHITE = (
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
    (0, 0, 0),
    (255, 255, 255),
)
COLOURS = (RED, GREEN, BLUE, WHITE)


def make_clip(
    path: Path,
    colours: Sequence[tuple[int, int, int]] = COLOURS,
    *,
    each: int = 6,
    size: tuple[int, int] = (64, 48),
    fps: int = 12,
    hertz: float | None = 440,
    codec: str = "libx264",
) -> Path:
    """Write a clip that shows each colour for `each` frames, under one tone; black below."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=fps)
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        audio = None
        if hertz:
            audio = container.add_stream("libopus" if path.suffix == ".webm" else "aac", rate=RATE)
            audio.codec_context.layout = "stereo"
        for colour in colours:
            for _ in range(each):
                picture = np.full((size[1], size[0], 3), colour, np.uint8)
                picture[-size[1] // 6 :, size[0] // 3 : 2 * size[0] // 3] = BLACK
                container.mux(video.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(video.encode(None))
        if audio is not None and hertz:
            wave = tone(hertz, len(colours) * each / fps)
            frame = av.AudioFrame.from_ndarray(np.stack([wave, wave]), "fltp", "stereo")
            frame.sample_rate, frame.pts = RATE, 0
            container.mux(audio.encode(frame))
            container.mux(audio.encode(None))
    return path


def tone(hertz: float, seconds: float, rate: int = RATE, loud: float = 0.3) -> Any:
    moments = np.arange(round(seconds * rate)) / rate
    return (loud * np.sin(2 * np.pi * hertz * moments)).astype(np.float32)


def make_tone(
    path: Path, hertz: float = 880, seconds: float = 1.0, rate: int = RATE, loud: float = 0.3
) -> Path:
    return write_wave(path, tone(hertz, seconds, rate, loud), rate)


def write_wave(path: Path, samples: Any, rate: int = RATE) -> Path:
    import soundfile

    soundfile.write(path, samples, rate)
    return path


def make_picture(path: Path, colour: Any = RED, size: tuple[int, int] = (60, 40)) -> Path:
    mode = "RGBA" if len(colour) == 4 else "RGB"
    Image.new(mode, size, colour).save(path)
    return path


@dataclass
class Seen:
    """What a file of video and sound holds, decoded wholly."""

    size: tuple[int, int]
    fps: float
    seconds: float
    frames: list[Any]
    sound: Any

    def colour(self, at: float, x: float = 0.5, y: float = 0.5) -> tuple[int, ...]:
        frame = self.frames[min(len(self.frames) - 1, int(at * self.fps + 1e-6))]
        height, width = frame.shape[:2]
        return tuple(int(v) for v in frame[int(y * (height - 1)), int(x * (width - 1))])


def watch(path: Path) -> Seen:
    """Decode a video with PyAV alone."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        rgb = {"format": "rgb24"}
        frames = [frame.to_ndarray(**rgb) for frame in container.decode(video)]
        size = (video.width, video.height)
        rate = float(video.average_rate or 0)
        loud = bool(container.streams.audio)
    return Seen(size, rate, len(frames) / rate, frames, hear(path) if loud else None)


def hear(path: Path, rate: int = RATE) -> Any:
    """Decode sound with PyAV alone: (channels, samples)."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler("fltp", stream.layout, rate)
        frames = [f for frame in container.decode(stream) for f in resampler.resample(frame)]
        frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray() for frame in frames], axis=1)


def pitch(samples: Any, rate: int = RATE) -> float:
    """Return the strongest frequency in hertz."""
    mono = samples.mean(axis=0) if samples.ndim == 2 else samples
    spectrum = np.abs(np.fft.rfft(mono * np.hanning(len(mono))))
    return float(np.argmax(spectrum) * rate / len(mono))


def level(samples: Any) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.mean(np.square(samples)))) if samples.size else 0.0


def near(seen: Sequence[int], colour: Sequence[int], by: int = 24) -> bool:
    return all(abs(int(a) - int(b)) <= by for a, b in zip(seen, colour, strict=True))


@dataclass
class Used:
    """What a tool made of a call."""

    product: Product
    paths: list[Path]
    steps: list[tuple[int, int]]

    @property
    def path(self) -> Path:
        assert len(self.paths) == 1
        return self.paths[0]


@dataclass
class Bench:
    """Where tools are used directly, without a server."""

    folder: Path
    residency: Residency = field(default_factory=lambda: Residency(10**9, lambda: None))
    stop_after: int | None = None
    _runs: int = 0

    def use(self, tool: str, *, roles: tuple[str, ...] = ("output",), **call: Any) -> Used:
        self._runs += 1
        folder = self.folder / f"run-{self._runs}"
        folder.mkdir()
        steps: list[tuple[int, int]] = []
        inputs: dict[str, str] = {}
        run = protocol.Run(
            job_id="job",
            attempt=1,
            model="tests/tool",
            pipeline="tools",
            spec={"pipeline": "tools", "tool": tool},
            arguments=(sent := _sent(call, inputs)),
            call=sent,
            seed=7,
            folder=str(folder),
            roles=roles,
            inputs=inputs,
        )

        def check() -> None:
            if self.stop_after is not None and len(steps) >= self.stop_after:
                raise Cancelled

        def step(done: int, total: int) -> None:
            steps.append((done, total))
            check()

        work = Work(run, Device("cpu", 2 * 10**9), self.residency, step, check, lambda line: None)
        try:
            product = tools.run(work)
        finally:
            self.last_folder, self.last_steps = folder, steps
        return Used(product, [folder / made.path for made in product.outputs], steps)


def _sent(value: Any, inputs: dict[str, str]) -> Any:
    """Put `media://` URIs in the place of paths, as the server does."""
    if isinstance(value, Path):
        uri = f"media://{len(inputs)}-{value.name}"
        inputs[uri] = str(value)
        return uri
    if isinstance(value, dict):
        return {key: _sent(item, inputs) for key, item in value.items()}
    return [_sent(item, inputs) for item in value] if isinstance(value, list) else value
