"""Models as OpenAPI documents and metadata in fal's shape; `record` reads them back as facts.

Arguments are described as they go over the wire: a size is a preset or `{width, height}`, media are
addresses. What OpenAPI has no word for stands in fal's own extensions (`ui.field`, `x-fal`), and
what those have none for in `x-media`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from media_mcp.catalog.endpoints import LICENCES, UNLICENSED
from media_mcp.catalog.forms import to_form
from media_mcp.catalog.kinds import input_role, input_word, media_kind, output_word
from media_mcp.catalog.model import Model, OutputSpec, Param, ValueSpec
from media_mcp.catalog.records import record
from media_mcp.catalog.returns import RESULT, mime_type
from media_mcp.job import JSON, MediaKind

__all__ = ["document", "metadata", "record"]

SERVER = "https://queue.fal.run"
Json = dict[str, Any]

_BOUNDS = {
    "minimum": "minimum",
    "maximum": "maximum",
    "exclusive_minimum": "exclusiveMinimum",
    "exclusive_maximum": "exclusiveMaximum",
    "multiple_of": "multipleOf",
    "min_length": "minLength",
    "max_length": "maxLength",
    "min_items": "minItems",
    "max_items": "maxItems",
}
_HINTS = {"model3d": "3d"}
_SCHEMAS = {
    MediaKind.IMAGE: ("Image", ("width", "height")),
    MediaKind.VIDEO: ("VideoFile", ("width", "height", "fps", "duration", "num_frames")),
    MediaKind.AUDIO: ("AudioFile", ("duration", "sample_rate", "channels")),
}
_STATUS: Json = {
    "type": "object",
    "properties": {
        "status": {"type": "string", "enum": ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]},
        "request_id": {"type": "string", "description": "The request id."},
        "response_url": {"type": "string", "description": "The response url."},
        "status_url": {"type": "string", "description": "The status url."},
        "cancel_url": {"type": "string", "description": "The cancel url."},
        "logs": {"type": "object", "description": "The logs.", "additionalProperties": True},
        "metrics": {"type": "object", "description": "The metrics.", "additionalProperties": True},
        "queue_position": {"type": "integer", "description": "The queue position."},
    },
    "required": ["status", "request_id"],
}
_CANCELLED: Json = {
    "type": "object",
    "properties": {"success": {"type": "boolean", "description": "Whether it was cancelled."}},
}
_REQUEST_ID: Json = {
    "name": "request_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "description": "Request ID"},
}
_LOGS: Json = {
    "name": "logs",
    "in": "query",
    "required": False,
    "schema": {"type": "number", "description": "Whether to include logs (`1`) or not (`0`)."},
}


def document(model: Model) -> Json:
    """Return the OpenAPI 3.0.4 document of a model: four paths and the schemas that they use."""
    schemas = _Schemas()
    name = _camel(model.id.partition("/")[2] or model.id)
    asked = schemas.add(f"{name}Input", _input_schema(model, schemas))
    answered = schemas.add(f"{name}Output", _output_schema(model, schemas))
    return {
        "openapi": "3.0.4",
        "info": _info(model),
        "components": {
            "securitySchemes": {
                "apiKeyAuth": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "Fal Key",
                }
            },
            "schemas": {"QueueStatus": _STATUS, **schemas.found},
        },
        "servers": [{"url": SERVER}],
        "security": [{"apiKeyAuth": []}],
        "paths": _paths(model.id, asked, answered),
    }


def metadata(model: Model) -> Json:
    """Return what the platform API says of a model beside its schema.

    `provider` is ours, and so is `licence`, for what is none of fal's three kinds.
    """
    kinds = {words: kind for kind, words in LICENCES.items()}
    kind = kinds.get(model.licence)
    licence = {"license_type": kind} if kind else {"licence": model.licence}
    return {
        "display_name": model.title,
        "category": model.task,
        "description": model.description,
        "status": "deprecated" if model.retired else "active",
        "tags": [],
        "updated_at": model.as_of,
        "is_favorited": False,
        "thumbnail_url": "",
        "model_url": f"{SERVER}/{model.id}",
        **(licence if model.licence != UNLICENSED else {}),
        "date": model.as_of,
        "group": {"key": model.family, "label": model.title},
        "highlighted": model.featured,
        "kind": "training" if model.task == "training" else "inference",
        "pinned": False,
        "provider": model.provider,
    }


class _Schemas:
    """The named schemas of a document; the same schema keeps its name, another gets a number."""

    def __init__(self) -> None:
        self.found: Json = {}

    def add(self, name: str, schema: Json) -> Json:
        """Return a reference to `schema`, under `name` or the next free name like it."""
        number, free = 1, name
        while self.found.setdefault(free, schema) != schema:
            number += 1
            free = f"{name}{number}"
        return {"$ref": f"#/components/schemas/{free}"}


def _info(model: Model) -> Json:
    told = {
        "endpointId": model.id,
        "category": model.task,
        "thumbnailUrl": "",
        "playgroundUrl": "",
        "documentationUrl": "",
    }
    return {
        "title": f"Queue OpenAPI for {model.id}",
        "version": "1.0.0",
        "description": f"The OpenAPI schema for the {model.id} queue.",
        "x-fal-metadata": told,
    }


def _paths(model_id: str, asked: Json, answered: Json) -> Json:
    one = f"/{model_id}/requests/{{request_id}}"
    status = {"$ref": "#/components/schemas/QueueStatus"}
    return {
        f"{one}/status": {
            "get": {
                "parameters": [_REQUEST_ID, _LOGS],
                "responses": _answers("The request status.", status),
            }
        },
        f"{one}/cancel": {
            "put": {
                "parameters": [_REQUEST_ID],
                "responses": _answers("The request was cancelled.", _CANCELLED),
            }
        },
        f"/{model_id}": {
            "post": {
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": asked}},
                },
                "responses": _answers("The request status.", status),
            }
        },
        one: {
            "get": {
                "parameters": [_REQUEST_ID],
                "responses": _answers("Result of the request.", answered),
            }
        },
    }


def _answers(words: str, schema: Json) -> Json:
    return {"200": {"description": words, "content": {"application/json": {"schema": schema}}}}


def _input_schema(model: Model, schemas: _Schemas) -> Json:
    return _object(model.inputs, schemas)


def _object(params: Iterable[Param], schemas: _Schemas) -> Json:
    known = list(params)
    names = [param.name for param in known]
    made: Json = {
        "type": "object",
        "properties": {param.name: _property(param, schemas) for param in known},
        "x-fal-order-properties": names,
    }
    required = [param.name for param in known if param.required]
    return made | ({"required": required} if required else {})


def _property(param: Param, schemas: _Schemas) -> Json:
    made = _typed(param, schemas)
    if param.name:
        made["title"] = param.name.replace("_", " ").title()
    if param.description:
        made["description"] = param.description
    if param.default is not None:
        size = param.form == "size"  # a number that may be a word has its default as a text
        made["default"] = to_form("size", param.default) if size else param.default
    if param.deprecated:
        made["deprecated"] = True
    return made | _hints(param)


def _typed(param: Param, schemas: _Schemas) -> Json:
    if param.form == "size":
        return _size(param, schemas)
    if param.form == "number":
        return {"anyOf": [{"type": "number"}, {"type": "string"}]}
    if param.properties:
        members = _object(param.properties, schemas)
        return {"allOf": [schemas.add(_camel(param.name) or "Item", members)]}
    made: Json = {"type": param.type}
    if param.items is not None:
        made["items"] = _property(param.items, schemas)
    if param.enum:
        made["enum"] = list(param.enum)
    bounds = {told: getattr(param, name) for name, told in _BOUNDS.items()}
    return made | {told: value for told, value in bounds.items() if value is not None}


def _size(param: Param, schemas: _Schemas) -> Json:
    side: Json = {"type": "integer"}
    if param.maximum is not None:
        side["maximum"] = int(param.maximum)
    if param.minimum is not None:
        side["exclusiveMinimum"] = int(param.minimum) - 1
    sides = {"width": {"title": "Width", **side}, "height": {"title": "Height", **side}}
    order = {"x-fal-order-properties": ["width", "height"]}
    size = schemas.add("ImageSize", {"type": "object", "properties": sides, **order})
    presets: Json = {"type": "string"} | ({"enum": list(param.enum)} if param.enum else {})
    return {"anyOf": [size, presets]}


def _hints(param: Param) -> Json:
    """Say what OpenAPI cannot: the kind of media, its limits, and its role where no name tells."""
    made: Json = {}
    texts = param.type == "string" or (param.items is not None and param.items.type == "string")
    if param.media is not None:
        made["ui"] = {"field": _HINTS.get(param.media.value, param.media.value)}
    elif texts and media_kind(input_word(param.name)) is not None:
        made["ui"] = {"field": "text"}
    if param.limits:
        made["x-fal"] = dict(param.limits)
    ours = {"role": param.role} if param.role != _known_role(param) else {}
    ours |= {"replaced_by": param.replaced_by} if param.replaced_by else {}
    return made | ({"x-media": ours} if ours else {})


def _known_role(param: Param) -> str:
    return input_role(param.name, param.media.value) if param.media else ""


def _output_schema(model: Model, schemas: _Schemas) -> Json:
    """Describe what comes back; the whole answer, which stands in for media, is no part of it."""
    media = [output for output in model.outputs if not _is_whole(output)]
    made = {output.role: _output(output, model, schemas) for output in media}
    values = {value.name: _value(value) for value in model.values}
    return {
        "type": "object",
        "properties": made | values,
        "x-fal-order-properties": [*made, *values],
        **({"required": list(made)} if made else {}),
    }


def _is_whole(output: OutputSpec) -> bool:
    return (output.role, output.kind.value, output.shape) == (
        RESULT["role"],
        RESULT["kind"],
        RESULT["shape"],
    )


def _value(value: ValueSpec) -> Json:
    title = {"title": value.name.replace("_", " ").title()}
    return title if value.type == "any" else {"type": value.type, **title}


def _output(output: OutputSpec, model: Model, schemas: _Schemas) -> Json:
    name, more = _SCHEMAS.get(output.kind, ("File", ()))
    linked = output.shape in ("url", "urls", "value")
    one: Json = {"type": "string"} if linked else schemas.add(name, _file(more))
    many = output.shape in ("files", "urls")
    made: Json = {"type": "array", "items": one} if many else one if linked else {"allOf": [one]}
    made |= {"title": output.role.replace("_", " ").title()}
    told = output_word(output.role, "" if linked else name)
    if (media_kind(told) or MediaKind.FILE) is not output.kind or (linked and told == "file"):
        made["ui"] = {"field": _HINTS.get(output.kind.value, output.kind.value)}
    return made | _example(output, model)


def _file(more: Iterable[str]) -> Json:
    texts = ("url", "content_type", "file_name")
    properties: Json = {name: {"type": "string"} for name in texts}
    properties |= {name: {"type": "number"} for name in ("file_size", *more)}
    order = {"x-fal-order-properties": list(properties)}
    return {"type": "object", "properties": properties, "required": ["url"], **order}


def _example(output: OutputSpec, model: Model) -> Json:
    """Show the type of a file where it is not the one that everybody would guess."""
    inputs = [{"name": param.name, "default": param.default} for param in model.inputs]
    facts: Mapping[str, JSON] = {"endpoint_id": model.id, "inputs": inputs}
    known = mime_type(output.role, output.kind, facts)
    return {} if output.mime_type == known else {"examples": [{"content_type": output.mime_type}]}


def _camel(text: str) -> str:
    words = "".join(c if c.isalnum() else " " for c in text).split()
    return "".join(word[:1].upper() + word[1:] for word in words)
