"""A place's own Python environment, as its profile says: made, looked at, removed.

The environment lies in a folder named by what its profile asks for, and counts as made once it
holds its marker, which is written last. So half of one is never taken for a whole one, and one of a
profile that has changed is out of date.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from media_mcp.backends.base import Readiness
from media_mcp.backends.local.profile import Profile
from media_mcp.errors import NotConfigured, StorageFailed
from media_mcp.job import JSON

MARKER = "media-mcp.json"
State = Literal["ready", "not made", "half made", "out of date", "broken"]
_WHY: Mapping[State, str] = {
    "not made": "its Python environment has not been made",
    "half made": "its Python environment was not made to the end",
    "out of date": "its Python environment is out of date: the profile has changed",
    "broken": "the Python of its environment is gone",
}


@dataclass(frozen=True, slots=True)
class Environment:
    """The environment of the place `name`, in `home` with those of its profile's earlier forms."""

    name: str
    profile: Profile
    home: Path

    @property
    def folder(self) -> Path:
        """Where it is, or would be."""
        asked = self.profile.model_dump(exclude={"notice"})
        return self.home / hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:12]

    @property
    def python(self) -> Path:
        """Its Python."""
        return self.folder / "bin" / "python"

    @property
    def state(self) -> State:
        """Whether it can be used, from a look at its files."""
        if self.marker():
            return "ready" if self.python.exists() else "broken"  # a link that leads nowhere
        if any(self.home.glob(f"*/{MARKER}")):
            return "out of date"
        return "half made" if self.folder.exists() else "not made"

    def marker(self) -> Mapping[str, JSON]:
        """Return what was noted when it was made: `python`, `made` (Unix seconds); else nothing."""
        try:
            found = json.loads((self.folder / MARKER).read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def readiness(self) -> Readiness:
        """Say whether a worker can run in it, and else the command that makes it."""
        state = self.state
        if state == "ready":
            return Readiness(True)
        return Readiness(False, f"{_WHY[state]}.", f"Run: media-mcp env create {self.name}")

    def mark(self, python: str) -> None:
        """Note that it is whole, and remove those of the profile's earlier forms."""
        draft = self.folder / f"{MARKER}.new"
        draft.write_text(json.dumps({"name": self.name, "python": python, "made": time.time()}))
        draft.replace(self.folder / MARKER)
        for other in self.home.iterdir():
            if other.is_dir() and other != self.folder:
                shutil.rmtree(other, ignore_errors=True)

    def remove(self) -> bool:
        """Remove it with its earlier forms; False if there was nothing."""
        there = self.home.exists()
        shutil.rmtree(self.home, ignore_errors=True)
        return there

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from making or removing it. Raises `NotConfigured` if one does."""
        import fcntl  # Windows has none, and only who makes an environment needs it

        try:
            self.home.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = (self.home.parent / f"{self.name}.lock").open("w")
        except OSError as error:
            raise StorageFailed(
                f"The folder {self.home.parent} cannot be written: {error.strerror}.",
                "Point data_dir at a folder that this user may write.",
            ) from None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise NotConfigured(
                    f"Another process is at the environment {self.name}.", "Wait until it is done."
                ) from None
            yield

    def size(self) -> int:
        """Return the bytes that it takes; links are not followed."""
        files = (path.lstat() for path in self.home.rglob("*"))
        return sum(file.st_size for file in files)
