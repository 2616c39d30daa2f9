"""Whether every file is there that the indexes of sharded weights name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path


def missing_shards(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield each index below `folder` of which files are absent, and these, as relative paths."""
    for index in sorted(folder.rglob("*.safetensors.index*.json")):
        names = _named_in(index)
        absent = [name for name in names if not (index.parent / name).is_file()]
        if absent:
            where = index.parent.relative_to(folder)
            yield str(index.relative_to(folder)), [str(where / name) for name in absent]


def _named_in(index: Path) -> list[str]:
    try:
        told = json.loads(index.read_bytes())["weight_map"]
        return sorted({str(name) for name in told.values()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
