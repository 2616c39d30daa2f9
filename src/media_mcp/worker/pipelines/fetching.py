"""Finds the files of a model: in a folder of one's own, or on the hub, of which only they come."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from media_mcp.errors import BadCard, NotConfigured
from media_mcp.worker.weights import HUB_ID
from media_mcp.worker.work import Work


def fetched(work: Work, weights: str, patterns: Sequence[str], must: str) -> Path:
    """Return the folder of `weights`, in which the file `must` is.

    Raises `NotConfigured` where it is not, `BadCard` for what is neither a path nor a hub id.
    """
    path = Path(os.path.expanduser(weights))  # noqa: PTH111 (pathlib's raises for unknown users)
    folder = (
        path
        if path.is_absolute()
        else from_hub(work, weights, patterns, work.run.spec.get("revision"))
    )
    if not (folder / must).is_file():
        raise NotConfigured(
            f"There are no weights at {folder}: no {must}.",
            "Put the model there or change `weights` in the card.",
        )
    return folder


def from_hub(work: Work, weights: str, patterns: Sequence[str], revision: Any = None) -> Path:
    """Return the folder of a repository's files that match `patterns`, fetching what is absent."""
    if not HUB_ID.match(weights):
        raise BadCard(
            f"weights: {weights!r} is no absolute path and no ORG/NAME on the hub.",
            "Change `weights` in the model's card.",
        )
    from huggingface_hub import snapshot_download

    work.log(f"Looking for {weights} on this machine and on the hub.")
    found = snapshot_download(
        weights,
        revision=revision,
        allow_patterns=list(patterns),
        local_files_only=bool(work.run.spec.get("local_files_only", False)),
    )
    return Path(found)


def bytes_of(folder: Path, patterns: Sequence[str]) -> int:
    """Return the bytes of the files in `folder` that match one of `patterns`."""
    return sum(file.stat().st_size for one in patterns for file in folder.glob(one))
