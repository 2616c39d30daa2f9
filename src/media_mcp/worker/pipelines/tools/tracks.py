"""The sound of a video: put under it, in its place, taken away, taken out."""

from __future__ import annotations

from pathlib import Path

from media_mcp.worker.pipelines.tools.clips import frame_count, frames, open_clip
from media_mcp.worker.pipelines.tools.cuts import span
from media_mcp.worker.pipelines.tools.faults import wrong
from media_mcp.worker.pipelines.tools.film import finish_film, with_sound
from media_mcp.worker.pipelines.tools.soundfiles import finish_sound
from media_mcp.worker.pipelines.tools.sounding import sound_of
from media_mcp.worker.pipelines.tools.tracks_io import (
    RATE,
    Blocks,
    Track,
    faded,
    filled,
    louder,
    mixed,
    open_track,
    read,
    repeated,
    silence,
)
from media_mcp.worker.work import Product, Work


def decibels(value: float) -> float:
    """Return the factor that a gain in decibels is."""
    return float(10 ** (value / 20))


def add_audio(
    work: Work,
    video_url: Path,
    audio_url: Path,
    mode: str = "mix",
    volume: float = 0,
    original_volume: float = 0,
    offset: float = 0,
    loop: bool = False,
    fade_in: float = 0,
    fade_out: float = 0,
    extend: bool = False,
) -> Product:
    """Put sound under a video: mixed with its own or in the place of it. Volumes are in decibels.

    Longer sound is cut at the video's end, unless `extend` holds the last frame until it is over.
    """
    clip, track = open_clip(video_url), open_track(audio_url)
    if offset >= clip.seconds and not extend:
        words = f"at {offset:g} s the video of {clip.seconds:.2f} s is over."
        raise wrong("offset", words, "Begin the sound earlier.")
    longer = extend and not loop and offset + track.seconds > clip.seconds
    long = offset + track.seconds if longer else clip.seconds
    count = frame_count(long, clip.fps)
    room = count / float(clip.fps) - offset
    layer = _layer(track, room, loop, fade_in, fade_out, decibels(volume))
    sources = [_later(layer, offset)]
    if mode == "mix" and (own := sound_of(clip)) is not None:
        sources.append(louder(own, decibels(original_volume)))
    shown, sound = frames(clip, work.check), mixed(sources)
    if not longer:
        sound = filled(sound, round(RATE * count / clip.fps))
        return with_sound(work, clip, sound, shown)
    return finish_film(work, shown, size=clip.size, fps=clip.fps, count=count, sound=sound)


def _layer(
    track: Track, room: float, loop: bool, fade_in: float, fade_out: float, gain: float
) -> Blocks:
    """Return added sound as long as there is room for it, with its fades and volume."""

    def once() -> Blocks:
        return read(track, rate=RATE, channels=2)

    seconds = room if loop else min(room, track.seconds)
    cut = filled(repeated(once) if loop else once(), round(seconds * RATE))
    return faded(louder(cut, gain), RATE, seconds, fade_in, fade_out)


def _later(blocks: Blocks, seconds: float) -> Blocks:
    yield from silence(round(seconds * RATE))
    yield from blocks


def remove_audio(work: Work, video_url: Path) -> Product:
    """Take the sound out of a video; the pictures stay as they are."""
    clip = open_clip(video_url)
    return with_sound(work, clip, None, frames(clip, work.check))


def extract_audio(
    work: Work,
    video_url: Path,
    start: float = 0,
    end: float | None = None,
    seconds: float | None = None,
) -> Product:
    """Take the sound of a video, or of a piece of it, as a file of its own."""
    track = open_track(video_url)
    begin, stop = span(track.seconds, start, end, seconds, "sound")
    blocks = read(track, start=begin, end=stop)
    return finish_sound(work, blocks, track.rate, track.channels, stop - begin)
