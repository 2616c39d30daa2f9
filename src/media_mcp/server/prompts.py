"""Prompts that a person picks in their client, and completion of what they type there."""

from __future__ import annotations

from collections.abc import Sequence

import mcp_types as t
from mcp.shared.exceptions import MCPError

from media_mcp.catalog.catalog import Catalog
from media_mcp.server.resources import CATALOG_URI
from media_mcp.server.toolset import Context

_MAX_VALUES = 100
_MAKE = t.Prompt(
    name="make",
    title="Make media",
    description="Pick the right model for a wish, say the price, make it and show where it is.",
    arguments=[
        t.PromptArgument(name="wish", description="What to make, in your words.", required=True),
        t.PromptArgument(name="task", description="The kind of work, as text-to-image."),
    ],
)
_VARY = t.Prompt(
    name="vary",
    title="Try variations",
    description="Make several cheap variations with one model and compare them before going on.",
    arguments=[
        t.PromptArgument(name="wish", description="What to make, in your words.", required=True),
        t.PromptArgument(name="model", description="The model's id.", required=True),
    ],
)


class Guides:
    """A `PromptSet` of the two prompts above."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def prompts(self) -> Sequence[t.Prompt]:
        return [_MAKE, _VARY]

    async def get(self, ctx: Context, params: t.GetPromptRequestParams) -> t.GetPromptResult | None:
        given = params.arguments or {}
        if params.name == _MAKE.name:
            return _prompt(_make(_wanted(given, "wish"), given.get("task", "")))
        if params.name == _VARY.name:
            return _prompt(_vary(_wanted(given, "wish"), _wanted(given, "model")))
        return None

    async def complete(self, ctx: Context, params: t.CompleteRequestParams) -> t.Completion | None:
        known = self._values(params.ref, params.argument.name)
        if known is None:
            return None
        typed = params.argument.value.lower()
        fits = [value for value in known if typed in value.lower()]
        fits.sort(key=lambda value: (not value.lower().startswith(typed), value))
        more = len(fits) > _MAX_VALUES
        return t.Completion(values=fits[:_MAX_VALUES], total=len(fits), has_more=more)

    def _values(
        self, ref: t.PromptReference | t.ResourceTemplateReference, argument: str
    ) -> list[str] | None:
        """Return every value that the argument may take, or None if it is not one of ours."""
        if isinstance(ref, t.ResourceTemplateReference):
            ids = ref.uri == CATALOG_URI + "/{id}" and argument == "id"
            return [head.id for head in self._catalog.heads] if ids else None
        if ref.name == _MAKE.name and argument == "task":
            return self._catalog.tasks()
        if ref.name == _VARY.name and argument == "model":
            return [head.id for head in self._catalog.heads]
        return None


def _wanted(given: dict[str, str], name: str) -> str:
    value = given.get(name, "").strip()
    if not value:
        raise MCPError(t.INVALID_PARAMS, f"{name}: is required. Fill it in and ask again.")
    return value


def _make(wish: str, task: str) -> str:
    only = f" The task is {task}." if task else ""
    return (
        f"Make this with media-mcp: {wish}\n\n"
        f"First call find_models with what is wanted.{only} Tell me which model you take and what "
        "quote says it costs, then run it. Show me the file's path and what you see in the preview."
    )


def _vary(wish: str, model: str) -> str:
    return (
        f"Make four variations of this with the model {model}: {wish}\n\n"
        "Call describe_model first. Use four seeds, the smallest size and the fewest steps that "
        "still show the idea. Compare the previews, say which is best and why, and wait for me."
    )


def _prompt(text: str) -> t.GetPromptResult:
    message = t.PromptMessage(role="user", content=t.TextContent(text=text))
    return t.GetPromptResult(messages=[message])
