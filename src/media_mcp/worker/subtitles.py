"""Writes a transcript as SubRip (SRT) or WebVTT subtitles.

WebVTT is as of https://www.w3.org/TR/webvtt1/; SubRip, which has no standard, as players read it.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from media_mcp.worker.transcript import Segment, Word

LINE = 42  # characters: what broadcasters hold to be read at a glance
LINES = 2
SHORTEST = 0.2  # seconds; a cue that ends when it begins is shown by no player
_BLANK = re.compile(r"[\s\x00-\x1f\x7f]+")
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


@dataclass(frozen=True, slots=True)
class Cue:
    """What is shown from `start` to `end` (seconds), in up to two lines."""

    start: float
    end: float
    lines: tuple[str, ...]
    speaker: str = ""


def cues(segments: Iterable[Segment], *, line: int = LINE, lines: int = LINES) -> Iterator[Cue]:
    """Cut segments into cues that fit on a screen; of a cut one each cue gets its share of time.

    The times of words are used where there are any, else shares by length.
    """
    last = 0.0
    for segment in segments:
        rows = textwrap.wrap(_plain(segment.text), line)
        blocks = [tuple(rows[at : at + lines]) for at in range(0, len(rows), lines)]
        for block, (start, end) in zip(blocks, _spans(segment, blocks), strict=True):
            start = max(start, last)
            cue = Cue(start, max(end, start + SHORTEST), block, _plain(segment.speaker))
            yield cue
            last = start


def srt(made: Iterable[Cue]) -> str:
    """Return cues as SubRip. `-->` inside a text would end it, and is written with an arrow."""
    return "".join(
        f"{number}\n{_time(cue.start, ',')} --> {_time(cue.end, ',')}\n{_srt_text(cue)}\n\n"
        for number, cue in enumerate(made, 1)
    )


def vtt(made: Iterable[Cue]) -> str:
    """Return cues as WebVTT; speakers are its voice spans."""
    return "WEBVTT\n\n" + "".join(
        f"{_time(cue.start, '.')} --> {_time(cue.end, '.')}\n{_vtt_text(cue)}\n\n" for cue in made
    )


FORMS: Mapping[str, str] = {"srt": "application/x-subrip", "vtt": "text/vtt"}


def write(form: str, segments: Iterable[Segment]) -> str:
    """Return segments as subtitles of the form `srt` or `vtt`."""
    return (srt if form == "srt" else vtt)(cues(segments))


def _srt_text(cue: Cue) -> str:
    speaker = f"{cue.speaker}: " if cue.speaker else ""
    return (speaker + "\n".join(cue.lines)).replace("-->", "→")


def _vtt_text(cue: Cue) -> str:
    text = "\n".join(_escaped(row) for row in cue.lines)
    return f"<v {_escaped(cue.speaker)}>{text}" if cue.speaker else text


def _escaped(text: str) -> str:
    return "".join(_HTML.get(sign, sign) for sign in text)


def _plain(text: str) -> str:
    """Return text on one line: an empty line would end a cue."""
    return _BLANK.sub(" ", text).strip()


def _time(seconds: float, point: str) -> str:
    """Write a moment as `HH:MM:SS,mmm`."""
    left, milliseconds = divmod(round(max(0.0, seconds) * 1000), 1000)
    minutes, seconds = divmod(left, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{int(seconds):02d}{point}{milliseconds:03d}"


def _spans(segment: Segment, blocks: Sequence[tuple[str, ...]]) -> list[tuple[float, float]]:
    """Return from when to when each block of a segment is shown."""
    words = [len(" ".join(block).split()) for block in blocks]
    if segment.words and sum(words) == len(segment.words):
        return list(_by_words(segment.words, words))
    lengths = [sum(map(len, block)) for block in blocks]
    return list(_by_length(segment.start, segment.end, lengths))


def _by_words(words: Sequence[Word], counts: Sequence[int]) -> Iterator[tuple[float, float]]:
    at = 0
    for count in counts:
        yield words[at].start, words[at + count - 1].end
        at += count


def _by_length(start: float, end: float, lengths: Sequence[int]) -> Iterator[tuple[float, float]]:
    total, at = sum(lengths), 0
    for length in lengths:
        first, at = at, at + length
        yield start + (end - start) * first / total, start + (end - start) * at / total
