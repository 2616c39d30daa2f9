"""What every class that hears has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from media_mcp.errors import did_you_mean
from media_mcp.worker.pipelines.transformers.calling import Call, wrong
from media_mcp.worker.pipelines.watching import Steps
from media_mcp.worker.sound import LONGEST, Window
from media_mcp.worker.transcript import Segment

TIMES = ("none", "segment", "word")


class Hearer(ABC):
    """Hears windows of `seconds` at `rate` hertz, at most `most` seconds in all.

    `language` is what was said or recognised, if anything; `finest` how finely the class can give
    times.
    """

    seconds: float = 30.0
    most: float = LONGEST
    finest: str = "segment"

    def __init__(self, call: Call, times: str) -> None:
        if times not in TIMES:
            raise wrong("timestamps", f"{times[:20]!r} is none of {', '.join(TIMES)}")
        if TIMES.index(times) > TIMES.index(self.finest):
            raise wrong(
                "timestamps",
                f"{call.loaded.name} gives no times of words",
                "Use segment, or a model with word times, as Whisper.",
            )
        self.call = call
        self.times = times
        self.language = ""

    @property
    def rate(self) -> int:
        return self.call.loaded.rate

    @abstractmethod
    def tokens(self, seconds: float) -> int:
        """Return how many steps it may take to hear so many seconds at once."""

    @abstractmethod
    def hear(self, window: Window, steps: Steps) -> Sequence[Segment]:
        """Return what is said in a window, in seconds from its beginning."""


class Within(Steps):
    """Counts no passes within one window of many, as seconds are what is told there; a cancellation
    still comes through each."""

    def __init__(self, steps: Steps, start: float) -> None:
        super().__init__(steps.work, 1)
        self._steps = steps
        self._start = start

    def reach(self, done: int) -> None:
        self.work.check()

    def passed(self, seconds: float) -> None:
        """So many seconds of the window were heard."""
        self._steps.reach(int(self._start + seconds))


def whole(window: Window, text: str) -> list[Segment]:
    """Return a window's text as one stretch."""
    return [Segment(0.0, window.seconds, text.strip())] if text.strip() else []


def language_of(given: Any, known: dict[str, str]) -> str:
    """Return the code of a language that is given by its code or its name, as `de` or German.

    `known` maps codes to names. Raises `InvalidArguments`.
    """
    said = str(given).strip().lower().replace("_", "-")
    names = {name.lower(): code for code, name in known.items()}
    code = said if said in known else names.get(said) or said.partition("-")[0]
    if code in known:
        return code
    hint = did_you_mean(said, [*known, *names]) or f"Known: {', '.join(sorted(known))}."
    raise wrong("language", f"{str(given)[:40]!r} is not spoken by this model", hint)
