"""How a surface finds who answers, and how lists are cut into pages."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import mcp_types as t
import pytest
from mcp.shared.exceptions import MCPError

from media_mcp.server.conformance.fixture import FixtureTools, fixture, text
from media_mcp.server.conformance.prompts import FixturePrompts
from media_mcp.server.conformance.resources import FixtureResources
from media_mcp.server.toolset import PAGE_SIZE, Context, Surface, page


def saying(name: str, words: str) -> FixtureTools:
    async def run(ctx: Context, params: t.CallToolRequestParams) -> t.CallToolResult:
        return text(words)

    return FixtureTools([fixture(name, "Says its words", run)])


def walk(items: Sequence[int]) -> list[Sequence[int]]:
    pages, cursor = [], None
    while not pages or cursor is not None:
        some, cursor = page(items, cursor)
        pages.append(some)
    return pages


@pytest.mark.parametrize(
    ("count", "sizes"),
    [
        (0, [0]),
        (1, [1]),
        (PAGE_SIZE, [PAGE_SIZE]),
        (PAGE_SIZE + 1, [PAGE_SIZE, 1]),
        (3 * PAGE_SIZE, [PAGE_SIZE] * 3),
    ],
)
def test_pages_hold_every_item_once(count: int, sizes: list[int]) -> None:
    pages = walk(range(count))
    assert [len(one) for one in pages] == sizes
    assert [item for one in pages for item in one] == list(range(count))


@pytest.mark.parametrize(
    "cursor", ["", "!!!", "MTAw\n", "YWJj", "MA==", "LTE=", "OTk5OQ==", "é", "MS41"]
)
def test_a_foreign_cursor_is_an_invalid_parameter(cursor: str) -> None:
    with pytest.raises(MCPError, match="Leave the cursor out to start at the first page") as raised:
        page(range(250), cursor)
    assert raised.value.error.code == t.INVALID_PARAMS


@pytest.mark.anyio
async def test_the_first_set_that_knows_a_tool_answers() -> None:
    surface = Surface(tool_sets=(saying("a", "first"), saying("b", "other"), saying("a", "second")))
    answers = [
        (await surface.call(None, t.CallToolRequestParams(name=name))).content[0].text
        for name in ("a", "b")
    ]
    assert answers == ["first", "other"]


def test_a_schema_is_found_by_the_name_of_the_tool() -> None:
    surface = Surface(tool_sets=(saying("a", ""),))
    assert surface.schema("a")["additionalProperties"] is False
    assert surface.schema("b") is None


@pytest.mark.anyio
async def test_an_unknown_tool_is_named_with_its_neighbours() -> None:
    surface = Surface(tool_sets=(saying("find_models", ""),))
    with pytest.raises(MCPError) as raised:
        await surface.call(None, t.CallToolRequestParams(name="find_model"))
    assert raised.value.error.message == "Unknown tool: 'find_model'. Did you mean find_models?"


@pytest.mark.anyio
async def test_an_unknown_prompt_is_an_invalid_parameter() -> None:
    surface = Surface(prompt_sets=(FixturePrompts(),))
    with pytest.raises(MCPError, match="Unknown prompt: 'zzz'"):
        await surface.prompt(None, t.GetPromptRequestParams(name="zzz"))


@pytest.mark.anyio
async def test_an_unknown_resource_is_an_invalid_parameter_with_its_uri() -> None:
    surface = Surface(resource_sets=(FixtureResources(),))
    with pytest.raises(MCPError, match="Resource not found: test://zzz") as raised:
        await surface.read(None, "test://zzz")
    assert raised.value.error.data == {"uri": "test://zzz"}


@pytest.mark.anyio
async def test_a_reference_that_nobody_knows_has_no_completions() -> None:
    params = t.CompleteRequestParams.model_validate(
        {"ref": {"type": "ref/prompt", "name": "zzz"}, "argument": {"name": "a", "value": ""}}
    )
    completed = await Surface(prompt_sets=(FixturePrompts(),)).complete(None, params)
    assert completed.completion == t.Completion(values=[], total=0, has_more=False)


@pytest.mark.anyio
async def test_what_belongs_to_a_surface_lives_as_long_as_it_runs() -> None:
    events: list[str] = []

    @asynccontextmanager
    async def lifetime() -> AsyncIterator[None]:
        events.append("begin")
        yield
        events.append("end")

    async with Surface(lifetimes=(lifetime, lifetime)).running():
        events.append("serve")
    assert events == ["begin", "begin", "serve", "end", "end"]
