"""Reads text, JSON, subtitles, SVG, glTF binaries and ZIP archives, without parsing markup."""

from __future__ import annotations

import codecs
import json
import re
import zipfile
from pathlib import Path

from media_mcp.job import MediaKind
from media_mcp.media.facts import UNKNOWN, Facts, broken
from media_mcp.media.sniff import HEAD, is_srt, sniff_file, svg_root

START = 64 * 1024  # characters looked at for what kind of text it is
MAX_JSON = 16 * 2**20
CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
LENGTH = re.compile(r"([0-9.]{1,12})\s*(?:px)?")


def probe_text(path: Path) -> Facts:
    """Return the facts of a text, or of a file of no medium where the bytes are no UTF-8 text."""
    start = _text_start(path)
    if start is None:
        return _file(path)
    root = svg_root(start)
    if root is not None:
        return _svg(path, root)
    if start.startswith("WEBVTT"):
        return Facts(MediaKind.TEXT, "text/vtt", "vtt")
    if is_srt(start):
        return Facts(MediaKind.TEXT, "application/x-subrip", "srt")
    return _json(path, start) or Facts(MediaKind.TEXT, "text/plain", "txt")


def _file(path: Path) -> Facts:
    """Return the facts of an archive, a document or weights, by their first bytes."""
    with path.open("rb") as file:
        found = sniff_file(file.read(HEAD))
    return Facts(MediaKind.FILE, *found) if found else UNKNOWN


def probe_glb(path: Path) -> Facts:
    """Return the facts of a glTF binary. Raises `BadMedia` when its length is not as declared."""
    size = path.stat().st_size
    with path.open("rb") as file:
        header = file.read(12)
    version, length = (int.from_bytes(header[i : i + 4], "little") for i in (4, 8))
    if version != 2:
        raise broken("glTF binary", f"it is of version {version} and only 2 is known")
    if length != size:
        raise broken("glTF binary", f"it declares {length:,} bytes and holds {size:,}")
    return Facts(MediaKind.MODEL3D, "model/gltf-binary", "glb")


def probe_zip(path: Path) -> Facts:
    """Return the facts of a ZIP archive; nothing is unpacked. Raises `BadMedia`."""
    if not zipfile.is_zipfile(path):
        raise broken("ZIP archive", "it ends before its directory")
    return Facts(MediaKind.FILE, "application/zip", "zip")


def _text_start(path: Path) -> str | None:
    """Return the first characters when the whole file is text, else None."""
    decoder, start = codecs.getincrementaldecoder("utf-8-sig")(), ""
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            try:
                text = decoder.decode(chunk)
            except UnicodeDecodeError:
                return None
            if CONTROLS.search(text):
                return None
            start = start or text[:START]
    return None if decoder.getstate()[0] else start


def _json(path: Path, start: str) -> Facts | None:
    if not start.lstrip().startswith(("{", "[")) or path.stat().st_size > MAX_JSON:
        return None
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None
    asset = value.get("asset") if isinstance(value, dict) else None
    if isinstance(asset, dict) and "version" in asset and "scenes" in value:
        return Facts(MediaKind.MODEL3D, "model/gltf+json", "gltf")
    return Facts(MediaKind.TEXT, "application/json", "json")


def _svg(path: Path, root: str) -> Facts:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        end = file.read()
    if not root.endswith("/>") and not re.search(rb"</(\w{1,20}:)?svg\s*>", end):
        raise broken("SVG image", "it ends before its closing tag")
    width, height = _length(root, "width"), _length(root, "height")
    box = re.search(r"""viewBox\s*=\s*["']([^"']{1,100})["']""", root)
    sides = box.group(1).replace(",", " ").split() if box else []
    if (width is None or height is None) and len(sides) == 4:
        width, height = _number(sides[2]), _number(sides[3])
    return Facts(MediaKind.IMAGE, "image/svg+xml", "svg", width, height, frames=1)


def _length(root: str, name: str) -> int | None:
    match = re.search(rf"""\s{name}\s*=\s*["']([^"']{{1,40}})["']""", root)
    return _number(match.group(1)) if match else None


def _number(text: str) -> int | None:
    match = LENGTH.fullmatch(text.strip())
    try:
        return round(float(match.group(1))) if match else None
    except ValueError:
        return None
