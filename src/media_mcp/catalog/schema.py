"""Cards to JSON Schema: flat, inlined, one type a property, so that every client accepts it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from media_mcp.catalog.model import Model, Param
from media_mcp.job import JSON, MediaKind

MEDIA_HINT = "A file path, media:// URI, http(s) URL or data URI."


def input_schema(model: Model, extra: Mapping[str, JSON] | None = None) -> dict[str, JSON]:
    """Return the schema of a model's arguments, an object; `extra` adds properties of the door."""
    properties = {param.name: property_schema(param) for param in model.inputs}
    required = [param.name for param in model.inputs if param.required]
    return {
        "type": "object",
        "properties": properties | dict(extra or {}),
        "required": required,
        "additionalProperties": False,
    }


def property_schema(param: Param) -> dict[str, JSON]:
    """Return the schema of one input."""
    description = f"{param.description} {MEDIA_HINT}" if param.media else param.description
    schema: dict[str, Any] = {"type": param.type, "description": description}
    if param.type == "array":
        schema["items"] = {"type": param.items}
        schema |= _given(maxItems=param.max_items)
    schema |= _given(
        minimum=param.minimum,
        maximum=param.maximum,
        multipleOf=param.multiple_of,
        enum=list(param.enum) or None,
        maxLength=param.max_length,
        default=param.default,
    )
    return schema | _whole(schema, param)


def _given(**keywords: JSON) -> dict[str, JSON]:
    return {name: value for name, value in keywords.items() if value is not None}


def _whole(schema: Mapping[str, JSON], param: Param) -> dict[str, JSON]:
    """Write an integer's bounds as integers, as clients show them to people."""
    if param.type != "integer":
        return {}
    bounds = ("minimum", "maximum", "multipleOf")
    return {name: int(schema[name]) for name in bounds if name in schema}


def defaults(model: Model) -> dict[str, JSON]:
    """Return the default of every input that has one."""
    return {p.name: p.default for p in model.inputs if p.default is not None}


def media_inputs(model: Model) -> dict[str, MediaKind]:
    """Return the kind of media each media input points at, by name."""
    return {p.name: p.media for p in model.inputs if p.media is not None}
