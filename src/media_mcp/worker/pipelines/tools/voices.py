"""Another voice for the same words: pitch and formants by the WORLD vocoder."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy

from media_mcp.errors import BadInput
from media_mcp.worker.pipelines.tools.faults import wrong
from media_mcp.worker.pipelines.tools.soundfiles import finish_sound
from media_mcp.worker.pipelines.tools.tracks_io import Blocks, open_track, read, regular
from media_mcp.worker.work import Product, Work

RATE = 24_000  # enough for a voice; the vocoder's work grows with it
CHUNK = 8.0  # seconds that are changed at once
OVERLAP = 0.25  # seconds in which one chunk fades into the next
MAX_VOICE = 1800.0  # seconds
# preset: semitones, formant (1 leaves it), manner
PRESETS: Mapping[str, tuple[float, float, str]] = {
    "none": (0, 1.0, ""),
    "deeper": (-4, 0.9, ""),
    "higher": (4, 1.12, ""),
    "child": (8, 1.3, ""),
    "giant": (-7, 0.75, ""),
    "robot": (0, 1.0, "robot"),
    "whisper": (0, 1.0, "whisper"),
}


def change_voice(
    work: Work,
    audio_url: Path,
    preset: str = "none",
    semitones: float = 0,
    formant: float = 1,
) -> Product:
    """Change the voice in a recording: a preset, and pitch and formants on top of it."""
    track = open_track(audio_url)
    if track.seconds > MAX_VOICE:
        words = f"it lasts {track.seconds:,.0f} s; at most {MAX_VOICE:,.0f} are changed."
        raise wrong("audio_url", words, "Cut it with trim_audio.")
    pitch, stretch, manner = PRESETS[preset]
    blocks = changed(
        work,
        read(track, rate=RATE, channels=1),
        2 ** ((pitch + semitones) / 12),
        stretch * formant,
        manner,
    )
    return finish_sound(work, blocks, RATE, 1, track.seconds)


def changed(work: Work, blocks: Blocks, pitch: float, formant: float, manner: str) -> Blocks:
    """Yield a voice changed, in chunks that fade into one another so that no joint is heard."""
    step, joint = round(CHUNK * RATE), round(OVERLAP * RATE)
    swell = numpy.linspace(0, 1, joint, dtype=numpy.float32)
    before: Any = numpy.zeros(0, numpy.float32)  # the last `joint` samples as they were recorded
    tail: Any = numpy.zeros(0, numpy.float32)  # and as they came out, not yet yielded
    for block in regular(blocks, step):
        work.check()
        voice = numpy.concatenate([before, block[0]])
        made = _changed(voice, pitch, formant, manner)
        if len(tail):
            made[: len(tail)] = made[: len(tail)] * swell + tail * swell[::-1]
        before = voice[-joint:] if len(voice) > joint else numpy.zeros(0, numpy.float32)
        tail = made[len(made) - len(before) :]
        yield made[None, : len(made) - len(before)]
    if len(tail):
        yield tail[None]


def _changed(voice: Any, pitch: float, formant: float, manner: str) -> Any:
    pyworld = vocoder()
    samples = voice.astype(numpy.float64)
    if not numpy.isfinite(samples).all():
        raise BadInput("audio_url: it holds numbers that are none.", "Export it again.")
    coarse, moments = pyworld.dio(samples, RATE)
    tone = pyworld.stonemask(samples, coarse, moments, RATE)
    envelope = pyworld.cheaptrick(samples, tone, moments, RATE)
    breath = pyworld.d4c(samples, tone, moments, RATE)
    tone = tone * pitch
    if manner == "robot":
        tone = numpy.where(tone > 0, 110.0 * pitch, 0.0)
    if manner == "whisper":
        tone, breath = numpy.zeros_like(tone), numpy.ones_like(breath)
    if formant != 1:
        envelope = _shifted(envelope, formant)
    made = pyworld.synthesize(tone, envelope, breath, RATE)
    whole: Any = numpy.zeros(len(voice), numpy.float32)
    count = min(len(made), len(voice))
    whole[:count] = made[:count]
    return whole.clip(-1, 1)


def vocoder() -> Any:
    """Return pyworld.

    As of 0.3.5 it asks `pkg_resources` for its own version, which newer setuptools have dropped: a
    stand-in answers while it is imported.
    """
    if "pyworld" in sys.modules or find_spec("pkg_resources"):
        return import_module("pyworld")
    answer = ModuleType("pkg_resources")
    answer.get_distribution = lambda name: SimpleNamespace(version=version(name))  # type: ignore[attr-defined]
    sys.modules["pkg_resources"] = answer
    try:
        return import_module("pyworld")
    finally:
        del sys.modules["pkg_resources"]


def _shifted(envelope: Any, formant: float) -> Any:
    """Move the resonances of the throat: above 1 a smaller one, below 1 a larger one."""
    bins = numpy.arange(envelope.shape[1])
    moved = numpy.empty_like(envelope)
    for number, frame in enumerate(envelope):
        moved[number] = numpy.interp(bins / formant, bins, frame)
    return moved
