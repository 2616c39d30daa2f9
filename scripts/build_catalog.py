"""Build catalog/fal.jsonl from facts about fal's endpoints: `build_catalog.py FACTS.json`.

The facts are a JSON list of records (see `media_mcp.catalog.facts`). Run it again on newer ones: it
says what changed in numbers, which defaults did not fit their own schema and were dropped, which
tool names collided, and which arguments the glossary does not know.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from hashlib import blake2s
from pathlib import Path
from typing import Any

from media_mcp.catalog.endpoints import doubts, read_lines, write_lines
from media_mcp.catalog.facts import Normaliser
from media_mcp.catalog.glossary import Glossary
from media_mcp.catalog.model import LONGEST_TOOL, tool_name
from media_mcp.catalog.sources import shipped_folder

Lines = dict[str, dict[str, Any]]

# What the facts get wrong, by endpoint.
CORRECTIONS: Mapping[str, Mapping[str, Any]] = {
    "fal-ai/workflow-utilities/reverse-video": {"provider": "fal"},
}


def main(arguments: list[str] | None = None) -> int:
    """Read facts, write lines, print what there is to know. Returns 1 if the facts are no list."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("facts", type=Path, help="a JSON list of records")
    parser.add_argument("--out", type=Path, default=shipped_folder() / "fal.jsonl")
    given = parser.parse_args(arguments)
    records = json.loads(given.facts.read_text(encoding="utf-8"))
    if not isinstance(records, list):
        print(f"{given.facts} holds no list of records.", file=sys.stderr)
        return 1
    before = read_lines(given.out)
    normaliser = Normaliser()
    lines = lines_of(records, normaliser)
    renamed = name_tools(lines)
    write_lines(given.out, lines)
    print(f"{given.out}: {counts(lines)}")
    print(f"changed since it was last built: {changes(before, lines)}")
    _list("defaults that do not fit their own schema, dropped", normaliser.dropped)
    _list("tool names that collided", [f"{name}: {tool}" for name, tool in renamed.items()])
    missing = Glossary.load(shipped_folder() / "words").missing(lines.values())
    _list("arguments without a sentence", [f"{n} ({c})" for n, c in missing.most_common()])
    return 0


def lines_of(records: Iterable[Mapping[str, Any]], normaliser: Normaliser) -> Lines:
    """Return the lines of all records by id, what is known to be wrong put right."""
    told = ({**r, **CORRECTIONS.get(r["endpoint_id"], {})} for r in records)
    return {record["endpoint_id"]: normaliser.line(record) for record in told}


def name_tools(lines: Lines) -> dict[str, str]:
    """Give each line whose tool name another has a `tool` of its own; return those by id.

    The first by id that is still there keeps the name.
    """
    names: dict[str, list[str]] = defaultdict(list)
    for name in sorted(lines, key=lambda n: (lines[n].get("retired", False), n)):
        names[tool_name(name)].append(name)
    renamed = {name: _own(tool, name) for tool, same in names.items() for name in same[1:]}
    for name, tool in renamed.items():
        lines[name]["tool"] = tool
    return renamed


def _own(tool: str, endpoint_id: str) -> str:
    digest = blake2s(endpoint_id.encode(), digest_size=2).hexdigest()
    return f"{tool[: LONGEST_TOOL - 5].rstrip('_')}_{digest}"


def counts(lines: Mapping[str, Mapping[str, Any]]) -> str:
    """Say in numbers what the lines hold."""
    known = list(lines.values())
    sums = {
        "endpoints": len(known),
        "arguments": sum(len(line["inputs"]) for line in known),
        "with a price": sum("price" in line for line in known),
        "retired": sum("retired" in line for line in known),
        "in some way uncertain": sum(bool(doubts(line)) for line in known),
        "tasks": len({line["task"] for line in known}),
    }
    return ", ".join(f"{count} {what}" for what, count in sums.items())


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Say how many lines are new, gone and different."""
    kinds = Counter(
        "new" if name not in before else "gone" if name not in after else "different"
        for name in {*before, *after}
        if before.get(name) != after.get(name)
    )
    return ", ".join(f"{kinds[kind]} {kind}" for kind in ("new", "gone", "different"))


def _list(title: str, rows: list[str]) -> None:
    print(f"{title}: {len(rows)}")
    for row in rows:
        print(f"  {row}")


if __name__ == "__main__":
    sys.exit(main())
