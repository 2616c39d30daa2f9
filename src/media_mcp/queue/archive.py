"""The file that jobs and media travel in: a tar of plain files, compressed, told at its top.

In this order: `media-mcp.json`; for each asset `assets/<n>.json` and `assets/<n>.bin`; then
`records/<n>.jsonl`, one record a line; at last `end.json`, without which it is not whole. Readers
know no other kind of member than a plain file, and take no name from it for one on the disk.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any, BinaryIO

from media_mcp.errors import BadArchive
from media_mcp.job import JSON
from media_mcp.media.names import shown

FORMAT = 1
HEAD, END = "media-mcp.json", "end.json"
NAME = re.compile(r"media-mcp\.json|end\.json|assets/\d{9}\.(json|bin)|records/\d{9}\.jsonl")
MAX_TOLD = 4 * 2**20  # bytes of a member that is one JSON document
MAX_LINE = 64 * 2**20
BLOCK = 512
CHUNK = 2**20
WORDS, MEDIA = 6, 0  # how hard each is compressed: media are compressed already
KINDS = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.DIRTYPE: "a folder",
}


class ArchiveWriter:
    """Writes members to a binary stream, one after another."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._level = WORDS
        self._gzip = self._compressed()

    def file(self, name: str, size: int, content: BinaryIO) -> bool:
        """Add `size` bytes of `content`; False where it had another number of them.

        The member then holds zeros for those that were missing.
        """
        self._head(name, size)
        self._switch(MEDIA if name.endswith(".bin") else WORDS)
        left = size
        while left and (chunk := content.read(min(CHUNK, left))):
            self._gzip.write(chunk)
            left -= len(chunk)
        self._zeros(left)
        self._zeros(-size % BLOCK)
        return not left and not content.read(1)

    def told(self, name: str, value: JSON) -> None:
        """Add a JSON document."""
        data = json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
        self.file(name, len(data), io.BytesIO(data))

    def close(self) -> None:
        """Write what ends an archive; the stream stays open."""
        self._zeros(2 * BLOCK)
        self._gzip.close()

    def _compressed(self) -> gzip.GzipFile:
        return gzip.GzipFile("", "wb", self._level, self._stream, mtime=0)

    def _switch(self, level: int) -> None:
        """Begin another part of the stream, which readers take for one with those before."""
        if level != self._level:
            self._gzip.close()
            self._level = level
            self._gzip = self._compressed()

    def _head(self, name: str, size: int) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = size, 0o600
        self._gzip.write(member.tobuf(tarfile.GNU_FORMAT))

    def _zeros(self, count: int) -> None:
        while count > 0:
            self._gzip.write(bytes(min(count, CHUNK)))
            count -= CHUNK


@dataclass(slots=True)
class Member:
    """A file of an archive, to be read while it is the latest: `size` bytes, `left` of them."""

    name: str
    size: int
    left: int
    _archive: ArchiveReader

    def read(self, most: int = CHUNK) -> bytes:
        """Return the next bytes; none at its end. Raises `BadArchive`."""
        data = self._archive.take(min(most, self.left))
        self.left -= len(data)
        return data

    def told(self) -> dict[str, Any]:
        """Return the object that it holds as JSON. Raises `BadArchive`."""
        if self.size > MAX_TOLD:
            raise damaged(f"{self.name} has {self.size:,} bytes; at most {MAX_TOLD:,} are read")
        data = b""
        while chunk := self.read():
            data += chunk
        return parsed(data, self.name)

    def lines(self) -> Iterator[bytes]:
        """Yield its lines. Raises `BadArchive` for one that is too long."""
        rest = b""
        while chunk := self.read():
            *whole, rest = (rest + chunk).split(b"\n")
            yield from whole
            if len(rest) > MAX_LINE:
                raise damaged(f"a record of {self.name} is longer than {MAX_LINE:,} bytes")
        if rest:
            yield rest


class ArchiveReader:
    """Reads members from a binary stream, in bounded memory. Raises `BadArchive`."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._gzip = gzip.GzipFile(fileobj=stream, mode="rb")

    def __iter__(self) -> Iterator[Member]:
        while (head := self.take(BLOCK)).strip(b"\0"):
            member = self._member(head)
            padding = -member.size % BLOCK
            yield member
            while member.read():
                pass
            self.take(padding)
        self._finish()

    def _member(self, head: bytes) -> Member:
        try:
            told = tarfile.TarInfo.frombuf(head, "ascii", "strict")
        except (tarfile.HeaderError, ValueError):
            raise damaged("it is no tar file of ours, or damaged") from None
        if told.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
            what = KINDS.get(told.type, "more than plain files")
            raise damaged(f"it holds {what} ({shown(told.name, 80)!r})")
        if not NAME.fullmatch(told.name) or told.size < 0:
            raise damaged(f"it holds {shown(told.name, 80)!r}, which is no part of one")
        return Member(told.name, told.size, told.size, self)

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes, all of them."""
        data = self._read(count)
        if len(data) < count:
            raise damaged("it ends too early")
        return data

    def _finish(self) -> None:
        """See that it ends here; only now the sum over all of it is compared."""
        if self.take(BLOCK).strip(b"\0") or self._read(1):
            raise damaged("it goes on after its end")

    def _read(self, count: int) -> bytes:
        try:
            return self._gzip.read(count)
        except EOFError:
            raise damaged("it ends too early") from None
        except (gzip.BadGzipFile, zlib.error):
            raise damaged("it is not compressed as ours are, or damaged") from None


def numbered(kind: str, number: int, suffix: str) -> str:
    """Return the name of a member: `assets/000000001.bin`."""
    return f"{kind}/{number:09d}.{suffix}"


def parsed(data: bytes, where: str) -> dict[str, Any]:
    """Return the object that `data` is as JSON. Raises `BadArchive`."""
    try:
        value = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise damaged(f"{where} holds no JSON that can be read") from None
    if not isinstance(value, dict):
        raise damaged(f"{where} holds no object")
    return value


def check_format(head: dict[str, Any]) -> None:
    """Raise `BadArchive` for a format that this version does not read."""
    found = head.get("format")
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise damaged("its top does not say which format it has")
    if found > FORMAT:
        raise BadArchive(
            f"The archive was written by a newer media-mcp (format {found}; this one reads "
            f"{FORMAT}).",
            "Upgrade with: pip install -U media-mcp",
        )


def damaged(why: str) -> BadArchive:
    """Return the error for an archive that cannot be taken in."""
    return BadArchive(
        f"The archive cannot be imported: {why}.", "Nothing was imported; export it again."
    )


def _no_constant(name: str) -> JSON:
    raise ValueError(name)


def batches(lines: Iterable[bytes], most: int = 8 * 2**20) -> Iterator[bytes]:
    """Join lines to documents of some megabytes, each line ended."""
    batch, size = [], 0
    for line in lines:
        batch.append(line + b"\n")
        size += len(line)
        if size > most:
            yield b"".join(batch)
            batch, size = [], 0
    if batch:
        yield b"".join(batch)
