"""What arguments mean: one sentence of ours for each name, and where needed for each task.

A glossary is YAML: `name: sentence`, or `name: {"": sentence, "task-a, task-b": sentence}`. An
argument inside another is looked up as `parent.child` and then as `child`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from media_mcp.errors import BadCard

PATTERN = "params*.y*ml"
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Sentences = dict[str, str]


class Glossary:
    """Sentences by name and task; `load` reads them from a folder."""

    def __init__(self, sentences: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self._sentences = sentences or {}

    @classmethod
    def load(cls, folder: Path) -> Glossary:
        """Read every glossary of a folder; a later file replaces a name. Raises `BadCard`."""
        sentences: dict[str, _Sentences] = {}
        for path in sorted(folder.glob(PATTERN)):
            sentences |= _read(path)
        return cls(sentences)

    def __len__(self) -> int:
        return len(self._sentences)

    def sentence(self, name: str, task: str, parent: str = "") -> str:
        """Return the sentence for an argument, `""` if there is none."""
        for key in (f"{parent}.{name}", name) if parent else (name,):
            by_task = self._sentences.get(key)
            if by_task and (found := by_task.get(task) or by_task.get("")):
                return found
        return ""

    def missing(self, lines: Iterable[Mapping[str, Any]]) -> Counter[str]:
        """Count the arguments of `lines` that have no sentence: `name`, or `parent.child`."""
        return Counter(
            f"{parent}.{name}".lstrip(".")
            for line in lines
            for parent, name in named(line.get("inputs") or ())
            if not self.sentence(name, line.get("task", ""), parent)
        )


def named(params: Iterable[Mapping[str, Any]], parent: str = "") -> Iterator[tuple[str, str]]:
    """Yield parent (`""` at the top) and name of every argument, depth first."""
    for param in params:
        yield parent, param["name"]
        yield from named(members_of(param), param["name"])


def members_of(param: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the members of an object, or of the objects of an array, however deep."""
    inner = param
    while "items" in inner:
        inner = inner["items"]
    members: list[Mapping[str, Any]] = inner.get("properties") or []
    return members


def _read(path: Path) -> dict[str, _Sentences]:
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - safe
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise _bad(path, f"line {line}: {error.problem}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise _bad(path, str(error)) from None
    if not isinstance(raw, dict):
        raise _bad(path, "a glossary maps names to sentences")
    return {str(name): _by_task(path, str(name), told) for name, told in raw.items()}


def _by_task(path: Path, name: str, told: Any) -> _Sentences:
    by_tasks = {"": told} if isinstance(told, str) else told
    if not isinstance(by_tasks, dict) or not all(isinstance(s, str) for s in by_tasks.values()):
        raise _bad(path, f"{name}: it needs a sentence, or a mapping from tasks to sentences")
    return {
        task.strip(): " ".join(sentence.split())
        for tasks, sentence in by_tasks.items()
        for task in str(tasks).split(",")
    }


def _bad(path: Path, what: str) -> BadCard:
    return BadCard(f"{path}: {what}.", "Mend the glossary: `name: sentence`.")
