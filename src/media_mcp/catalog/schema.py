"""Models to JSON Schema: inlined, one type a property, so that every client accepts it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from media_mcp.catalog.forms import SIDES
from media_mcp.catalog.model import Model, Param, every_param
from media_mcp.job import JSON, MediaKind

MEDIA_HINT = "Path, URL, data: or media:// URI."
_EXACT = 2**53  # larger floats have no digits to spare


def input_schema(model: Model, extra: Mapping[str, JSON] | None = None) -> dict[str, JSON]:
    """Return the schema of a model's arguments, an object; `extra` adds properties of the door.

    Inputs that another has replaced are left out: `validate.complete` still takes them.
    """
    schema = object_schema([param for param in model.inputs if not param.replaced_by])
    schema["properties"] |= dict(extra or {})
    return schema


def object_schema(params: Iterable[Param]) -> dict[str, JSON]:
    """Return the schema of an object with these members and no others."""
    known = list(params)
    return {
        "type": "object",
        "properties": {param.name: property_schema(param) for param in known},
        "required": [param.name for param in known if param.required],
        "additionalProperties": False,
    }


def property_schema(param: Param) -> dict[str, JSON]:
    """Return the schema of one input, with all that is nested in it."""
    schema: dict[str, JSON] = {"type": param.type}
    if description := _description(param):
        schema["description"] = description
    if param.items is not None:
        schema["items"] = property_schema(param.items)
    if param.type == "object":
        schema |= object_schema(param.properties) if param.properties else {"properties": {}}
    return schema | _given(
        **_bounds(param),
        minLength=param.min_length,
        maxLength=param.max_length,
        minItems=param.min_items,
        maxItems=param.max_items,
        default=param.default,
        deprecated=param.deprecated or None,
    )


def _bounds(param: Param) -> dict[str, Any]:
    if param.form == "size":
        return {"pattern": f"^({'|'.join(map(str, (*param.enum, SIDES)))})$"}
    if param.type == "string":
        return {"enum": list(param.enum) or None}
    return {
        "enum": list(param.enum) or None,
        "minimum": _number(param.minimum),
        "maximum": _number(param.maximum),
        "exclusiveMinimum": _number(param.exclusive_minimum),
        "exclusiveMaximum": _number(param.exclusive_maximum),
        "multipleOf": _number(param.multiple_of),
    }


def _description(param: Param) -> str:
    hints = [
        param.description,
        _size_hint(param) if param.form == "size" else "",
        MEDIA_HINT if param.media else "",
    ]
    return " ".join(hint for hint in hints if hint)


def _size_hint(param: Param) -> str:
    most = "" if param.maximum is None else f", sides up to {_number(param.maximum)}"
    return f"As 1280x720{most}."


def _given(**keywords: JSON) -> dict[str, JSON]:
    return {name: value for name, value in keywords.items() if value is not None}


def _number(value: float | None) -> float | None:
    """Write a whole number without a point, as people do."""
    whole = isinstance(value, float) and value.is_integer() and abs(value) < _EXACT
    return int(value) if whole and value is not None else value


def defaults(model: Model) -> dict[str, JSON]:
    """Return the default of every input that has one."""
    return {p.name: p.default for p in model.inputs if p.default is not None and not p.replaced_by}


def holds_media(param: Param) -> bool:
    """Whether an input, or something nested in it, points at media."""
    return any(one.media is not None for one in every_param((param,)))


def media_inputs(model: Model) -> dict[str, MediaKind]:
    """Return the kind of media each media input points at, by name; nested ones are left out."""
    return {p.name: p.media for p in model.inputs if p.media is not None}
