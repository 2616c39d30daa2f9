"""Generated endpoints: lines of JSON, one for each endpoint, and the raw cards made of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from media_mcp.catalog.facts import Normaliser, family_of
from media_mcp.catalog.glossary import Glossary
from media_mcp.catalog.stories import story_of
from media_mcp.catalog.tariffs import billed
from media_mcp.errors import BadCard

Line: TypeAlias = Mapping[str, Any]
Lines: TypeAlias = Mapping[str, Line]
Raw: TypeAlias = dict[str, Any]

BACKEND = "fal"
PATTERN = "*.jsonl"
HINT = "Mend or remove the line, or sync again: media-mcp catalog sync"
LICENCES = {
    "commercial": "hosted, commercial use",
    "research": "hosted, research only",
    "private": "hosted, private",
}
UNLICENSED = "hosted, licence unknown"
_SAME = ("tool", "provider", "retired", "successor", "as_of")  # keys of a line as a card has them
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)
_NEEDED = (("id", str), ("name", str), ("task", str), ("inputs", list), ("outputs", list))


def load_endpoints(folders: Sequence[Path], glossary: Glossary) -> dict[str, Raw]:
    """Return the raw card of every line in `folders`, by id; later folders win.

    Raises `BadCard` with file and line.
    """
    found: dict[str, Raw] = {}
    for folder in folders:
        for path in sorted(folder.glob(PATTERN)):
            for number, line in _numbered(path):
                raw = _carded(line, glossary, f"{path}:{number}")
                found[raw["id"]] = _joined(found.get(raw["id"]), raw)
    return found


def _joined(below: Raw | None, raw: Raw) -> Raw:
    """Lay a line over one of the same id: where another place runs it, that is one more route."""
    if below is None:
        return raw
    (route,) = raw["routes"]
    others = [other for other in below["routes"] if other["backend"] != route["backend"]]
    if len(others) < len(below["routes"]):  # news from a place that is known already
        return {**raw, "routes": [route, *others]}
    return {**below, "routes": [*others, route]}


def read_lines(path: Path) -> dict[str, Line]:
    """Return the lines of a file by id; none if it is not there. Raises `BadCard`."""
    return {line["id"]: line for _, line in _numbered(path)} if path.is_file() else {}


def write_lines(path: Path, lines: Lines) -> None:
    """Write lines sorted by id, whole or not at all. Raises `OSError`."""
    text = "".join(f"{dumps(lines[name])}\n" for name in sorted(lines))
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def dumps(line: Line) -> str:
    """Write a line as compact JSON."""
    return json.dumps(line, separators=(",", ":"), ensure_ascii=False)


def line_of(record: Mapping[str, Any]) -> Raw:
    """Return the line of a record of facts; see `facts`."""
    return Normaliser().line(record)


def priced(line: Line, entry: Mapping[str, Any] | None, as_of: str) -> Raw:
    """Return a line with the price of a place's pricing API, which may have none for it."""
    price = billed(entry, as_of) if entry else None
    return {**line, "price": price} if price else dict(line)


def card(line: Line, glossary: Glossary) -> Raw:
    """Return the raw card of a line, whole, with our words for its arguments."""
    task, licence = line["task"], line.get("licence", "")
    raw: Raw = {
        "id": line["id"],
        "title": line["name"],
        "description": story_of(line),
        "task": task,
        "licence": LICENCES.get(licence, licence or UNLICENSED),
        "inputs": {p["name"]: _input(p, task, glossary, "") for p in line["inputs"]},
        "outputs": {o["role"]: _but(o, "role") for o in line["outputs"]},
        "values": {v["name"]: v["type"] for v in line.get("values", ())},
        "routes": [_route(line)],
        "family": line.get("family") or family_of(line["id"]),
        "speed": speed_of(line.get("seconds")),
        "uncertain": doubts(line),
    }
    kept = {key: line[key] for key in _SAME if key in line}
    return {key: value for key, value in raw.items() if value or key == "inputs"} | kept


def speed_of(seconds: float | None) -> str:
    """Return the class of speed for what a place estimates, in seconds; `""` if it does not."""
    if seconds is None:
        return ""
    return "fast" if seconds < 10 else "medium" if seconds <= 60 else "slow"


def _carded(line: Line, glossary: Glossary, source: str) -> Raw:
    try:
        return card(line, glossary) | {"source": source}
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise BadCard(f"{source}: not a line of a catalog: {error!r}.", HINT) from None


def doubts(line: Line) -> str:
    """Say in words what is not known for sure of an endpoint; `""` if nothing is in doubt."""
    return " ".join(_doubts(line))


def _doubts(line: Line) -> Iterator[str]:
    sure, month = line.get("sure"), _month(line.get("as_of", ""))
    dated = f" of {month}" if month else ""
    if not line["inputs"]:
        yield "Its arguments are not known."
    elif line.get("origin") == "types":
        yield f"The ranges of its numbers are not known (type definitions{dated})."
    elif sure:
        yield f"Facts{dated}." if month else "Old facts."
    if line.get("blind"):
        yield "What it returns is not known."
    if line["id"].endswith("/realtime"):
        yield "Made for live connections: a queued call may fail."
    if missing := _month(line.get("missing", "")):
        yield f"Not listed in {missing}: may be retired."
    elif line.get("retired"):
        yield "Retired by the place that ran it."


def _month(day: str) -> str:
    """Return `August 2026` for `2026-08` or `2026-08-02`."""
    year, _, rest = day.partition("-")
    return f"{_MONTHS[int(rest[:2]) - 1]} {year}" if rest else ""


def _route(line: Line) -> Raw:
    route: Raw = {"backend": line.get("backend", BACKEND), "spec": {"endpoint": line["id"]}}
    return route | ({"price": line["price"]} if "price" in line else {})


def _input(param: Line, task: str, glossary: Glossary, parent: str) -> Raw:
    name = param["name"]
    words = glossary.sentence(name, task, parent) or plain_words(name)
    return _shape(param, task, glossary, name) | {"description": words}


def _shape(param: Line, task: str, glossary: Glossary, parent: str) -> Raw:
    made = _but(param, "name")
    if "items" in made:
        made["items"] = _shape(made["items"], task, glossary, parent)
    if "properties" in made:
        members = made["properties"]
        made["properties"] = {m["name"]: _input(m, task, glossary, parent) for m in members}
    return made


def plain_words(name: str) -> str:
    """Return a name as words, for an argument that the glossary does not know: `Top k.`"""
    words = name.replace("_", " ").replace("-", " ").strip()
    return f"{words[:1].upper()}{words[1:]}."


def _but(given: Line, key: str) -> Raw:
    return {name: value for name, value in given.items() if name != key}


def _numbered(path: Path) -> Iterator[tuple[int, Raw]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadCard(f"{path} cannot be read: {error}.", "Mend or remove the file.") from None
    for number, content in enumerate(text.split("\n"), 1):
        if content.strip():
            yield number, _parsed(path, number, content)


def _parsed(path: Path, number: int, content: str) -> Raw:
    try:
        line = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadCard(f"{path}:{number}: not JSON: {error}.", HINT) from None
    if fault := _fault(line):
        raise BadCard(f"{path}:{number}: {fault}.", HINT)
    found: Raw = line
    return found


def _fault(line: Any) -> str:
    """Say what keeps a line from becoming a card; the card's own format checks the rest."""
    if not isinstance(line, dict):
        return "a line is a JSON object"
    for key, kind in _NEEDED:
        if not isinstance(line.get(key), kind):
            return f"`{key}` must be a {'text' if kind is str else 'list'}"
    return ""
