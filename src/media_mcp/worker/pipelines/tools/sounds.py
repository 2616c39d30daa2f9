"""What is done to sound alone: cut, joined, mixed, faded, evened out, converted."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy

from media_mcp.errors import BadInput
from media_mcp.worker.pipelines.tools.cuts import span
from media_mcp.worker.pipelines.tools.faults import check_length, wrong
from media_mcp.worker.pipelines.tools.filters import loudness
from media_mcp.worker.pipelines.tools.soundfiles import finish_sound
from media_mcp.worker.pipelines.tools.tracks import decibels
from media_mcp.worker.pipelines.tools.tracks_io import (
    Blocks,
    Track,
    faded,
    filled,
    louder,
    mixed,
    open_track,
    read,
    regular,
    repeated,
    silence,
    softened,
)
from media_mcp.worker.work import Product, Work

LOWEST = -70.0  # LUFS: what R 128 calls silence


def finish_like(work: Work, track: Track, blocks: Blocks, seconds: float, **facts: Any) -> Product:
    """Write sound in the format that the one it was made of had, unless told otherwise."""
    usual = {".opus": "opus", ".aac": "m4a"}.get(track.path.suffix.lower())
    usual = usual or track.path.suffix.lower().lstrip(".")
    known = usual if usual in ("wav", "flac", "ogg", "mp3", "opus", "m4a") else "wav"
    return finish_sound(work, blocks, track.rate, track.channels, seconds, usual=known, **facts)


def trim_audio(
    work: Work,
    audio_url: Path,
    start: float = 0,
    end: float | None = None,
    seconds: float | None = None,
    fade: float = 0,
) -> Product:
    """Cut a piece out of a sound, exact to the sample."""
    track = open_track(audio_url)
    begin, stop = span(track.seconds, start, end, seconds, "sound")
    piece = read(track, start=begin, end=stop)
    if fade:
        piece = faded(piece, track.rate, stop - begin, fade, fade)
    return finish_like(work, track, piece, stop - begin)


def concat_audio(
    work: Work, audio_urls: Sequence[Path], gap: float = 0, crossfade: float = 0
) -> Product:
    """Play sounds one after another, with silence between or fading over; rate is the first's."""
    tracks = [open_track(path) for path in audio_urls]
    if gap and crossfade:
        raise wrong("gap", "it is given along with crossfade.", "Give one of them.")
    shortest = min(track.seconds for track in tracks)
    if crossfade and 2 * crossfade > shortest:
        words = f"{crossfade:g} s is more than half of the shortest sound, {shortest:.2f} s."
        raise wrong("crossfade", words, "Fade faster.")
    first = tracks[0]
    joints = len(tracks) - 1
    total = sum(track.seconds for track in tracks) + joints * (gap - crossfade)
    check_length(total)
    joined = _over(tracks, crossfade) if crossfade else _after(tracks, gap)
    return finish_like(work, first, joined, total)


def _after(tracks: Sequence[Track], gap: float) -> Blocks:
    rate, channels = tracks[0].rate, tracks[0].channels
    for number, track in enumerate(tracks):
        yield from silence(round(gap * rate) if number else 0, channels)
        yield from read(track, rate=rate, channels=channels)


def _over(tracks: Sequence[Track], crossfade: float) -> Blocks:
    """Yield sounds, the end of each mixed with the start of the next at equal power."""
    rate, channels = tracks[0].rate, tracks[0].channels
    joint = round(crossfade * rate)
    swell = numpy.sin(numpy.linspace(0, numpy.pi / 2, joint, dtype=numpy.float32))
    tail: Any = None
    for track in tracks:
        blocks = read(track, rate=rate, channels=channels)
        if tail is not None:
            blocks = regular(blocks, joint)
            head = next(blocks)
            yield softened(head * swell + tail * swell[::-1])
        tail = yield from _but_last(blocks, joint)
    yield tail


def _but_last(blocks: Blocks, samples: int) -> Generator[Any, None, Any]:
    """Yield all but the last samples, and return those."""
    held: Any = None
    for block in blocks:
        held = block if held is None else numpy.concatenate([held, block], axis=1)
        if held.shape[1] > samples:
            yield held[:, :-samples]
            held = held[:, -samples:]
    return held


def mix_audio(
    work: Work,
    audio_urls: Sequence[Path],
    volumes: Sequence[float] = (),
    offsets: Sequence[float] = (),
    length: str = "longest",
) -> Product:
    """Play sounds at the same time, each with its volume (decibels) and its start (seconds)."""
    tracks = [open_track(path) for path in audio_urls]
    gains = _each("volumes", volumes, len(tracks))
    starts = _each("offsets", offsets, len(tracks))
    rate = max(track.rate for track in tracks)
    channels = max(track.channels for track in tracks)
    ends = [start + track.seconds for start, track in zip(starts, tracks, strict=True)]
    total = {"longest": max(ends), "shortest": min(ends), "first": ends[0]}[length]
    check_length(total)
    sources = [
        _started(track, rate, channels, start, gain)
        for track, start, gain in zip(tracks, starts, gains, strict=True)
    ]
    blocks = filled(mixed(sources, channels), round(total * rate), channels)
    return finish_sound(work, blocks, rate, channels, total)


def _each(field: str, given: Sequence[float], count: int) -> list[float]:
    if given and len(given) != count:
        raise wrong(field, f"there are {len(given)} for {count} sounds.", "Give one for each.")
    return [float(one) for one in given] or [0.0] * count


def _started(track: Track, rate: int, channels: int, start: float, gain: float) -> Blocks:
    yield from silence(round(start * rate), channels)
    yield from louder(read(track, rate=rate, channels=channels), decibels(gain))


def fade_audio(
    work: Work,
    audio_url: Path,
    fade_in: float = 0,
    fade_out: float = 0,
    volume: float = 0,
    seconds: float | None = None,
) -> Product:
    """Let sound swell and die away, louder or softer (decibels); loop or cut it to a length."""
    track = open_track(audio_url)
    long = seconds if seconds is not None else track.seconds
    check_length(long)
    if fade_in + fade_out > long + 1e-6:
        words = f"{fade_in:g} s and {fade_out:g} s are longer than the sound, {long:.2f} s."
        raise wrong("fade_in", words, "Fade faster.")
    again = repeated(lambda: read(track))
    cut = filled(again, round(long * track.rate), track.channels)
    changed = faded(louder(cut, decibels(volume)), track.rate, long, fade_in, fade_out)
    return finish_like(work, track, (softened(block) for block in changed), long)


def convert_audio(
    work: Work, audio_url: Path, rate: int | None = None, channels: str = "same"
) -> Product:
    """Save sound in another format, at another rate (hertz), in mono or stereo."""
    track = open_track(audio_url)
    hertz = rate or track.rate
    count = {"mono": 1, "stereo": 2}.get(channels, track.channels)
    blocks = read(track, rate=hertz, channels=count)
    return finish_sound(work, blocks, hertz, count, track.seconds)


def normalize_loudness(
    work: Work, audio_url: Path, loudness_target: float = -16, peak: float = -1
) -> Product:
    """Bring sound to one loudness (LUFS, by EBU R 128), no higher than a true peak (dBTP).

    It is one gain for the whole: what is soft stays soft beside what is loud.
    """
    track = open_track(audio_url)
    before = loudness(_checked(work, read(track)), track.rate, track.channels)
    if before.lufs <= LOWEST:
        raise BadInput("audio_url: it is silent, or shorter than loudness can be told of.", "")
    gain = min(loudness_target - before.lufs, peak - before.peak)
    facts: dict[str, Any] = {
        "loudness_before": round(before.lufs, 1),
        "loudness": round(before.lufs + gain, 1),
        "gain_db": round(gain, 1),
    }
    if gain < loudness_target - before.lufs - 0.05:
        facts["limited_by"] = "peak"
    return finish_like(work, track, louder(read(track), decibels(gain)), track.seconds, **facts)


def _checked(work: Work, blocks: Blocks) -> Blocks:
    for block in blocks:
        work.check()
        yield block


def remove_silence(
    work: Work,
    audio_url: Path,
    threshold: float = -40,
    shortest: float = 0.5,
    keep: float = 0.15,
    where: str = "everywhere",
) -> Product:
    """Cut silence out: softer than `threshold` (dB below the loudest) for `shortest` seconds.

    `keep` seconds stay at each side. Raises `BadInput` where nothing but silence is there.
    """
    track = open_track(audio_url)
    spans = loud_spans(work, track, threshold, shortest, keep)
    if not spans:
        raise BadInput("audio_url: it is silent throughout.", "Lower the threshold.")
    if where == "ends":
        spans = [(spans[0][0], spans[-1][1])]
    left = sum(end - start for start, end in spans)
    blocks = _pieces(read(track), track.rate, spans)
    removed = round(track.seconds - left, 3)
    return finish_like(work, track, blocks, left, removed_seconds=max(0.0, removed))


def loud_spans(
    work: Work, track: Track, threshold: float, shortest: float, keep: float
) -> list[tuple[float, float]]:
    """Return start and end (seconds) of what is heard, in windows of 20 milliseconds."""
    window = max(1, round(0.02 * track.rate))
    levels = []
    for block in regular(_checked(work, read(track, channels=1)), window):
        levels.append(float(numpy.sqrt(numpy.mean(block**2))))
    loudest = max(levels, default=0.0)
    heard = [level > loudest * decibels(threshold) and level > 1e-5 for level in levels]
    step = window / track.rate
    spans: list[tuple[float, float]] = []
    for number, is_heard in enumerate(heard):
        if not is_heard:
            continue
        start, end = number * step - keep, (number + 1) * step + keep
        if spans and start - spans[-1][1] < shortest - 2 * keep:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return [(max(0.0, start), min(track.seconds, end)) for start, end in spans]


def _pieces(blocks: Blocks, rate: int, spans: Sequence[tuple[float, float]]) -> Iterator[Any]:
    """Yield what lies within the spans."""
    edges = [(round(start * rate), round(end * rate)) for start, end in spans]
    at = 0
    for block in blocks:
        stop = at + block.shape[1]
        for start, end in edges:
            if end > at and start < stop:
                piece = block[:, max(0, start - at) : end - at]
                yield piece
        at = stop
