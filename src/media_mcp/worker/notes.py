"""What was measured of a pipeline's memory, kept in a small file so that a restart knows it."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

VERSION = 1
MOST_PIPELINES = 200
MOST_SIZES = 16


@dataclass(slots=True)
class Note:
    """Of one pipeline: the bytes that its headers promised, those its weights took once loaded (0:
    not measured), and, by the size of a run (`need.run_units`), the most that such a run took
    besides."""

    estimate: int
    weights: int = 0
    runs: dict[int, int] = field(default_factory=dict)

    def needs(self, units: int) -> int | None:
        """Return the bytes that a run of this size took, or likely takes; None if none was seen.

        A run larger than all that were seen takes in proportion; one between them as the larger.
        """
        larger = [size for size in self.runs if size >= units]
        if larger:
            return self.runs[min(larger)]
        if not self.runs:
            return None
        largest = max(self.runs)
        return self.runs[largest] * units // max(largest, 1)


class Notes:
    """Notes by the pipeline's key. Without a `file` they last as long as the process.

    Several workers may write the same file: each reads it anew before it writes, and puts a whole
    one in its place. A file that cannot be read or written is no reason for a job to fail.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._notes = self._read()

    def of(self, key: str, estimate: int) -> Note:
        """Return the note of a pipeline; one of other weights under the same name is forgotten."""
        note = self._notes.get(key)
        if note is None or note.estimate != estimate:
            note = self._notes[key] = Note(estimate)
        return note

    def loaded(self, key: str, estimate: int, weights: int) -> None:
        """Note what the weights took once loaded."""
        note = self.of(key, estimate)
        if note.weights != weights:
            note.weights = weights
            self._write(key)

    def ran(self, key: str, estimate: int, units: int, peak: int) -> None:
        """Note what a run took besides the weights, if that is more than was known."""
        note = self.of(key, estimate)
        if peak <= note.runs.get(units, 0):
            return
        note.runs[units] = peak
        while len(note.runs) > MOST_SIZES:
            del note.runs[min(note.runs)]
        self._write(key)

    def _read(self) -> dict[str, Note]:
        if self._file is None:
            return {}
        try:
            told = json.loads(self._file.read_bytes())
            return {key: _note(one) for key, one in told["pipelines"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def _write(self, key: str) -> None:
        if self._file is None:
            return
        others = {name: note for name, note in self._read().items() if name != key}
        whole = [*others.items(), (key, self._notes[key])][-MOST_PIPELINES:]
        told = {"version": VERSION, "pipelines": {name: asdict(note) for name, note in whole}}
        with suppress(OSError):
            _replace(self._file, json.dumps(told))


def _note(told: dict[str, Any]) -> Note:
    runs = {int(units): int(peak) for units, peak in told["runs"].items()}
    return Note(int(told["estimate"]), int(told["weights"]), runs)


def _replace(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False) as written:
        written.write(text)
    os.replace(written.name, file)  # noqa: PTH105 (atomic, whatever is there)
