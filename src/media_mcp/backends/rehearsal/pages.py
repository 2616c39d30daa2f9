"""Writes stand-ins that are text: transcripts, subtitles, SVG drawings, JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path

from media_mcp.backends.rehearsal.picture import colours
from media_mcp.backends.rehearsal.wish import Wish
from media_mcp.catalog.model import OutputSpec
from media_mcp.job import JSON, Output

SENTENCE = "this is a rehearsal and every word of it stands in for one that a model would say"
WORDS = SENTENCE.split()
WORDS_A_CHUNK = 6
ENDINGS: Mapping[str, tuple[str, str]] = {
    "srt": ("srt", "application/x-subrip"),
    "application/x-subrip": ("srt", "application/x-subrip"),
    "vtt": ("vtt", "text/vtt"),
    "text/vtt": ("vtt", "text/vtt"),
    "json": ("json", "application/json"),
    "verbose_json": ("json", "application/json"),
    "application/json": ("json", "application/json"),
}
Chunk = tuple[float, float, str]


def make_text(wish: Wish, output: OutputSpec, folder: Path) -> list[Output]:
    """Write a transcript as JSON, SRT, WebVTT or plain text, as the call or the card asks."""
    plain = ("txt", "text/plain")
    ending, mime = ENDINGS.get(wish.wanted_format) or ENDINGS.get(output.mime_type) or plain
    page = "" if wish.blank else _page(ending, wish)
    path = folder / f"{output.role}.{ending}"
    path.write_text(page, encoding="utf-8")
    return [Output(path, output.role, mime)]


def spoken(wish: Wish) -> str:
    """Return the sentence that the stand-in transcript says."""
    start = wish.dice[0] % len(WORDS)
    return " ".join(WORDS[start:] + WORDS[:start]) + f", seed {wish.seed}."


def _page(ending: str, wish: Wish) -> str:
    chunks = _chunks(spoken(wish), wish.seconds)
    if ending == "json":
        return json.dumps(_transcript(spoken(wish), chunks), indent=1)
    if ending == "txt":
        return spoken(wish) + "\n"
    comma = "," if ending == "srt" else "."
    cues = [
        f"{n}\n{_clock(start, comma)} --> {_clock(end, comma)}\n{text}\n"
        for n, (start, end, text) in enumerate(chunks, 1)
    ]
    return ("WEBVTT\n\n" if ending == "vtt" else "") + "\n".join(cues)


def _transcript(text: str, chunks: list[Chunk]) -> dict[str, JSON]:
    parts = [{"timestamp": [start, end], "text": said} for start, end, said in chunks]
    return {"text": text, "language": "en", "chunks": parts}


def _chunks(text: str, seconds: float) -> list[Chunk]:
    words = text.split()
    parts = [words[i : i + WORDS_A_CHUNK] for i in range(0, len(words), WORDS_A_CHUNK)]
    each = seconds / len(parts)
    return [
        (round(i * each, 3), round((i + 1) * each, 3), " ".join(part))
        for i, part in enumerate(parts)
    ]


def _clock(seconds: float, comma: str) -> str:
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{comma}{thousandths:03}"


def make_svg(wish: Wish, output: OutputSpec, folder: Path) -> list[Output]:
    """Write one SVG drawing of `wish.size` pixels."""
    width, height = wish.size
    path = folder / f"{output.role}.svg"
    shown = "" if wish.blank else _drawing(wish)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}">{shown}</svg>\n',
        encoding="utf-8",
    )
    return [Output(path, output.role, "image/svg+xml")]


def _drawing(wish: Wish) -> str:
    width, height = wish.size
    ground, mark = ("#{:02x}{:02x}{:02x}".format(*colour) for colour in colours(wish.dice))
    said, radius = escape(f"{wish.title}: {wish.words}"[:120]), min(wish.size) // 4
    return (
        f'<rect width="{width}" height="{height}" fill="{ground}"/>'
        f'<circle cx="{width // 2}" cy="{height // 2}" r="{radius}" fill="{mark}"/>'
        f'<text x="8" y="24" fill="white">{said}</text>'
        f'<text x="8" y="{height - 8}" fill="white">seed {wish.seed}</text>'
    )
