"""The typed tools: one per model. All can be called; the listed ones are the server's setting."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import mcp_types as t
from mcp.server.context import HandlerResult

from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.model import Model
from media_mcp.server.guard import guarded
from media_mcp.server.runs import Runs
from media_mcp.server.tooldefs import model_tool
from media_mcp.server.toolset import Context

_tool = lru_cache(maxsize=4096)(model_tool)


class ModelTools:
    """A `ToolSet` over the catalog; `listed` are the models whose tools clients see."""

    def __init__(self, catalog: Catalog, listed: Sequence[Model], runs: Runs) -> None:
        self._models = {model.tool: model for model in catalog}
        self._listed = listed
        self._runs = runs

    def tools(self) -> Sequence[t.Tool]:
        return [_tool(model) for model in self._listed]

    def tool(self, name: str) -> t.Tool | None:
        model = self._models.get(name)
        return _tool(model) if model else None

    async def call(self, ctx: Context, params: t.CallToolRequestParams) -> HandlerResult:
        return await guarded(self._run(ctx, params))

    async def _run(self, ctx: Context, params: t.CallToolRequestParams) -> HandlerResult:
        model = self._models[params.name]
        arguments = dict(params.arguments or {})
        fresh = False if model.param("fresh") else arguments.pop("fresh", False) is True
        return await self._runs.run(ctx, params, model, arguments, fresh=fresh)
