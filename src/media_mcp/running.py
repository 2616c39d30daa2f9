"""What runs on this data folder: small files by which commands find servers and their workers."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

SERVER, WORKER = "server", "worker"


class Board:
    """Notices of one process, one file each, below `data_dir`; gone with the process.

    That a notice cannot be written or read is no reason for anything to fail.
    """

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "running"

    def put(self, kind: str, pid: int, told: Mapping[str, Any]) -> None:
        """Write, or write anew, what a server or a worker with this process id says of itself."""
        notice = {**told, "kind": kind, "pid": pid, "server": os.getpid()}
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.NamedTemporaryFile("w", dir=self._folder, delete=False) as written:
                json.dump(notice, written)
            Path(written.name).replace(self._path(kind, pid))

    def drop(self, kind: str, pid: int) -> None:
        """Take a notice down."""
        with suppress(OSError):
            self._path(kind, pid).unlink()

    def read(self, kind: str) -> list[dict[str, Any]]:
        """Return the notices of the servers or workers that live, and clear away the others."""
        return [told for path in self._paths(kind) if (told := _read(path)) is not None]

    def _paths(self, kind: str) -> Iterator[Path]:
        yield from sorted(self._folder.glob(f"{kind}-*.json"))

    def _path(self, kind: str, pid: int) -> Path:
        return self._folder / f"{kind}-{pid}.json"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        told = json.loads(path.read_bytes())
        if _lives(int(told["pid"])) and _lives(int(told["server"])):
            return dict(told)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    with suppress(OSError):
        path.unlink()
    return None


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # somebody else's, or no number of a process
        return True
    return True
