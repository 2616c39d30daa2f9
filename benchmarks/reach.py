"""Measures whether search finds the right model for requests in plain words.

Prints a table (first answer right, one of five right, by task), the misses of those requests that
are not held out, and the time of a search. `--held-out` prints the misses of those, too: for who
judges the search, never for who tunes it.
"""

from __future__ import annotations

import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Any

import yaml

from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.head import Head, Wish
from media_mcp.job import MediaKind

REQUESTS = Path(__file__).resolve().parents[1] / "tests" / "catalog" / "reach.yaml"
ROWS = 5
TIMES = 3  # each search is timed so often, and its median counts
STAND_INS = "rehearsal/"


class Patterns:
    """Globs of model ids; `!` takes away, and a retired model must be named in full."""

    def __init__(self, globs: Sequence[str]) -> None:
        self._full = frozenset(globs)
        self._wanted = _any(glob for glob in globs if not glob.startswith("!"))
        self._barred = _any(glob[1:] for glob in globs if glob.startswith("!"))

    def holds(self, head: Head) -> bool:
        if head.retired:
            return head.id in self._full
        return bool(self._wanted.match(head.id)) and not self._barred.match(head.id)


@dataclass(frozen=True)
class Request:
    """What somebody asks, and the patterns of models that a knowledgeable person accepts."""

    ask: str
    first: Sequence[str]
    also: Sequence[str]
    tasks: Sequence[str]
    where: Mapping[str, Any]
    held_out: bool

    @property
    def wish(self) -> Wish:
        return Wish(self.ask, limit=ROWS, **self.where)

    def accepts_first(self, head: Head) -> bool:
        return self._fits(head) and self._first.holds(head)

    def accepts(self, head: Head) -> bool:
        return self._fits(head) and (self._first.holds(head) or self._also.holds(head))

    def _fits(self, head: Head) -> bool:
        return not head.id.startswith(STAND_INS) and (not self.tasks or head.task in self.tasks)

    @cached_property
    def _first(self) -> Patterns:
        return Patterns(self.first)

    @cached_property
    def _also(self) -> Patterns:
        return Patterns(self.also)


@dataclass(frozen=True)
class Answer:
    """What search found. `task` is that of most models which are right as the first."""

    request: Request
    found: Sequence[str]
    first: bool
    five: bool
    task: str
    seconds: float


@dataclass(frozen=True)
class Share:
    """Of how many requests the first row was right, and of how many one of five."""

    requests: int
    first: int
    five: int

    @property
    def top_1(self) -> float:
        return self.first / self.requests

    @property
    def top_5(self) -> float:
        return self.five / self.requests


def requests(path: Path = REQUESTS) -> list[Request]:
    """Read the requests with the groups of models that they name."""
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [_request(one, raw["groups"]) for one in raw["requests"]]


def measure(catalog: Catalog, asked: Iterable[Request]) -> list[Answer]:
    """Ask everything of a catalog that has answered before, so that nothing is timed but search."""
    catalog.find(Wish("warm up, misspelt wrods too"))
    return [_answer(catalog, request) for request in asked]


def share(answers: Sequence[Answer]) -> Share:
    return Share(len(answers), sum(a.first for a in answers), sum(a.five for a in answers))


def table(answers: Sequence[Answer]) -> Iterator[str]:
    """Yield the lines of the table: all requests, those aside, and each task."""
    held_out = [a for a in answers if a.request.held_out]
    tuned = [a for a in answers if not a.request.held_out]
    tasks: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        tasks[answer.task].append(answer)
    groups = {"all": list(answers), "tuned on": tuned, "held out": held_out}
    groups |= dict(sorted(tasks.items(), key=lambda t: -len(t[1])))
    yield f"{'requests':<20}{'n':>5}{'top 1':>9}{'top 5':>9}"
    for name, group in groups.items():
        if group:
            one = share(group)
            yield f"{name:<20}{one.requests:>5}{one.top_1:>9.1%}{one.top_5:>9.1%}"


def misses(answers: Iterable[Answer]) -> Iterator[str]:
    for answer in answers:
        if not (answer.first and answer.five):
            what = "not first" if answer.five else "not in five"
            yield f"{what}: {answer.request.ask!r} found {', '.join(answer.found) or 'nothing'}"


def times(answers: Sequence[Answer]) -> str:
    spent = [answer.seconds * 1000 for answer in answers]
    late = quantiles(spent, n=20)[-1]
    return f"{median(spent):.1f} ms a search (95%: {late:.1f} ms, the slowest {max(spent):.1f} ms)"


def main() -> int:
    catalog = Catalog.load()
    answers = measure(catalog, requests())
    shown = [a for a in answers if "--held-out" in sys.argv or not a.request.held_out]
    print(f"{len(catalog)} models, {times(answers)}\n")
    print(*table(answers), "", *misses(shown), sep="\n")
    return 0


def _request(raw: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> Request:
    where = dict(raw.get("where", {}))
    where |= {k: MediaKind(where[k]) for k in ("media_in", "media_out") if k in where}
    if "backends" in where:
        where["backends"] = frozenset(where["backends"])
    return Request(
        ask=str(raw["ask"]),
        first=tuple(_patterns(raw["first"], groups)),
        also=tuple(_patterns(raw.get("any", ()), groups)),
        tasks=tuple(raw.get("tasks", ())),
        where=where,
        held_out=bool(raw.get("held_out")),
    )


def _patterns(raw: Iterable[str], groups: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for pattern in raw:
        if pattern.startswith("@"):
            yield from _patterns(groups[pattern[1:]], groups)
        else:
            yield pattern


def _any(globs: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(translate(glob) for glob in globs) or r"(?!)")


def _answer(catalog: Catalog, request: Request) -> Answer:
    spent = []
    for _ in range(TIMES):
        began = perf_counter()
        found = [one.head for one in catalog.find(request.wish)]
        spent.append(perf_counter() - began)
    right = Counter(head.task for head in catalog.heads if request.accepts_first(head))
    return Answer(
        request,
        found=[head.id for head in found],
        first=bool(found) and request.accepts_first(found[0]),
        five=any(request.accepts(head) for head in found),
        task=right.most_common(1)[0][0] if right else "none",
        seconds=median(spent),
    )


if __name__ == "__main__":
    sys.exit(main())
