"""Sound through FFmpeg's own filters: tempo, speed, loudness."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import av

from media_mcp.worker.pipelines.tools.tracks_io import LAYOUTS, Blocks, audio_frame


def through(
    blocks: Iterable[Any], rate: int, channels: int, steps: list[tuple[str, str]]
) -> Iterator[Any]:
    """Yield what comes out, as frames, of a chain of filters, each a name and its arguments."""
    graph = av.filter.Graph()
    source = graph.add_abuffer(sample_rate=rate, format="fltp", layout=LAYOUTS[channels])
    nodes = [source, *(graph.add(name, options) for name, options in steps)]
    nodes.append(graph.add("abuffersink"))
    graph.link_nodes(*nodes)
    graph.configure()
    at = 0
    for block in blocks:
        if block.shape[1]:
            graph.push(audio_frame(block, rate, at))
            at += block.shape[1]
            yield from _out(graph)
    if at:
        graph.push(None)
        yield from _out(graph)


def _out(graph: Any) -> Iterator[Any]:
    while True:
        try:
            yield graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return


def tempo(blocks: Iterable[Any], rate: int, speed: float, channels: int = 2) -> Blocks:
    """Play sound faster or slower at the same pitch; one filter does half to twice well."""
    steps, left = [], speed
    while left > 2 or left < 0.5:
        step = 2.0 if left > 2 else 0.5
        steps.append(("atempo", f"{step}"))
        left /= step
    steps.append(("atempo", f"{left:.6f}"))
    return (frame.to_ndarray() for frame in _as_floats(blocks, rate, channels, steps))


def varispeed(blocks: Iterable[Any], rate: int, speed: float, channels: int = 2) -> Blocks:
    """Play sound faster and higher, or slower and lower, as a tape does."""
    steps = [("asetrate", str(round(rate * speed))), ("aresample", str(rate))]
    return (frame.to_ndarray() for frame in _as_floats(blocks, rate, channels, steps))


def _as_floats(
    blocks: Iterable[Any], rate: int, channels: int, steps: list[tuple[str, str]]
) -> Iterator[Any]:
    last = ("aformat", f"sample_fmts=fltp:channel_layouts={LAYOUTS[channels]}")
    return through(blocks, rate, channels, [*steps, last])


@dataclass(frozen=True, slots=True)
class Loudness:
    """Loudness over the whole (LUFS, by EBU R 128) and the true peak (dBTP)."""

    lufs: float
    peak: float


def loudness(blocks: Iterable[Any], rate: int, channels: int) -> Loudness:
    """Measure sound. Silence is -70 LUFS, the lowest that the measure knows."""
    import math

    last: dict[str, str] = {}
    for frame in through(blocks, rate, channels, [("ebur128", "metadata=1:peak=true")]):
        last = frame.metadata or last
    peak = float(last.get("lavfi.r128.true_peak", 0) or 0)
    lufs = float(last.get("lavfi.r128.I", -70))
    return Loudness(max(-70.0, lufs), 20 * math.log10(peak) if peak > 0 else -120.0)
