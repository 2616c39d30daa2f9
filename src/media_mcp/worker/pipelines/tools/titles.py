"""Subtitles, read: SRT and WebVTT, as they come from people, players and other models."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from media_mcp.worker.pipelines.tools.faults import wrong

MAX_BYTES = 4 * 2**20
MAX_CUES = 20_000
_TIME = r"(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2})[,.](\d{1,3})"
_SPAN = re.compile(rf"^\s*{_TIME}\s*-->\s*{_TIME}")
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,200}>|<\d[\d:.]{0,20}>|\{\\[^{}]{0,200}\}")


@dataclass(frozen=True, slots=True)
class Cue:
    """Words that stand from `start` to `end` (seconds)."""

    start: float
    end: float
    text: str


def read_cues(path: Path | None, text: str | None, shift: float = 0.0) -> list[Cue]:
    """Return the cues of a file or a text, later by `shift` seconds.

    Raises `InvalidArguments` for what holds none, and for both or neither.
    """
    if (path is None) == (not text):
        raise wrong("subtitles", "give either subtitles or subtitles_url.", "SRT or VTT will do.")
    whole = _file(path) if path is not None else text or ""
    field = "subtitles" if path is None else "subtitles_url"
    cues = sorted(_cues(whole), key=lambda cue: cue.start)
    if not cues:
        hint = "Write 1, then 00:00:01,000 --> 00:00:03,500, then the words, then an empty line."
        raise wrong(field, "there is no cue of SRT or VTT in it.", hint)
    if len(cues) > MAX_CUES:
        raise wrong(field, f"it has {len(cues):,} cues; at most {MAX_CUES:,} are read.")
    return [Cue(cue.start + shift, cue.end + shift, cue.text) for cue in cues]


def _file(path: Path) -> str:
    data = path.read_bytes()
    if len(data) > MAX_BYTES:
        raise wrong("subtitles_url", f"it has {len(data):,} bytes; at most {MAX_BYTES:,} are read.")
    return data.decode("utf-8-sig", errors="replace")


def _cues(text: str) -> Iterator[Cue]:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    at = 0
    while at < len(lines):
        found = _SPAN.match(lines[at])
        at += 1
        if not found:
            continue
        words = []
        while at < len(lines) and lines[at].strip() and not _SPAN.match(lines[at]):
            words.append(lines[at])
            at += 1
        start, end = _seconds(found.groups()[:4]), _seconds(found.groups()[4:])
        plain = html.unescape(_TAG.sub("", "\n".join(words))).strip()
        if plain and end > start:
            yield Cue(start, end, plain)


def _seconds(parts: tuple[str | None, ...]) -> float:
    hours, minutes, seconds, rest = (part or "0" for part in parts)
    return 3600 * int(hours) + 60 * int(minutes) + int(seconds) + int(rest.ljust(3, "0")) / 1000
