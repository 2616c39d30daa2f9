"""`catalog.lock`: from where, when and with what content the lines of a folder were synced."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from media_mcp.errors import BadCard

NAME = "catalog.lock"


def lock(path: Path, source: str, models: int) -> None:
    """Write down the state of a file of lines, beside those of its folder. Raises `OSError`."""
    locked = _read(path.parent)
    locked[path.name] = {
        "source": source,
        "synced_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "models": models,
        "sha256": _digest(path),
    }
    text = json.dumps(locked, indent=2, sort_keys=True)
    (path.parent / NAME).write_text(f"{text}\n", encoding="utf-8")


def drifted(folder: Path) -> Iterator[BadCard]:
    """Yield a warning for each file of a folder that is not as it was synced."""
    for name, told in sorted(_read(folder).items()):
        path = folder / name
        if not path.is_file():
            yield BadCard(f"{path}: is in {NAME}, but not there.", "media-mcp catalog sync")
        elif _digest(path) != told.get("sha256"):
            since = told.get("synced_at")
            yield BadCard(f"{path}: was changed by hand since it was synced on {since}.", "")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read(folder: Path) -> dict[str, dict[str, Any]]:
    try:
        locked = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    entries = locked.items() if isinstance(locked, dict) else ()
    named = {name: told for name, told in entries if Path(name).name == name}
    return {name: told for name, told in named.items() if isinstance(told, dict)}
