"""Opens input files, from the folders that may be read and no others."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from media_mcp.errors import BadMedia
from media_mcp.media.names import shown
from media_mcp.media.shelf import too_big

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO must not block


@contextmanager
def open_input(
    value: str, roots: Sequence[Path], *, limit: int, also: Callable[[Path], bool]
) -> Iterator[BinaryIO]:
    """Open the file at `value` for reading, when it lies under one of `roots`.

    A relative path is looked for under each root. Symbolic links are resolved first; then no link
    is followed on the way down, so that a folder swapped in between leads nowhere. `also` allows
    single files by their resolved path. Raises `BadMedia`, in the same words for what is missing
    and what is hidden outside.
    """
    try:
        real_roots = [Path(os.path.realpath(root.expanduser())) for root in roots]
        real = _resolve(value, real_roots)
        handle = _open(real, _root_of(real, real_roots, also, value))
        _check(handle, value, limit)
    except (ValueError, RuntimeError):
        raise BadMedia(f"{shown(value)!r} is not a path.", "Pass the path of a file.") from None
    except OSError as error:
        why = (error.strerror or "unknown").lower()
        raise BadMedia(f"{shown(value)} cannot be opened: {why}.", "Correct the path.") from None
    with os.fdopen(handle, "rb") as file:
        yield file


def _resolve(value: str, roots: Sequence[Path]) -> Path:
    """Return where `value` leads: from the first root that has it, else from the first."""
    path = Path(value).expanduser()
    joined = [root / path for root in roots] or [path]  # an absolute path replaces the root
    places = [Path(os.path.realpath(place)) for place in joined]
    inside = (p for p in places if any(map(p.is_relative_to, roots)) and p.exists())
    return next(inside, places[0])


def _root_of(real: Path, roots: Sequence[Path], also: Callable[[Path], bool], value: str) -> Path:
    """Return the folder below which `real` may be opened."""
    for root in roots:
        if real.is_relative_to(root):
            return root
    if also(real):
        return real.parent
    raise BadMedia(
        f"{shown(value)} is outside the folders that may be read ({_listed(roots)}).",
        "Allow its folder with the setting roots or the client's roots, or move the file there.",
    )


def _listed(roots: Sequence[Path]) -> str:
    return ", ".join(map(str, roots)) or "none is set"


def _open(real: Path, root: Path) -> int:
    """Walk down from `root` to `real`, following no link; return the open descriptor."""
    *folders, name = real.relative_to(root).parts or (".",)
    handle = os.open(root, FOLDER_FLAGS)
    try:
        for folder in folders:
            inner = os.open(folder, FOLDER_FLAGS, dir_fd=handle)
            os.close(handle)
            handle = inner
        return os.open(name, FILE_FLAGS, dir_fd=handle)
    finally:
        os.close(handle)


def _check(handle: int, value: str, limit: int) -> None:
    """Close `handle` and raise `BadMedia` unless it is a regular file within the bound."""
    facts = os.fstat(handle)
    if stat.S_ISREG(facts.st_mode) and facts.st_size <= limit:
        return
    os.close(handle)
    if stat.S_ISREG(facts.st_mode):
        raise too_big(limit)
    raise BadMedia(f"{shown(value)} is not a regular file.", "Pass the path of a media file.")
