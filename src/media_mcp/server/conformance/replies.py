"""Fixtures that answer with fixed content or repeat an argument."""

from __future__ import annotations

from collections.abc import Iterator

import mcp_types as t

from media_mcp.server.conformance.fixture import Fixture, Run, failure, fixture, text
from media_mcp.server.conformance.samples import PNG, WAV
from media_mcp.server.toolset import Context

IMAGE = t.ImageContent(data=PNG, mime_type="image/png")


def _embedded(name: str, mime_type: str, body: str) -> t.EmbeddedResource:
    uri = f"test://{name}"
    return t.EmbeddedResource(
        resource=t.TextResourceContents(uri=uri, mime_type=mime_type, text=body)
    )


FIXED: dict[str, tuple[str, list[t.ContentBlock]]] = {
    "test_simple_text": (
        "Answers with text",
        [t.TextContent(text="This is a simple text response for testing.")],
    ),
    "test_image_content": ("Answers with an image", [IMAGE]),
    "test_audio_content": (
        "Answers with sound",
        [t.AudioContent(data=WAV, mime_type="audio/wav")],
    ),
    "test_embedded_resource": (
        "Answers with an embedded resource",
        [_embedded("embedded-resource", "text/plain", "This is an embedded resource content.")],
    ),
    "test_multiple_content_types": (
        "Answers with text, an image and an embedded resource",
        [
            t.TextContent(text="Multiple content types test:"),
            IMAGE,
            _embedded("mixed-content-resource", "application/json", '{"test":"data","value":123}'),
        ],
    ),
}

# The suite compares this definition word by word with what `tools/list` shows.
JSON_SCHEMA_2020_12 = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {
        "properties": {"contactMethod": {"const": "phone"}},
        "required": ["contactMethod"],
    },
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


def replies() -> Iterator[Fixture]:
    for name, (description, content) in FIXED.items():
        yield fixture(name, description, _fixed(content))
    yield fixture("test_error_handling", "Always fails", _fail)
    yield fixture(
        "test_x_mcp_header",
        "Repeats the region, which HTTP clients mirror in a header",
        _region,
        {"region": {"type": "string", "x-mcp-header": "Region"}},
    )
    yield Fixture(
        t.Tool(
            name="json_schema_2020_12_tool",
            description="Tool with JSON Schema 2020-12 features",
            input_schema=JSON_SCHEMA_2020_12,
        ),
        _name,
    )


def _fixed(content: list[t.ContentBlock]) -> Run:
    async def run(ctx: Context, params: t.CallToolRequestParams) -> t.CallToolResult:
        return t.CallToolResult(content=content)

    return run


async def _fail(ctx: Context, params: t.CallToolRequestParams) -> t.CallToolResult:
    return failure("This tool intentionally returns an error for testing")


async def _region(ctx: Context, params: t.CallToolRequestParams) -> t.CallToolResult:
    return text(f"Region: {(params.arguments or {})['region']}")


async def _name(ctx: Context, params: t.CallToolRequestParams) -> t.CallToolResult:
    return text(f"Hello, {(params.arguments or {}).get('name', 'stranger')}!")
