"""What was said in a recording: stretches of speech with their times, words and speakers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Word:
    """One word, from `start` to `end` in seconds."""

    start: float
    end: float
    text: str


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of speech from `start` to `end` in seconds. `speaker` is empty where speakers are
    not told apart; `words` where words have no times."""

    start: float
    end: float
    text: str
    speaker: str = ""
    words: tuple[Word, ...] = ()

    def later(self, seconds: float) -> Segment:
        """Return this stretch of a part of a recording that begins `seconds` after its start."""
        words = tuple(replace(w, start=w.start + seconds, end=w.end + seconds) for w in self.words)
        return replace(self, start=self.start + seconds, end=self.end + seconds, words=words)


@dataclass(frozen=True, slots=True)
class Transcript:
    """Stretches in order; `language` is empty where it is not known; `duration` in seconds."""

    segments: tuple[Segment, ...]
    duration: float
    language: str = ""

    @property
    def text(self) -> str:
        return " ".join(segment.text for segment in self.segments if segment.text)

    @property
    def speakers(self) -> tuple[str, ...]:
        """Who speaks, in the order in which they begin."""
        return tuple(dict.fromkeys(s.speaker for s in self.segments if s.speaker))

    def as_json(self, *, times: bool = True) -> dict[str, Any]:
        """Return the transcript as a file holds it; times in seconds, to the millisecond."""
        told: dict[str, Any] = {"text": self.text, "duration": _seconds(self.duration)}
        if self.language:
            told["language"] = self.language
        if self.speakers:
            told["speakers"] = list(self.speakers)
        if times or self.speakers:
            told["segments"] = [_segment(segment) for segment in self.segments]
        words = [_timed(word) for segment in self.segments for word in segment.words]
        return told | ({"words": words} if words and times else {})


def joined(parts: Iterable[tuple[float, Sequence[Segment]]]) -> tuple[Segment, ...]:
    """Join what was heard in the parts of a recording, each with the second at which it begins."""
    return tuple(s.later(start) for start, segments in parts for s in segments if s.text)


def _segment(segment: Segment) -> dict[str, Any]:
    speaker = {"speaker": segment.speaker} if segment.speaker else {}
    return _timed(segment) | speaker


def _timed(one: Segment | Word) -> dict[str, Any]:
    return {"start": _seconds(one.start), "end": _seconds(one.end), "text": one.text}


def _seconds(value: float) -> float:
    return round(value, 3)
