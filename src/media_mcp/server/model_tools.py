"""The typed tools: one per model. All can be called; the listed ones are the server's setting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mcp_types as t
from mcp.server.context import HandlerResult

from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.head import Head
from media_mcp.server.guard import guarded
from media_mcp.server.runs import Runs
from media_mcp.server.tooldefs import model_tool
from media_mcp.server.toolset import Context


class ModelTools:
    """A `ToolSet` over the catalog; `listed` are the models whose tools clients see."""

    def __init__(self, catalog: Catalog, listed: Sequence[Head], runs: Runs) -> None:
        self._catalog = catalog
        self._heads = {head.tool: head for head in catalog.heads}
        self._names = tuple(head.tool for head in listed)
        self._runs = runs

    def names(self) -> Sequence[str]:
        return self._names

    def definition(self, name: str) -> dict[str, Any] | None:
        head = self._heads.get(name)
        return model_tool(head, self._catalog.schema(head.id)) if head else None

    async def call(self, ctx: Context, params: t.CallToolRequestParams) -> HandlerResult:
        return await guarded(self._run(ctx, params))

    async def _run(self, ctx: Context, params: t.CallToolRequestParams) -> HandlerResult:
        model = self._catalog.get(params.name)
        arguments = dict(params.arguments or {})
        fresh = False if model.param("fresh") else arguments.pop("fresh", False) is True
        return await self._runs.run(ctx, params, model, arguments, fresh=fresh)
