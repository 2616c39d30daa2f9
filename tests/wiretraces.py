"""What fal's clients and our server said to each other, kept as golden files: `traces/`.

Each line is a call: method, path, status; below it the names of the headers that were sent (`>`)
and that came back (`<`). A call that is repeated as it was, as polls are, is there once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

TRACES = Path(__file__).parent / "clients" / "traces"
Heard: TypeAlias = Sequence[Any]  # method, URL, status, names of headers sent, names of those back
BETWEEN_HOPS = {"connection", "keep-alive", "date", "transfer-encoding", "content-length"}
UNSTEADY = (
    (re.compile(r"\b[0-9a-z]{18}\b"), "{id}"),
    (re.compile(r"fal_jwt_token=[^&]+"), "fal_jwt_token={token}"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "{sha256}"),
)


def check_trace(name: str, heard: Iterable[Heard]) -> None:
    """Compare with the golden file called `name`; UPDATE_GOLDEN=1 writes it."""
    text = "".join(trace(heard))
    path = TRACES / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        TRACES.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    golden = path.read_text(encoding="utf-8") if path.is_file() else ""
    assert golden == text, "if that was meant: UPDATE_GOLDEN=1 make test, and commit"


def trace(heard: Iterable[Heard]) -> list[str]:
    """Return the calls, those that repeat the one before it only once."""
    told: list[str] = []
    for method, url, status, sent, back in heard:
        line = f"{method} {path_of(url)} {status}\n  > {names(sent)}\n  < {names(back)}\n"
        if told[-1:] != [line]:
            told.append(line)
    return told


def path_of(url: str) -> str:
    """Return path and query, what differs from run to run taken out."""
    parts = urlsplit(url)
    path = f"{parts.path}?{unquote(parts.query)}" if parts.query else parts.path
    if parts.hostname not in ("127.0.0.1", "localhost"):
        path = f"{parts.hostname}{path}"
    for pattern, word in UNSTEADY:
        path = pattern.sub(word, path)
    return path


def names(headers: Iterable[str]) -> str:
    return ", ".join(sorted({name.lower() for name in headers} - BETWEEN_HOPS))
