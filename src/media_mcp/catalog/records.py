"""OpenAPI documents in fal's shape, read into records of facts (see `facts`).

What a place sends is hostile: what cannot be understood is left out, nothing is followed further
than `DEEPEST`, and of one document no more than `MOST` schemas are read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from media_mcp.catalog.fitting import LARGEST
from media_mcp.catalog.kinds import LINK, field_word, input_role, input_word, output_word
from media_mcp.catalog.returns import is_link
from media_mcp.job import JSON

Json = dict[str, Any]
Schema = Mapping[str, Any]

DEEPEST = 8
MOST = 20_000
_NAME = re.compile(r"^[A-Za-z0-9_.-]{1,64}$")
_DAY = re.compile(r"^\d{4}-\d{2}-\d{2}")
_TYPES = frozenset({"string", "integer", "number", "boolean", "array", "object"})
_KEYS = {
    "minimum": "minimum",
    "maximum": "maximum",
    "exclusiveMinimum": "exclusive_minimum",
    "exclusiveMaximum": "exclusive_maximum",
    "multipleOf": "multiple_of",
    "minLength": "min_length",
    "maxLength": "max_length",
    "minItems": "min_items",
    "maxItems": "max_items",
}
_LIMITS = re.compile(r"^(min|max)_(file_size|width|height|aspect_ratio|fps|duration|pixels)$")
_ENDINGS: tuple[tuple[str, str], ...] = (
    (r"\.(png|jpe?g|webp|gif|avif|bmp|tiff?)$", "image"),
    (r"\.(mp4|mov|webm|mkv|m4v|avi)$", "video"),
    (r"\.(mp3|wav|flac|ogg|m4a|aac|opus)$", "audio"),
    (r"\.(glb|gltf|obj|fbx|stl|ply|usdz)$", "model3d"),
    (r"\.(zip|tar|gz)$", "archive"),
    (r"\.(safetensors|ckpt|bin|pt)$", "weights"),
)


def record(document: Schema, metadata: Schema, endpoint_id: str = "") -> Json:
    """Return the facts that a document and its metadata hold of one endpoint."""
    told = _mapping(_mapping(document.get("info")).get("x-fal-metadata"))
    reader = _Reader(document)
    asked, answered = _schemas(document)
    return {
        "endpoint_id": endpoint_id or str(told.get("endpointId") or ""),
        "category": _text(metadata.get("category")) or _text(told.get("category")),
        **_standing(metadata),
        "inputs": list(reader.inputs(asked)),
        "outputs": list(reader.outputs(answered)),
    }


def _standing(metadata: Schema) -> Json:
    published = _DAY.match(_text(metadata.get("date")))
    estimate = metadata.get("duration_estimate")
    return {
        "name": _text(metadata.get("display_name")),
        "provider": _text(metadata.get("provider")),
        "license_type": _text(metadata.get("license_type")) or _text(metadata.get("licence")),
        "status": _text(metadata.get("status")),
        "kind": _text(metadata.get("kind")),
        "group": _mapping(metadata.get("group")),
        "published": published[0] if published else "",
        "stream_url": _text(metadata.get("stream_url")),
        "duration_estimate": estimate if _is_number(estimate) else None,
    }


def _schemas(document: Schema) -> tuple[Schema, Schema]:
    """Return what is sent and what comes back, each `{}` if the document does not say."""
    asked: Schema = {}
    answered: Schema = {}
    for path, methods in _mapping(document.get("paths")).items():
        post, get = _mapping(methods).get("post"), _mapping(methods).get("get")
        if body := _content(_mapping(post).get("requestBody")):
            asked = body
        if str(path).rstrip("/").endswith("/requests/{request_id}"):
            answered = _content(_mapping(_mapping(get).get("responses")).get("200")) or answered
    return asked, answered


def _content(body: JSON) -> Schema:
    kinds = _mapping(_mapping(body).get("content"))
    return _mapping(_mapping(kinds.get("application/json")).get("schema"))


class _Reader:
    """Resolves the schemas of one document."""

    def __init__(self, document: Schema) -> None:
        self._named = _mapping(_mapping(document.get("components")).get("schemas"))
        self._left = MOST

    def inputs(self, schema: Schema) -> Iterator[Json]:
        """Yield the arguments that an object takes, in the order that it asks for."""
        yield from self._members(self._resolved(schema, 0), 1)

    def outputs(self, schema: Schema) -> Iterator[Json]:
        """Yield what an answer holds."""
        for name, one in _ordered(self._resolved(schema, 0)):
            yield self._output(name, one)

    def _argument(self, name: str, schema: Schema, required: bool, depth: int) -> Json:
        made: Json = {"name": name} | self._typed(schema, depth)
        hints = self._resolved(schema, depth)
        made |= _media(name, made, hints) | _ours(hints)
        if hints.get("deprecated") is True:
            made["deprecated"] = True
        return made | {"required": required, "default": hints.get("default")}

    def _typed(self, schema: Schema, depth: int) -> Json:
        """Return type, bounds, choices and members of a schema, in a record's words."""
        whole = self._resolved(schema, depth)
        if depth > DEEPEST or self._left <= 0:
            return {"type": "object"}
        options = [o for o in _options(whole) if self._resolved(o, depth).get("type") != "null"]
        if len(options) > 1:
            any_of = [self._typed(option, depth + 1) for option in options]
            return {"type": "union", "any_of": any_of} | _bounds(whole)
        made = {"type": _type(whole), **_bounds(whole)} | _named(whole)
        if made["type"] == "array":
            made["items"] = self._items(whole, depth + 1)
        if made["type"] == "object" and isinstance(whole.get("properties"), dict):
            made["properties"] = self._members(whole, depth + 1)
        return made

    def _items(self, whole: Schema, depth: int) -> Json:
        items = _mapping(whole.get("items"))
        made = self._typed(items, depth)
        limits = _limits(self._resolved(items, depth))
        return made | ({"media_limits": limits} if limits else {})

    def _members(self, whole: Schema, depth: int) -> list[Json]:
        needed = _required(whole)
        return [self._argument(name, one, name in needed, depth) for name, one in _ordered(whole)]

    def _output(self, name: str, schema: Schema) -> Json:
        typed = self._typed(schema, 1)
        made = {"name": name, "type": typed["type"], "required": True} | _fields(typed)
        hints = self._resolved(schema, 1)
        field = _field(hints) or ("text" if _told(hints) == "text" else "")
        linked = "url" in _fields_of(made) or (_of_texts(made) and is_link(made))
        if field or linked:
            made["media_kind"] = field or output_word(name, _ref_of(made))
        if field:
            made["media_how"] = "ui"
        return made | _mime_type(hints)

    def _resolved(self, schema: Schema, depth: int) -> Json:
        """Follow references and merge what all must hold; what a schema says itself wins."""
        made: Json = {}
        self._left -= 1
        if depth > DEEPEST or self._left <= 0:
            return made
        if isinstance(ref := schema.get("$ref"), str):
            name = ref.rpartition("/")[2]
            made = self._resolved(_mapping(self._named.get(name)), depth + 1)
            made["x-ref"] = name
        parts = schema.get("allOf")
        for part in parts if isinstance(parts, list) else ():
            made = _merged(made, self._resolved(_mapping(part), depth + 1))
        made |= {k: v for k, v in schema.items() if k not in ("$ref", "allOf")}
        real = [o for o in _options(made) if _mapping(o).get("type") != "null"]
        if len(real) == 1:
            only = self._resolved(real[0], depth + 1)
            made = only | {k: v for k, v in made.items() if k not in ("anyOf", "oneOf")}
        return made


def _merged(one: Json, other: Json) -> Json:
    both = isinstance(one.get("properties"), dict) and isinstance(other.get("properties"), dict)
    made = one | other
    if both:
        made["properties"] = one["properties"] | other["properties"]
        made["required"] = [*_required(one), *_required(other)]
    return made


def _required(whole: Schema) -> list[str]:
    told = whole.get("required")
    return [name for name in told if isinstance(name, str)] if isinstance(told, list) else []


def _options(schema: Schema) -> list[Schema]:
    told = schema.get("anyOf") or schema.get("oneOf")
    return [o for o in told if isinstance(o, dict)] if isinstance(told, list) else []


def _ordered(whole: Schema) -> Iterator[tuple[str, Schema]]:
    properties = _mapping(whole.get("properties"))
    order = whole.get("x-fal-order-properties")
    first = [n for n in order if isinstance(n, str)] if isinstance(order, list) else []
    for name in dict.fromkeys([*first, *properties]):
        if isinstance(properties.get(name), dict) and _NAME.match(name):
            yield name, properties[name]


def _type(schema: Schema) -> str:
    told = schema.get("type")
    if isinstance(told, list):
        told = next((one for one in told if one != "null"), None)
    if told in _TYPES:
        return str(told)
    if isinstance(schema.get("properties"), dict):
        return "object"
    return "string" if _choices(schema) else "any"


def _choices(schema: Schema) -> list[JSON]:
    told = schema.get("enum")
    known = told if isinstance(told, list) else [schema["const"]] if "const" in schema else []
    return [choice for choice in known if isinstance(choice, str) or _is_number(choice)]


def _bounds(schema: Schema) -> Json:
    made = {ours: schema[told] for told, ours in _KEYS.items() if _is_number(schema.get(told))}
    for edge in ("minimum", "maximum"):  # OpenAPI 3.0 says it with a truth beside the bound
        if schema.get(f"exclusive{edge.title()}") is True and edge in made:
            made[f"exclusive_{edge}"] = made.pop(edge)
    return made | ({"enum": choices} if (choices := _choices(schema)) else {})


def _named(whole: Schema) -> Json:
    return {"ref": whole["x-ref"]} if isinstance(whole.get("x-ref"), str) else {}


def _media(name: str, made: Schema, hints: Schema) -> Json:
    """Return the kind of media that an argument points at, by a hint, its name or its example."""
    if not _of_texts(made):
        return {}
    field = _field(hints)
    word = field or ("" if _told(hints) else input_word(name))
    how = "ui" if field else "name"
    if word == "file" and (seen := _of_example(name, hints)):
        word, how = seen, "example"
    if not word:
        return {}
    role = input_role(name, word)
    limits = _limits(hints)
    found: Json = {"media_kind": word, "media_how": how}
    if role:
        found["media_role"] = role
    if limits:
        found["media_limits"] = limits
    return found


def _of_texts(made: Schema) -> bool:
    if made["type"] == "union":
        return any(_of_texts(option) for option in made["any_of"])
    inner = _mapping(made.get("items")) if made["type"] == "array" else made
    return inner.get("type") == "string"


def _told(hints: Schema) -> str:
    """Return the field that a form shows for an argument, `""` if it does not say."""
    told = _text(_mapping(hints.get("ui")).get("field")) or _text(hints.get("_fal_ui_field"))
    return told or _text(_mapping(_mapping(hints.get("items")).get("ui")).get("field"))


def _field(hints: Schema) -> str:
    word = field_word(_told(hints))
    return word if word in ("image", "video", "audio", "model3d", "archive", "file") else ""


def _of_example(name: str, hints: Schema) -> str:
    examples = hints.get("examples")
    told = [hints.get("example"), *(examples if isinstance(examples, list) else [])]
    addresses = [one.partition("?")[0].lower() for one in told if isinstance(one, str)]
    if not LINK.search(name):
        return ""
    found = (word for a in addresses for ending, word in _ENDINGS if re.search(ending, a))
    return next(found, "")


def _limits(hints: Schema) -> Json:
    told = _mapping(hints.get("x-fal")).items()
    return {name: value for name, value in told if _LIMITS.match(str(name)) and _is_number(value)}


def _ours(hints: Schema) -> Json:
    told = _mapping(hints.get("x-media"))
    role, heir = told.get("role"), told.get("replaced_by")
    made: Json = {"media_role": role} if isinstance(role, str) else {}
    return made | ({"replaced_by": heir} if isinstance(heir, str) else {})


def _fields(typed: Schema) -> Json:
    """Return what tells a file from other things: the names of its members."""
    made = {key: typed[key] for key in ("ref", "any_of") if key in typed}
    if "properties" in typed:
        made["fields"] = [member["name"] for member in typed["properties"]]
    if items := typed.get("items"):
        made["items"] = {"type": items["type"]} | _fields(items)
    return made


def _fields_of(made: Schema) -> list[str]:
    options = made.get("any_of") or ()
    found = made.get("fields") or _mapping(made.get("items")).get("fields")
    for option in options:
        found = found or [member["name"] for member in option.get("properties") or ()]
    return found or []


def _ref_of(made: Schema) -> str:
    return str(made.get("ref") or _mapping(made.get("items")).get("ref") or "")


def _mime_type(hints: Schema) -> Json:
    examples = hints.get("examples")
    first = examples[0] if isinstance(examples, list) and examples else None
    first = first[0] if isinstance(first, list) and first else first
    told = _text(_mapping(first).get("content_type"))
    return {"mime_type": told} if re.match(r"^[a-z0-9]+/[a-z0-9.+-]+$", told) else {}


def _mapping(value: JSON) -> Json:
    return value if isinstance(value, dict) else {}


def _text(value: JSON) -> str:
    return value if isinstance(value, str) else ""


def _is_number(value: JSON) -> bool:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return known and abs(value) < LARGEST and math.isfinite(value)
