"""The fixtures of the MCP conformance suites, behind `media-mcp serve --http … --conformance`.

The suites call tools, resources and prompts of fixed names. `extend` adds them to a surface, so
that what is tested is the real server: its transport, its dispatch, its error mapping.
"""

from __future__ import annotations

from dataclasses import replace

import mcp_types as t

from media_mcp.server.conformance.changes import changes
from media_mcp.server.conformance.conversation import conversation
from media_mcp.server.conformance.events import RecentEvents
from media_mcp.server.conformance.fixture import FixtureTools
from media_mcp.server.conformance.jobs import jobs
from media_mcp.server.conformance.log import SessionLog
from media_mcp.server.conformance.memory_tasks import MemoryTasks
from media_mcp.server.conformance.prompts import FixturePrompts
from media_mcp.server.conformance.replies import replies
from media_mcp.server.conformance.resources import FixtureResources
from media_mcp.server.conformance.rounds import rounds
from media_mcp.server.tasks import TasksExtension
from media_mcp.server.toolset import Method, Surface

RETRY_MS = 100


def extend(surface: Surface) -> Surface:
    """Return the surface with every fixture added; its own sets are asked first."""
    log, tasks = SessionLog(), MemoryTasks()
    tools = FixtureTools([*replies(), *conversation(log), *rounds(), *jobs(tasks)])
    tools.add(changes(surface.bus, tools))
    # Registered as a method and not as a handler of the SDK's constructor, which warns of it.
    set_level = Method("logging/setLevel", t.SetLevelRequestParams, log.set_level)
    served = surface.tasks.sources if surface.tasks else ()
    return replace(
        surface,
        tool_sets=(*surface.tool_sets, tools),
        resource_sets=(*surface.resource_sets, FixtureResources()),
        prompt_sets=(*surface.prompt_sets, FixturePrompts()),
        tasks=TasksExtension(*served, tasks),
        methods=(*surface.methods, set_level),
        lifetimes=(*surface.lifetimes, tasks.running),
        event_store=RecentEvents(),
        retry_ms=RETRY_MS,
    )
