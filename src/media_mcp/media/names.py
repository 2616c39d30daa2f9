"""Names that are safe to use for files, and URLs that are safe to show."""

from __future__ import annotations

import hashlib
import re
from unicodedata import category, normalize
from urllib.parse import urlsplit

MAX_NAME = 48
JOINERS = "\u200c\u200d"  # within words of some scripts, and between the parts of an emoji
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)")


def name_for(text: str) -> str:
    """Return a slug of `text` for a file name: a-z, 0-9 and dashes, 1 to 48 characters."""
    plain = normalize("NFKD", text[:1000]).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:MAX_NAME].rstrip("-")
    if not slug or RESERVED.fullmatch(slug):
        return f"media-{slug}".rstrip("-")
    return slug


def folder_of(owner: str) -> str:
    """Return the name of an owner's folder, which no other owner's has."""
    digest = hashlib.sha256(owner.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{name_for(owner)[:24].rstrip('-')}-{digest}"


def shown(text: str, most: int = 200) -> str:
    """Return `text` fit for a message: cut, and on one line with every character printable."""
    cut = text if len(text) <= most else f"{text[: most - 1]}…"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut)


def printable(text: str, keep: str = "") -> str:
    """Return `text` with a blank for each character that cannot be seen and is not to be kept.

    Such could move a terminal's cursor, run its commands, turn the direction of what follows, or
    say something to a program that nobody reads.
    """
    if text.isprintable():
        return text
    kept = keep + JOINERS
    return "".join(" " if category(c)[0] == "C" and c not in kept else c for c in text)


def escaped(dumped: str) -> str:
    """Return indented JSON with an escape for each character that `printable` would blank out."""
    kept = "\n" + JOINERS
    return "".join(_escape(c) if category(c)[0] == "C" and c not in kept else c for c in dumped)


def in_line(dumped: str) -> str:
    """Return JSON on one line, with an escape for what cannot be printed or breaks lines."""
    return "".join(c if c.isprintable() or c in JOINERS else _escape(c) for c in dumped)


def _escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def redact(url: str) -> str:
    """Return `url` without what may hold a secret: user, password, query and fragment."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "the URL"
    place = f"[{host}]" if ":" in host else host
    return shown(f"{parts.scheme}://{place}{f':{port}' if port else ''}{parts.path}")
