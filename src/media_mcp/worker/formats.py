"""Which kind of file is wanted, in which format, codec and quality: the call says, or the card."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from media_mcp.errors import BadCard, InvalidArguments, Problem
from media_mcp.worker.work import Work

QUALITY = 85
_GRADES = {"low": 40, "medium": 65, "high": 85, "maximum": 100}
_FORMAT_ARGUMENTS = ("output_format", "video_output_type", "format")
_QUALITY_ARGUMENTS = ("output_quality", "video_quality")
_SUFFIX_INSIDE = re.compile(r"\(\.(\w+)\)")
_ALIASES = {"jpg": "jpeg", "mpeg": "mp4", "vorbis": "ogg", "hevc": "h265", "avc": "h264"}


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file: its suffix, its media type and the codecs it can hold, the usual first."""

    suffix: str
    mime: str
    codecs: tuple[str, ...] = ("",)


PICTURES: Mapping[str, Format] = {
    "png": Format("png", "image/png"),
    "jpeg": Format("jpg", "image/jpeg"),
    "webp": Format("webp", "image/webp"),
    "avif": Format("avif", "image/avif"),
}
CLIPS: Mapping[str, Format] = {
    "mp4": Format("mp4", "video/mp4", ("h264", "h265")),
    "webm": Format("webm", "video/webm", ("vp9",)),
    "gif": Format("gif", "image/gif"),
    "webp": Format("webp", "image/webp"),
}
SOUNDS: Mapping[str, Format] = {
    "wav": Format("wav", "audio/wav", ("pcm_16", "pcm_24", "float")),
    "flac": Format("flac", "audio/flac"),
    "ogg": Format("ogg", "audio/ogg"),
    "mp3": Format("mp3", "audio/mpeg"),
    "opus": Format("ogg", "audio/ogg"),
    "m4a": Format("m4a", "audio/mp4"),
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What kind of file is wanted, with which codec and how good, from 1 to 100."""

    name: str
    format: Format
    codec: str
    quality: int


def wished(work: Work, known: Mapping[str, Format], usual: str) -> Wish:
    """Return which of the `known` formats the call or else the card wants; `usual` if neither.

    Raises `InvalidArguments` for a call, `BadCard` for a card that wants what there is not.
    """
    spec = work.run.spec.get("output") or {}
    if not isinstance(spec, Mapping):
        raise BadCard("output: this is no {format, quality, codec}.", "Mend the model's card.")
    name = _asked(work, _FORMAT_ARGUMENTS, _named, known) or _of_card(
        "format", _named(spec.get("format")), known
    )
    found = known[name or usual]
    codec = _of_card("codec", _named(spec.get("codec")), found.codecs) or found.codecs[0]
    asked = _first(work, _QUALITY_ARGUMENTS)
    quality = _graded(spec.get("quality") if asked is None else asked)
    return Wish(name or usual, found, codec, quality)


def _first(work: Work, names: Sequence[str]) -> Any:
    given = (work.run.arguments.get(name) for name in names)
    return next((value for value in given if value is not None), None)


def _asked(work: Work, names: Sequence[str], read: Any, known: Mapping[str, Format]) -> str | None:
    """Return the format that the call asks for, whatever it calls it."""
    for field in names:
        given = work.run.arguments.get(field)
        if given is None:
            continue
        if (name := read(given)) in known:
            return str(name)
        words = f"{str(given)[:40]!r} is no format for this; it can be {', '.join(known)}."
        raise InvalidArguments([Problem(field, words)])
    return None


def _named(given: Any) -> str | None:
    """Return the format in `X264 (.mp4)`, `mp3_44100_128`, `JPG`."""
    if given is None:
        return None
    inside = _SUFFIX_INSIDE.search(str(given))
    word = (inside[1] if inside else str(given)).strip().lower()
    short = word if word.startswith("pcm_") else word.partition("_")[0]
    return _ALIASES.get(short, short)


def _of_card(key: str, name: str | None, known: Any) -> str | None:
    if name is None or name in known:
        return name
    choices = ", ".join(filter(None, known))
    fault = f"is none of {choices}" if choices else "is not for this format"
    raise BadCard(f"output: {key} {name[:40]!r} {fault}.", "Mend the model's card.")


def _graded(given: Any) -> int:
    """Return a quality from 1 to 100; words and numbers out of range are read as what they mean."""
    if isinstance(given, str) and not given.isdigit():
        return _GRADES.get(given.lower(), QUALITY)
    return min(100, max(1, int(given))) if given is not None else QUALITY
