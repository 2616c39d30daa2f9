"""Copies outputs out of the data folder, under names that a person can read."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
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


def _copy(source: Path, folder: Path, number: int = 1) -> Path:
    name = source.name if number == 1 else f"{source.stem}-{number}{source.suffix}"
    path = (folder / name).resolve()
    try:
        with source.open("rb") as original, path.open("xb") as copy:
            shutil.copyfileobj(original, copy)
    except FileExistsError:
        same = path.is_file() and path.read_bytes() == source.read_bytes()
        return path if same else _copy(source, folder, number + 1)
    return path
