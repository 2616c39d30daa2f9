"""A fixture tool is a row: its definition and what it does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import jsonschema_rs
import mcp_types as t
from mcp.server.context import HandlerResult

from media_mcp.server.tooldefs import wire
from media_mcp.server.toolset import Context

Run = Callable[[Context, t.CallToolRequestParams], Awaitable[HandlerResult]]
Properties = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Fixture:
    tool: t.Tool
    run: Run


def fixture(name: str, description: str, run: Run, properties: Properties | None = None) -> Fixture:
    """Return a fixture whose `properties` are all required and admit no others."""
    schema = {
        "type": "object",
        "properties": properties or {},
        "required": list(properties or {}),
        "additionalProperties": False,
    }
    return Fixture(t.Tool(name=name, description=description, input_schema=schema), run)


class FixtureTools:
    """The fixtures as a tool set."""

    def __init__(self, fixtures: Iterable[Fixture]) -> None:
        self._fixtures = {one.tool.name: one for one in fixtures}

    def add(self, fixtures: Iterable[Fixture]) -> None:
        self._fixtures.update({one.tool.name: one for one in fixtures})

    def toggle(self, one: Fixture) -> None:
        """Show a tool or, if it is shown, hide it: the list changes either way."""
        if self._fixtures.pop(one.tool.name, None) is None:
            self.add([one])

    def names(self) -> Sequence[str]:
        return list(self._fixtures)

    def definition(self, name: str) -> dict[str, Any] | None:
        one = self._fixtures.get(name)
        return wire(one.tool) if one else None

    async def call(self, ctx: Context, params: t.CallToolRequestParams) -> HandlerResult:
        one = self._fixtures[params.name]
        validator = jsonschema_rs.validator_for(one.tool.input_schema)
        faults = [fault.message for fault in validator.iter_errors(params.arguments or {})]
        if faults:
            return failure("; ".join(faults))
        return await one.run(ctx, params)


def text(words: str) -> t.CallToolResult:
    return t.CallToolResult(content=[t.TextContent(text=words)])


def failure(words: str) -> t.CallToolResult:
    return t.CallToolResult(content=[t.TextContent(text=words)], is_error=True)
