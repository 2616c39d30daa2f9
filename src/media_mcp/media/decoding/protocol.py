"""What the server asks its decoders and what they answer: one JSON object a line.

Only the standard library is imported, for a decoder starts quickly. The server takes no answer on
trust: `pool` checks each against these types.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from media_mcp.job import MediaKind
from media_mcp.media.facts import Facts, Flaw

MAX_LINE = 2**20


@dataclass(frozen=True, slots=True)
class Read:
    """Say what the bytes of a file are, whatever was `claimed`; with `look`, what is wrong, too.

    With `draw`, a picture is drawn small at once, as `Draw` would.
    """

    path: str
    claimed: str | None = None
    look: bool = False
    draw: bool = False


@dataclass(frozen=True, slots=True)
class Sight:
    """One asset to be drawn. Sizes in pixels, `duration` in seconds."""

    path: str
    kind: MediaKind
    width: int | None = None
    height: int | None = None
    duration: float | None = None


@dataclass(frozen=True, slots=True)
class Draw:
    """Draw one small picture of these."""

    sights: tuple[Sight, ...]


@dataclass(frozen=True, slots=True)
class Ready:
    """The decoder is there."""

    type: Literal["ready"] = "ready"


@dataclass(frozen=True, slots=True)
class Found:
    """What a file is, and what is wrong with what it holds; `jpeg` is in base64."""

    facts: Facts
    flaws: tuple[Flaw, ...] = ()
    jpeg: str | None = None
    type: Literal["found"] = "found"


@dataclass(frozen=True, slots=True)
class Drawn:
    """A JPEG in base64; None where there is nothing to see."""

    jpeg: str | None
    type: Literal["drawn"] = "drawn"


@dataclass(frozen=True, slots=True)
class Refusal:
    """The file is broken or too much: the words of a `BadMedia`. `bug` is for the log."""

    message: str
    hint: str = ""
    bug: str = ""
    type: Literal["refusal"] = "refusal"


Ask = Read | Draw
Answer = Ready | Found | Drawn | Refusal


def encode_ask(ask: Ask) -> bytes:
    """Return the line of a question, newline included."""
    return _line({"ask": type(ask).__name__.lower(), **asdict(ask)})


def decode_ask(line: bytes) -> Ask:
    """Read a question; the server that asks is trusted to keep to the types."""
    told = json.loads(line)
    if told.pop("ask") == "read":
        return Read(**told)
    return Draw(tuple(Sight(**{**s, "kind": MediaKind(s["kind"])}) for s in told["sights"]))


def encode_answer(answer: Answer) -> bytes:
    """Return the line of an answer, newline included."""
    return _line(asdict(answer))


def _line(told: dict[str, Any]) -> bytes:
    return json.dumps(told, separators=(",", ":")).encode() + b"\n"
