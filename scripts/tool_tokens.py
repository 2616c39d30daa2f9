"""Prints how many tokens (characters ÷ 4) the default tools take, and holds them to their budget.

All that `tools/list` sends counts. What is "read" of it, the name, the description and the schema
of the inputs, is what most clients put before a model.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from media_mcp.catalog.catalog import Catalog
from media_mcp.server.answer import tokens
from media_mcp.server.general_tools import TOOLS
from media_mcp.server.tooldefs import model_tool, wire
from media_mcp.settings import Settings

MOST_TOOLS = 20
MOST_TOKENS = 6000
READ = ("name", "description", "inputSchema")
Definition = Mapping[str, Any]


def main() -> int:
    """Print a line of each tool and their sums; return 1 if the list is too long."""
    listed = default_list(Catalog.load())
    print(*table(listed), sep="\n")
    found = list(faults(listed))
    print(*found, sep="\n", end="\n" if found else "", file=sys.stderr)
    return 1 if found else 0


def default_list(catalog: Catalog) -> list[Definition]:
    """Return the tools that a server without settings lists, as they stand on the wire."""
    heads = catalog.select(Settings.model_fields["tools"].default)
    models = [model_tool(head, catalog.schema(head.id)) for head in heads]
    return [*(wire(tool.definition()) for tool in TOOLS), *models]


def table(listed: Sequence[Definition]) -> Iterator[str]:
    yield f"{'default tool':<28}{'description':>12}{'inputs':>8}{'read':>8}{'all':>8}"
    sums = [0, 0, 0, 0]
    for tool in listed:
        read = {name: tool[name] for name in READ}
        parts = [tokens(part) for part in (tool["description"], tool["inputSchema"], read, tool)]
        sums = [one + other for one, other in zip(sums, parts, strict=True)]
        yield _line(tool["name"], parts)
    yield _line(f"{len(listed)} tools", sums)


def faults(listed: Sequence[Definition]) -> Iterator[str]:
    whole = sum(map(tokens, listed))
    if whole > MOST_TOKENS:
        yield f"The default tools take {whole} tokens; the bound is {MOST_TOKENS}."
    if len(listed) > MOST_TOOLS:
        yield f"{len(listed)} tools are listed by default; the bound is {MOST_TOOLS}."


def _line(name: str, parts: Sequence[int]) -> str:
    widths = (12, 8, 8, 8)
    return f"{name:<28}" + "".join(f"{n:>{w}}" for n, w in zip(parts, widths, strict=True))


if __name__ == "__main__":
    sys.exit(main())
