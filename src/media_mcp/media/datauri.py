"""Reads `data:` URIs piece by piece: no more than a piece is held, written out, at once."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

PIECE = 2**16  # characters
ESCAPES = re.compile(rb"(?:%[0-9A-Fa-f]{2})+")
BLANKS = b" \t\r\n\f\v"
NO_BASE64 = "does not hold valid base64"


def is_data(uri: str) -> bool:
    """Tell whether `uri` is a `data:` URI."""
    return uri[:5].lower() == "data:"


def bytes_of(uri: str) -> Iterator[bytes]:
    """Yield the bytes that a `data:` URI holds. Raises `ValueError` with words for a broken one."""
    comma = uri.find(",")
    if comma < 0:
        raise ValueError("has no comma before its data")
    if uri[:comma].lower().endswith(";base64"):
        yield from _unpacked(_unquoted(uri, comma + 1, NO_BASE64))
    else:
        yield from _unquoted(uri, comma + 1, "holds characters that are none")


def _unquoted(uri: str, start: int, fault: str) -> Iterator[bytes]:
    try:
        while start < len(uri):
            end = _end(uri, start)
            yield ESCAPES.sub(_bytes, uri[start:end].encode())
            start = end
    except UnicodeEncodeError:
        raise ValueError(fault) from None


def _bytes(escapes: re.Match[bytes]) -> bytes:
    return binascii.unhexlify(escapes[0].replace(b"%", b""))


def _end(uri: str, start: int) -> int:
    """Return where a piece ends that cuts no `%XX` in two."""
    end = start + PIECE
    cut = uri.rfind("%", end - 2, end) if end < len(uri) else -1
    return end if cut < 0 else cut


def _unpacked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    rest, over = b"", False
    for piece in pieces:
        rest += piece.translate(None, BLANKS)
        whole = len(rest) - len(rest) % 4
        if over and rest:
            raise ValueError(NO_BASE64)
        yield _decoded(rest[:whole])
        over, rest = over or rest[:whole].endswith(b"="), rest[whole:]
    if rest:
        raise ValueError(NO_BASE64)


def _decoded(data: bytes) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except ValueError:
        raise ValueError(NO_BASE64) from None
