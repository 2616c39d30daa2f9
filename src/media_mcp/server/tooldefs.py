"""Tool definitions: typed tools from models, and the small pieces that every definition shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import mcp_types as t

from media_mcp.catalog.describe import price_of
from media_mcp.catalog.model import Model
from media_mcp.catalog.schema import input_schema
from media_mcp.job import JSON, MediaKind
from media_mcp.server.answer import OUTPUT_SCHEMA

ALWAYS_LOAD: dict[str, Any] = {"anthropic/alwaysLoad": True}
FRESH: dict[str, JSON] = {
    "type": "boolean",
    "default": False,
    "description": "Make a new job even if the same call is still running or was not yet answered.",
}
_GLYPHS = {
    MediaKind.IMAGE: "M3 5h18v14H3zM6 16l4-5 3 3 2-2 3 4",
    MediaKind.VIDEO: "M3 5h18v14H3zM10 9l5 3-5 3z",
    MediaKind.AUDIO: "M4 10v4M8 7v10M12 4v16M16 7v10M20 10v4",
}
_OTHER = "M6 3h9l3 3v15H6zM9 10h6M9 14h6"


def model_tool(model: Model) -> t.Tool:
    """Return the typed tool of a model."""
    return t.Tool(
        name=model.tool,
        title=model.title,
        description=description(model),
        input_schema=tool_schema(model),
        output_schema=OUTPUT_SCHEMA,
        annotations=hints(model.title, read_only=False, open_world=_leaves(model)),
        icons=[icon(model.outputs[0].kind)],
        _meta={"anthropic/searchHint": f"{model.task} {model.search_hint}".strip()},
    )


def tool_schema(model: Model) -> dict[str, JSON]:
    """Return a model's input schema with what the tool adds: `fresh`."""
    extra = {} if model.param("fresh") else {"fresh": FRESH}
    return input_schema(model, extra)


def description(model: Model) -> str:
    """Return what the model is good at, its price and its licence, in at most 60 words."""
    price = price_of(model)
    return f"{model.description} {price[0].upper()}{price[1:]}. Licence: {model.licence}."


def _leaves(model: Model) -> bool:
    """Whether a run may reach outside this machine."""
    return any(route.backend not in ("local", "rehearsal") for route in model.routes)


def hints(title: str, *, read_only: bool, open_world: bool = False) -> t.ToolAnnotations:
    """Return the hints of a tool that adds but never destroys."""
    return t.ToolAnnotations(
        title=title,
        read_only_hint=read_only,
        destructive_hint=False,
        idempotent_hint=read_only,
        open_world_hint=open_world,
    )


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
