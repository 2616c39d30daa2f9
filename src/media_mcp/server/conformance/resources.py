"""The fixture resources."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import mcp_types as t

from media_mcp.server.conformance.samples import PNG
from media_mcp.server.toolset import Context

WATCHED = "test://watched-resource"
_TEMPLATE = re.compile(r"test://template/([^/]+)/data")

_CONTENTS: dict[str, t.TextResourceContents | t.BlobResourceContents] = {
    "test://static-text": t.TextResourceContents(
        uri="test://static-text",
        mime_type="text/plain",
        text="This is the content of the static text resource.",
    ),
    "test://static-binary": t.BlobResourceContents(
        uri="test://static-binary", mime_type="image/png", blob=PNG
    ),
    WATCHED: t.TextResourceContents(
        uri=WATCHED, mime_type="text/plain", text="Watched resource content"
    ),
}


class FixtureResources:
    async def resources(self, ctx: Context) -> Sequence[t.Resource]:
        return [
            t.Resource(
                uri=uri,
                name=uri.removeprefix("test://"),
                description="A resource for testing",
                mime_type=contents.mime_type,
            )
            for uri, contents in _CONTENTS.items()
        ]

    def templates(self) -> Sequence[t.ResourceTemplate]:
        return [
            t.ResourceTemplate(
                uri_template="test://template/{id}/data",
                name="template",
                description="A resource by id for testing",
                mime_type="application/json",
            )
        ]

    async def read(self, ctx: Context, uri: str) -> t.ReadResourceResult | None:
        contents = _CONTENTS.get(uri) or _filled(uri)
        return t.ReadResourceResult(contents=[contents]) if contents else None


def _filled(uri: str) -> t.TextResourceContents | None:
    match = _TEMPLATE.fullmatch(uri)
    if match is None:
        return None
    data = {"id": match[1], "templateTest": True, "data": f"Data for ID: {match[1]}"}
    return t.TextResourceContents(uri=uri, mime_type="application/json", text=json.dumps(data))
