"""Names that are safe to use for files, and URLs that are safe to show."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from urllib.parse import urlsplit

MAX_NAME = 48
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)")


def name_for(text: str) -> str:
    """Return a slug of `text` for a file name: a-z, 0-9 and dashes, 1 to 48 characters."""
    plain = unicodedata.normalize("NFKD", text[:1000]).encode("ascii", "ignore").decode()
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


def redact(url: str) -> str:
    """Return `url` without what may hold a secret: user, password, query and fragment."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "the URL"
    place = f"[{host}]" if ":" in host else host
    return shown(f"{parts.scheme}://{place}{f':{port}' if port else ''}{parts.path}")
