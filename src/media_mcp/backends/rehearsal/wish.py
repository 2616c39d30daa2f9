"""What a stand-in has to show: a plain reading of the arguments, the same for every kind."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from media_mcp.backends.base import Run
from media_mcp.backends.rehearsal.failures import BLACK, BLANK, SILENT
from media_mcp.backends.rehearsal.sizes import asked_size, whole
from media_mcp.job import JSON, MediaKind

WORDS = ("prompt", "text", "input", "gen_text", "script", "lyrics", "tags", "description")
COUNTS = ("num_images", "n", "num_samples", "num_outputs", "batch_size")
RATES = ("fps", "frames_per_second", "frame_rate", "export_fps")
FRAMES = ("num_frames", "number_of_frames", "frames")
LENGTHS = (
    "duration",
    "seconds",
    "duration_seconds",
    "audio_duration_seconds",
    "seconds_total",
    "length",
    "audio_length",
    "audio_end_in_s",
)
LENGTHS_IN_MS = ("duration_ms", "music_length_ms", "length_ms")
SOUND = ("generate_audio", "with_audio", "enable_audio", "generate_audio_switch", "audio")
SOUNDING_TASKS = frozenset({"video-to-audio", "audio-to-video", "lipsync"})
LONGEST, LONGEST_CLIP = 600.0, 120.0
CHARACTERS_A_SECOND = 15
_SECONDS = re.compile(r"^\s*(\d{1,4}(?:\.\d{1,3})?)\s*(?:s|sec|seconds)?\s*$")


@dataclass(frozen=True, slots=True)
class Wish:
    """One rehearsed result. Sizes in pixels, `seconds` of playing time, `rate` in frames a second.

    `dice` is a digest of model, arguments and seed: every choice a maker takes comes from it.
    """

    title: str
    words: str
    seed: int
    size: tuple[int, int]
    clip_size: tuple[int, int]
    count: int
    seconds: float
    rate: int
    frames: int
    sound: bool
    wanted_format: str
    dice: bytes
    failure: str = ""

    @property
    def blank(self) -> bool:
        """Whether nothing is to be in any output."""
        return self.failure == BLANK

    @property
    def black(self) -> bool:
        return self.failure in (BLANK, BLACK)

    @property
    def silent(self) -> bool:
        return self.failure in (BLANK, SILENT)


def read_wish(run: Run, *, failure: str = "") -> Wish:
    """Read the arguments of `run`; what they do not say is chosen as the common models do."""
    arguments, inputs = run.arguments, tuple(run.inputs.values())
    words = _words(arguments)
    rate = min(60, _first(arguments, RATES) or 24)
    seconds = _seconds(run, words, rate)
    return Wish(
        title=run.model.title,
        words=words,
        seed=run.seed,
        size=asked_size(arguments, inputs),
        clip_size=asked_size(arguments, inputs, video=True),
        count=min(16, _first(arguments, COUNTS) or 1),
        seconds=seconds,
        rate=rate,
        frames=_frames(arguments, seconds, rate),
        sound=_sounding(run),
        wanted_format=_format(arguments),
        dice=_dice(run),
        failure=failure,
    )


def _words(arguments: Mapping[str, JSON]) -> str:
    for name in WORDS:
        value = arguments.get(name)
        if isinstance(value, str) and value.strip():
            return " ".join(value.split())
    return ""


def _first(arguments: Mapping[str, JSON], names: Iterable[str]) -> int | None:
    return next((n for n in (whole(arguments.get(name)) for name in names) if n), None)


def _seconds(run: Run, words: str, rate: int) -> float:
    """Return the playing time: as asked, else as long as the input, else as long as the text."""
    frames = _first(run.arguments, FRAMES)
    seconds = (
        _asked_seconds(run.arguments)
        or (frames / rate if frames else None)
        or next((a.duration for a in run.inputs.values() if a.duration), None)
        or _usual_seconds(run, words)
    )
    return max(0.1, min(LONGEST, seconds))


def _frames(arguments: Mapping[str, JSON], seconds: float, rate: int) -> int:
    asked = _first(arguments, FRAMES) or round(min(seconds, LONGEST_CLIP) * rate)
    return max(1, min(asked, round(LONGEST_CLIP * rate)))


def _usual_seconds(run: Run, words: str) -> float:
    if any(output.kind is MediaKind.VIDEO for output in run.model.outputs):
        return 4.0
    if run.model.task == "text-to-speech":
        return max(1.0, len(words) / CHARACTERS_A_SECOND)
    return 5.0


def _asked_seconds(arguments: Mapping[str, JSON]) -> float | None:
    for name in (*LENGTHS, *LENGTHS_IN_MS):
        value = arguments.get(name)
        match = _SECONDS.match(value) if isinstance(value, str) else None
        number = float(match[1]) if match else value
        if isinstance(number, int | float) and not isinstance(number, bool) and number > 0:
            return number / 1000 if name in LENGTHS_IN_MS else float(number)
    return None


def _sounding(run: Run) -> bool:
    if run.model.task in SOUNDING_TASKS or any(
        asset.kind is MediaKind.AUDIO for asset in run.inputs.values()
    ):
        return True
    return any(run.arguments.get(name) is True for name in SOUND)


def _format(arguments: Mapping[str, JSON]) -> str:
    for name in ("output_format", "response_format", "format", "image_format"):
        value = arguments.get(name)
        if isinstance(value, str):
            return value.lower()
    return ""


def _dice(run: Run) -> bytes:
    told = json.dumps([run.model.id, dict(run.arguments), run.seed], sort_keys=True, default=str)
    return sha256(told.encode()).digest()
