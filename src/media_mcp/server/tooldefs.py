"""Tool definitions: typed tools from models, and the small pieces that every definition shares."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import mcp_types as t

from media_mcp.catalog.head import Head
from media_mcp.catalog.model import Model
from media_mcp.catalog.schema import input_schema
from media_mcp.job import JSON, MediaKind
from media_mcp.server.answer import OUTPUT_SCHEMA

ALWAYS_LOAD: dict[str, Any] = {"anthropic/alwaysLoad": True}
FRESH: dict[str, JSON] = {
    "type": "boolean",
    "description": "Make a new job, though the same call runs.",
}
_ADDS = {"destructiveHint": False}
_ADDS_HERE = {"destructiveHint": False, "openWorldHint": False}
_HINT = 60  # characters of words to search by
_GLYPHS = {
    MediaKind.IMAGE: "M3 5h18v14H3zM6 16l4-5 3 3 2-2 3 4",
    MediaKind.VIDEO: "M3 5h18v14H3zM10 9l5 3-5 3z",
    MediaKind.AUDIO: "M4 10v4M8 7v10M12 4v16M16 7v10M20 10v4",
}
_OTHER = "M6 3h9l3 3v15H6zM9 10h6M9 14h6"


def model_tool(head: Head, schema: str) -> dict[str, Any]:
    """Return a model's typed tool as it stands on the wire; `schema` is that of its inputs."""
    return {
        "name": head.tool,
        "title": head.title,
        "description": description(head),
        "inputSchema": with_fresh(json.loads(schema)),
        "outputSchema": OUTPUT_SCHEMA,
        "annotations": _ADDS if head.leaves else _ADDS_HERE,
        "_meta": {"anthropic/searchHint": _hint(head)},
    }


def _hint(head: Head) -> str:
    """Return words to search by, whole ones."""
    words = f"{head.task} {head.hint}".strip()
    return words if len(words) <= _HINT else words[: words.rindex(" ", 0, _HINT)]


def wire(tool: t.Tool) -> dict[str, Any]:
    """Return a tool as JSON, in the protocol's spelling."""
    return tool.model_dump(by_alias=True, mode="json", exclude_none=True)


def tool_schema(model: Model) -> dict[str, JSON]:
    """Return a model's input schema with what the tool adds: `fresh`."""
    return with_fresh(input_schema(model))


def with_fresh(schema: dict[str, Any]) -> dict[str, JSON]:
    """Add `fresh`, unless the model has an input of that name."""
    return schema | {"properties": schema["properties"] | _fresh(schema["properties"])}


def _fresh(known: Mapping[str, JSON]) -> dict[str, JSON]:
    return {} if "fresh" in known else {"fresh": FRESH}


def description(head: Head) -> str:
    """Return what the model is good at, its price and its licence, in at most 60 words."""
    price = head.price
    return f"{head.description} {price[0].upper()}{price[1:]}. Licence: {head.licence}."


def hints(*, read_only: bool) -> t.ToolAnnotations:
    """Return the hints of a tool that never destroys; one that only reads stays on this machine.

    What the protocol assumes of a tool that says nothing is left out: every word is listed.
    """
    if read_only:
        return t.ToolAnnotations(read_only_hint=True, open_world_hint=False)
    return t.ToolAnnotations(destructive_hint=False)


def icon(kind: MediaKind | None = None) -> t.Icon:
    """Return a small line drawing for a kind of media, as a data URI."""
    path = _GLYPHS.get(kind, _OTHER) if kind else _OTHER
    svg = (
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' "
        f"stroke='#666' stroke-width='2'><path d='{path}'/></svg>"
    )
    return t.Icon(src=f"data:image/svg+xml,{quote(svg)}", mime_type="image/svg+xml", sizes=["any"])


def properties(**named: JSON) -> dict[str, JSON]:
    """Return the schema of a tool's arguments; `required=True` marks one that must be given."""
    required = [name for name, schema in named.items() if schema.pop("required", False)]
    return {
        "type": "object",
        "properties": dict(named),
        "required": required,
        "additionalProperties": False,
    }


def text(description: str, **more: JSON) -> dict[str, JSON]:
    """Return the schema of a string."""
    return {"type": "string", "description": description, **more}


def integer(description: str, low: int, high: int, default: int) -> dict[str, JSON]:
    """Return the schema of a bounded integer."""
    bounds: Mapping[str, JSON] = {"minimum": low, "maximum": high, "default": default}
    return {"type": "integer", "description": description, **bounds}
