"""Reads the headers of safetensors files, which strangers may have written.

The format: eight bytes with the length of a JSON header, the header, the tensors' bytes
(https://huggingface.co/docs/safetensors).
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from media_mcp.errors import NotConfigured

LARGEST = 100 * 2**20  # what the safetensors library allows, too
MOST_PARTS = 1_000_000  # lists and objects of a header: three a tensor, of 60 bytes each in memory
_BITS = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 8),
    **dict.fromkeys(("F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    "F4": 4,
}
_ODD = (ValueError, KeyError, TypeError, AttributeError, RecursionError, struct.error)
_CAST = frozenset({"F64", "F32", "F16", "BF16"})
_CAST_UNLESS_QUANTIZED = _CAST | {name for name in _BITS if name.startswith("F8")}


def loaded_bytes(file: Path, float_bytes: int, *, keep_eight_bits: bool = False) -> int:
    """Return the bytes that a file's tensors take once loaded with `float_bytes` a number.

    Floats are cast; those of eight bits, too, unless the weights are quantized ones. Other types
    stay as they are stored. Raises `NotConfigured` for a file that is broken or cut off.
    """
    cast = _CAST if keep_eight_bits else _CAST_UNLESS_QUANTIZED
    try:
        return sum(
            size * float_bytes if dtype in cast else stored
            for dtype, size, stored in _tensors(file)
        )
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
        struct.error,
    ) as error:
        raise broken(file, error) from None


def header_of(file: Path) -> dict[str, Any]:
    """Return what a safetensors file says of each of its tensors (`dtype`, `shape`).

    Raises `ValueError` in words for a file that is none, and `OSError`.
    """
    try:
        tensors, _ = _read(file)
        for told in tensors.values():
            _tensor(told, sys.maxsize)  # that bytes are missing, whoever loads it says better
    except _ODD:
        raise ValueError("it has no such header") from None
    return tensors


def _tensors(file: Path) -> Iterator[tuple[str, int, int]]:
    """Yield each tensor's type, its count of numbers and its bytes."""
    tensors, room = _read(file)
    for told in tensors.values():
        yield _tensor(told, room)


def _read(file: Path) -> tuple[dict[str, Any], int]:
    """Return the tensors of a header, and the bytes that the file has for them."""
    with file.open("rb") as opened:
        whole = file.stat().st_size
        (size,) = struct.unpack("<Q", opened.read(8))
        if size > LARGEST:
            raise ValueError("its header is too long")
        if size + 8 > whole:
            raise ValueError("it ends within its header")
        text = opened.read(size)
    if text.count(b"[") + text.count(b"{") > MOST_PARTS:
        raise ValueError("its header holds too much")
    header: dict[str, Any] = json.loads(text)
    return {name: told for name, told in header.items() if name != "__metadata__"}, whole - 8 - size


def _tensor(told: Mapping[str, Any], room: int) -> tuple[str, int, int]:
    """Check what a header says of one tensor against what the file holds."""
    dtype, (start, end) = str(told["dtype"]), told["data_offsets"]
    if type(start) is not int or type(end) is not int or not 0 <= start <= end:
        raise ValueError("a tensor lies outside the file")
    if end > room:
        raise ValueError(f"it is cut off: {room} of at least {end} bytes are there")
    count = 1
    for side in told["shape"]:
        if type(side) is not int or side < 0:
            raise ValueError("a tensor has an odd shape")
        count *= side
    if dtype in _BITS and count * _BITS[dtype] > 8 * (end - start) + 7:
        raise ValueError("a tensor has another size than its shape says")
    return dtype, count, int(end - start)


def read_json(path: Path) -> Mapping[str, Any]:
    """Return the object in a JSON file; an empty one where it holds something else.

    Raises `NotConfigured` for a file that is no JSON.
    """
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise broken(path, error) from None
    return found if isinstance(found, dict) else {}


def broken(path: Path, error: Exception | str) -> NotConfigured:
    """Say that a file cannot be read, and why."""
    said = str(error).splitlines() or [type(error).__name__]
    return NotConfigured(f"Weights file {path} cannot be read: {said[0]}.", "Fetch it again.")
