"""Reads the outermost boxes of audio and video files, to see whether bytes are missing."""

from __future__ import annotations

from pathlib import Path

OPEN_ENDED = 0x7FFFF000  # a RIFF length from here on means: written to a pipe, length unknown
SLACK = 8  # bytes by which some writers of RIFF miscount
MAX_BOXES = 10_000


def missing_bytes(path: Path, name: str) -> int:
    """Return how many bytes the file lacks by its own declaration; 0 where it declares none."""
    if name in ("wav", "avi"):
        return _missing_riff(path)
    return _missing_boxes(path) if name == "mov" else 0


def doctype(path: Path, name: str) -> str:
    """Return `qt` or `webm` where a mov or matroska file declares to be one, else `name`."""
    with path.open("rb") as file:
        head = file.read(128)
    if name == "matroska":
        return "webm" if b"webm" in head else name
    return "qt" if name == "mov" and head[8:12] == b"qt  " else name


def _missing_riff(path: Path) -> int:
    with path.open("rb") as file:
        file.seek(4)
        declared = int.from_bytes(file.read(4), "little")
    if declared == 0 or declared >= OPEN_ENDED:
        return 0
    missing = declared + 8 - path.stat().st_size
    return missing if missing > SLACK else 0


def _missing_boxes(path: Path) -> int:
    size, at = path.stat().st_size, 0
    with path.open("rb") as file:
        for _ in range(MAX_BOXES):
            if at + 8 > size:
                break
            file.seek(at)
            length = _box_length(file.read(16))
            if length < 8:  # 0 means: up to the end; less is for FFmpeg to judge
                return 0
            at += length
    return max(0, at - size)


def _box_length(header: bytes) -> int:
    length = int.from_bytes(header[:4], "big")
    return int.from_bytes(header[8:16], "big") if length == 1 else length
