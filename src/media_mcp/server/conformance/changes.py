"""Fixtures that change the lists and the watched resource.

They publish on the surface's bus and the server tells the clients of both eras.
"""

from __future__ import annotations

from collections.abc import Iterator

import mcp_types as t
from mcp.server.subscriptions import (
    PromptsListChanged,
    ResourceUpdated,
    ServerEvent,
    SubscriptionBus,
    ToolsListChanged,
)

from media_mcp.server.conformance.fixture import Fixture, FixtureTools, Run, fixture, text
from media_mcp.server.conformance.resources import WATCHED
from media_mcp.server.toolset import Context


def changes(bus: SubscriptionBus, tools: FixtureTools) -> Iterator[Fixture]:
    yield fixture(
        "test_trigger_tool_change", "Changes the list of tools", _change_tools(bus, tools)
    )
    yield fixture(
        "test_trigger_prompt_change",
        "Says that the list of prompts has changed",
        _publishing(bus, PromptsListChanged()),
    )
    yield fixture(
        "test_trigger_resource_change",
        "Says that the watched resource has changed",
        _publishing(bus, ResourceUpdated(uri=WATCHED)),
    )


def _publishing(bus: SubscriptionBus, event: ServerEvent) -> Run:
    async def run(ctx: Context, params: t.CallToolRequestParams) -> t.CallToolResult:
        await bus.publish(event)
        return text("Published.")

    return run


def _change_tools(bus: SubscriptionBus, tools: FixtureTools) -> Run:
    passing = fixture("test_passing_tool", "Comes and goes", _passing)
    publish = _publishing(bus, ToolsListChanged())

    async def run(ctx: Context, params: t.CallToolRequestParams) -> t.CallToolResult:
        tools.toggle(passing)
        await publish(ctx, params)
        return text("The list of tools has changed.")

    return run


async def _passing(ctx: Context, params: t.CallToolRequestParams) -> t.CallToolResult:
    return text("Still here.")
