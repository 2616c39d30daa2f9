"""What changed between two states of a place's endpoints, and how the newer is laid over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

from media_mcp.job import JSON

Line = Mapping[str, Any]
Lines = Mapping[str, Line]
Kind = Literal["new", "gone", "parameter", "price", "fact"]
_BOUNDS = (
    "type",
    "required",
    "default",
    "minimum",
    "maximum",
    "exclusive_minimum",
    "exclusive_maximum",
    "multiple_of",
    "enum",
    "min_length",
    "max_length",
    "min_items",
    "max_items",
    "media",
    "form",
)
_FACTS = ("task", "licence", "outputs", "values")
_UNTOLD = ("tool", "seconds", "published", "price")  # what a place may not tell of a model
_ALIKE = 0.5


@dataclass(frozen=True, slots=True)
class Change:
    """One difference, in words: `+ seed (integer)`, `duration: enum 5, 10 → 5, 10, 15`."""

    kind: Kind
    model: str
    words: str


def changes(old: Lines, new: Lines) -> list[Change]:
    """Return every difference that a caller of the models could notice, by model."""
    found: list[Change] = []
    for name in sorted({*old, *new}):
        if name not in old:
            found.append(Change("new", name, f"{new[name].get('task', 'unknown task')}"))
        elif name not in new:
            successor = successor_of(old[name], new.values())
            found.append(Change("gone", name, f"use {successor}" if successor else "no successor"))
        else:
            found += _differences(name, old[name], new[name])
    return found


def overlay(old: Lines, new: Lines) -> dict[str, dict[str, Any]]:
    """Return the lines that, laid over `old`, make what a caller may use now.

    A vanished model stays, retired, and names its successor. A vanished parameter stays,
    deprecated, and names the one that replaces it if one evidently does.
    """
    lines: dict[str, dict[str, Any]] = {}
    for name, line in new.items():
        merged = _merged(old[name], line) if name in old else dict(line)
        if name not in old or _undated(merged) != _undated(old[name]):
            lines[name] = merged
    for name in old.keys() - new.keys():
        successor = successor_of(old[name], new.values())
        named = {"successor": successor} if successor else {}
        lines[name] = {**old[name], "retired": True, **named}
    return dict(sorted(lines.items()))


def _merged(old: Line, new: Line) -> dict[str, Any]:
    untold = {key: old[key] for key in _UNTOLD if key in old and key not in new}
    return {**_with_gone_inputs(old, new), **untold}


def _undated(line: Line) -> dict[str, Any]:
    return {key: value for key, value in line.items() if key != "as_of"}


def successor_of(gone: Line, there: Iterable[Line]) -> str:
    """Return the id of what does the same now: same task and provider, the nearest in name."""
    peers = [
        line
        for line in there
        if line.get("task") == gone.get("task")
        and line.get("provider")
        and line.get("provider") == gone.get("provider")
        and not line.get("retired")
        and _alike(line["id"], gone["id"]) >= _ALIKE
    ]
    nearest = sorted(peers, key=lambda line: (-_alike(line["id"], gone["id"]), line["id"]))
    return str(nearest[0]["id"]) if nearest else ""


def _differences(name: str, old: Line, new: Line) -> Iterator[Change]:
    before, after = _inputs(old), _inputs(new)
    for param in after.keys() - before.keys():
        yield Change("parameter", name, f"+ {param} ({after[param]['type']})")
    for param in before.keys() - after.keys():
        if before[param].get("deprecated"):
            continue
        other = _replacement(before[param], before, after)
        yield Change("parameter", name, f"- {param}" + (f", now {other}" if other else ""))
    for param in before.keys() & after.keys():
        for bound in _BOUNDS:
            if before[param].get(bound) != after[param].get(bound):
                was, now = _shown(before[param].get(bound)), _shown(after[param].get(bound))
                yield Change("parameter", name, f"{param}: {bound} {was} → {now}")
    for fact in _FACTS:
        if old.get(fact) != new.get(fact):
            yield Change("fact", name, f"{fact} {_shown(old.get(fact))} → {_shown(new.get(fact))}")
    if _price(old) != _price(new):
        yield Change("price", name, f"{_price(old)} → {_price(new)}")


def _with_gone_inputs(old: Line, new: Line) -> dict[str, Any]:
    before, after = _inputs(old), _inputs(new)
    gone = [_deprecated(before[name], before, after) for name in before if name not in after]
    return {**new, "inputs": [*new.get("inputs", ()), *gone]} if gone else dict(new)


def _deprecated(param: Line, before: Lines, after: Lines) -> dict[str, Any]:
    kept = {k: v for k, v in param.items() if k not in ("required", "default")}
    other = param.get("replaced_by") or _replacement(param, before, after)
    return kept | {"deprecated": True} | ({"replaced_by": other} if other else {})


def _replacement(gone: Line, before: Lines, after: Lines) -> str:
    """Return the one new parameter of the same type, for the same media, with a name like it."""
    alike = [
        name
        for name, param in after.items()
        if name not in before
        and all(param.get(key) == gone.get(key) for key in ("type", "media", "role", "form"))
        and _alike(name, gone["name"]) >= _ALIKE
    ]
    return alike[0] if len(alike) == 1 else ""


def _alike(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other).ratio()


def _inputs(line: Line) -> dict[str, Line]:
    return {param["name"]: param for param in line.get("inputs", ())}


def _price(line: Line) -> str:
    price = line.get("price")
    return f"${price['amount']:g} per {price['unit']}" if price else "unknown"


def _shown(value: JSON) -> str:
    if value is None:
        return "none"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
