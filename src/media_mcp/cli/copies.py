"""Copies outputs out of the data folder, under names that a person can read."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

from media_mcp.errors import StorageFailed
from media_mcp.job import Asset


def copy_out(assets: Sequence[Asset], folder: Path | None) -> list[Path]:
    """Copy each asset into `folder` and return where they lie; nothing is overwritten.

    Without a folder, return where the assets are kept. Raises `StorageFailed`.
    """
    if folder is None:
        return [asset.path for asset in assets]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [_copy(asset.path, folder) for asset in assets]
    except OSError as error:
        kept = ", ".join(str(asset.path) for asset in assets)
        raise StorageFailed(
            f"The outputs cannot be copied to {folder}: {error.strerror or error}.",
            f"They are kept: {kept}",
        ) from None


def _copy(source: Path, folder: Path) -> Path:
    for path in _names(folder, source):
        try:
            with source.open("rb") as original, path.open("xb") as copy:
                shutil.copyfileobj(original, copy)
        except FileExistsError:
            if path.read_bytes() == source.read_bytes():
                return path.resolve()
        else:
            return path.resolve()
    raise AssertionError  # the names never end


def _names(folder: Path, source: Path) -> Iterator[Path]:
    yield folder / source.name
    for number in count(2):
        yield folder / f"{source.stem}-{number}{source.suffix}"
