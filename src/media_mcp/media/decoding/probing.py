"""Finds out what a file is by its bytes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from media_mcp.errors import BadMedia
from media_mcp.job import MediaKind
from media_mcp.media.facts import Facts
from media_mcp.media.sniff import HEAD, sniff

if TYPE_CHECKING:
    from media_mcp.media.decoding.pictures import See

REFINED = {"text/markdown": "md", "text/csv": "csv"}


def probe_file(path: Path, claimed: str | None = None, see: See | None = None) -> Facts:
    """Return what the bytes of `path` say. Raises `BadMedia` when they are broken or too much.

    `see` is shown the first frame of an image, so that nobody need decode it again.

    The `claimed` mime type only tells apart what bytes cannot: an empty text from nothing at all,
    Markdown and CSV from plain text.
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head:
        return _empty(claimed)
    facts = _read(path, head, see)
    if facts.mime_type == "text/plain" and claimed in REFINED:
        return Facts(facts.kind, claimed, REFINED[claimed])
    return facts


def _empty(claimed: str | None) -> Facts:
    if (claimed or "").startswith("text/"):
        return Facts(MediaKind.TEXT, "text/plain", "txt")
    raise BadMedia("The file is empty: 0 bytes.", "Make or export the file again.")


def _read(path: Path, head: bytes, see: See | None) -> Facts:
    from media_mcp.media.decoding import pictures, streams, texts

    found = sniff(head)
    if found is None:
        return texts.probe_text(path)
    if found.reader == "pillow":
        return pictures.probe_picture(path, found.name, see)
    if found.reader == "ffmpeg":
        return streams.probe_streams(path, found.name)
    return texts.probe_glb(path) if found.reader == "glb" else texts.probe_zip(path)
