"""Tells a format by its first bytes. Names and given types are never looked at."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

HEAD = 4096  # bytes that `sniff` wants to see
SAFETENSORS_HEADER = 100_000_000  # bytes that its own library allows


class Format(NamedTuple):
    """Who can read the bytes, and under which name: Pillow's, FFmpeg's or our own."""

    reader: Literal["pillow", "ffmpeg", "glb", "zip"]
    name: str


PREFIXES: tuple[tuple[bytes, Format], ...] = (
    (b"\x89PNG\r\n\x1a\n", Format("pillow", "PNG")),
    (b"\xff\xd8\xff", Format("pillow", "JPEG")),
    (b"GIF87a", Format("pillow", "GIF")),
    (b"GIF89a", Format("pillow", "GIF")),
    (b"II*\x00", Format("pillow", "TIFF")),
    (b"MM\x00*", Format("pillow", "TIFF")),
    (b"fLaC", Format("ffmpeg", "flac")),
    (b"OggS", Format("ffmpeg", "ogg")),
    (b"\x1a\x45\xdf\xa3", Format("ffmpeg", "matroska")),
    (b"glTF", Format("glb", "glb")),
    (b"PK\x03\x04", Format("zip", "zip")),
)
RIFF = {
    b"WEBP": Format("pillow", "WEBP"),
    b"WAVE": Format("ffmpeg", "wav"),
    b"AVI ": Format("ffmpeg", "avi"),
}
AVIF_BRANDS = (b"avif", b"avis")
MOV_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free")
BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)


def sniff(head: bytes) -> Format | None:
    """Return the format of a file that begins with `head`, or None for text and the unknown."""
    for prefix, found in PREFIXES:
        if head.startswith(prefix):
            return found
    if head[:4] == b"RIFF":
        return RIFF.get(head[8:12])
    return _bmp(head) or _boxes(head) or _mpeg(head)


def _bmp(head: bytes) -> Format | None:
    known = int.from_bytes(head[14:18], "little") in BMP_HEADERS
    return Format("pillow", "BMP") if head[:2] == b"BM" and known else None


def _boxes(head: bytes) -> Format | None:
    if head[4:8] not in MOV_BOXES:
        return None
    if head[4:8] == b"ftyp" and head[8:12] in AVIF_BRANDS:
        return Format("pillow", "AVIF")
    return Format("ffmpeg", "mov")


def _mpeg(head: bytes) -> Format | None:
    if head[:3] == b"ID3" and len(head) > 10 and head[3] < 0x10:
        return Format("ffmpeg", "mp3")
    if len(head) < 4 or head[0] != 0xFF:
        return None
    if head[1] & 0xF6 == 0xF0:
        return Format("ffmpeg", "aac")
    return Format("ffmpeg", "mp3") if head[1] & 0xE6 == 0xE2 else None


# Files that hold no medium but travel with media: mime type and extension by the first bytes.
FILES: tuple[tuple[bytes, str, str], ...] = (
    (b"\x1f\x8b", "application/gzip", "gz"),
    (b"BZh", "application/x-bzip2", "bz2"),
    (b"\xfd7zXZ\x00", "application/x-xz", "xz"),
    (b"(\xb5/\xfd", "application/zstd", "zst"),
    (b"7z\xbc\xaf'\x1c", "application/x-7z-compressed", "7z"),
    (b"Rar!\x1a\x07", "application/vnd.rar", "rar"),
    (b"%PDF-", "application/pdf", "pdf"),
    (b"GGUF", "application/octet-stream", "gguf"),
)


def sniff_file(head: bytes) -> tuple[str, str] | None:
    """Return mime type and extension of an archive, a document or weights, or None."""
    for prefix, mime_type, extension in FILES:
        if head.startswith(prefix):
            return mime_type, extension
    if head[257:262] == b"ustar":
        return "application/x-tar", "tar"
    header = int.from_bytes(head[:8], "little")
    if head[8:10] == b'{"' and 2 <= header <= SAFETENSORS_HEADER:
        return "application/octet-stream", "safetensors"
    return None


SVG_ROOT = re.compile(r"<(?:\w{1,20}:)?svg(?=[\s/>])[^>]*>", re.IGNORECASE)
SRT = re.compile(r"\s*\d+\r?\n\d\d:\d\d:\d\d[,.]\d{3} --> ")


def svg_root(text: str) -> str | None:
    """Return the opening tag of an SVG document, or None where `text` is no SVG."""
    at = 0
    while (after := _past_prologue(text, at)) > at:
        at = after
    match = SVG_ROOT.match(text, at)
    return match.group() if match else None


def _past_prologue(text: str, at: int) -> int:
    """Return where the white space, comment, instruction or doctype at `at` ends."""
    if text[at : at + 1].isspace():
        return at + 1
    for start, end in (("<!--", "-->"), ("<?", "?>"), ("<!DOCTYPE svg", ">")):
        if text.startswith(start, at):
            close = text.find(end, _past_subset(text, at) if start.startswith("<!D") else at)
            return close + len(end) if close >= 0 else at
    return at


def _past_subset(text: str, at: int) -> int:
    """Return where the internal subset (`[…]`) of the doctype at `at` ends, if it has one."""
    bracket, end = text.find("[", at), text.find(">", at)
    return max(at, text.find("]", bracket)) if 0 <= bracket < end else at


def is_srt(text: str) -> bool:
    """Tell whether `text` begins like SubRip subtitles."""
    return SRT.match(text) is not None
