"""Plays stand-in sound: a melody whose notes come from the arguments, as 16-bit mono WAV."""

from __future__ import annotations

import wave
from array import array
from functools import lru_cache
from math import pi, sin
from pathlib import Path

from media_mcp.backends.rehearsal.wish import Wish
from media_mcp.catalog.model import OutputSpec
from media_mcp.job import Output

RATE = 24_000
NOTE_SECONDS = 0.25
SCALE = (220.0, 247.5, 275.0, 330.0, 366.7, 440.0, 495.0, 550.0)
_LOUD = 9_000
_FADE = 240


def make_sound(wish: Wish, output: OutputSpec, folder: Path) -> list[Output]:
    """Write one WAV of `wish.seconds`; a blank wish is silent."""
    path = folder / f"{output.role}.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples(wish, wish.seconds))
    return [Output(path, output.role, "audio/wav")]


def samples(wish: Wish, seconds: float) -> bytes:
    """Return `seconds` of little-endian 16-bit mono samples at 24 kHz."""
    size = 2 * round(seconds * RATE)
    if wish.silent:
        return bytes(size)
    notes = [_note(SCALE[die % len(SCALE)]) for die in wish.dice]
    tune = b"".join(notes)
    return (tune * (size // len(tune) + 1))[:size]


@lru_cache(maxsize=len(SCALE))
def _note(hertz: float) -> bytes:
    count = round(NOTE_SECONDS * RATE)
    step = 2 * pi * hertz / RATE
    wave_form = array("h", (round(_LOUD * _fade(i, count) * sin(step * i)) for i in range(count)))
    return wave_form.tobytes()


def _fade(index: int, count: int) -> float:
    return min(1.0, index / _FADE, (count - index) / _FADE)
