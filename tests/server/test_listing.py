"""What clients see of the server: tools, their budgets and golden files, prompts, instructions."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mcp_types as t
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.model import TOOL_NAME
from media_mcp.server import answer
from media_mcp.server.app import open_app
from media_mcp.server.general_tools import TOOLS
from media_mcp.server.mcp import INSTRUCTIONS, McpServer, surface_of
from media_mcp.server.tooldefs import model_tool
from media_mcp.settings import Settings, load_settings
from support import Opened

GOLDEN = Path(__file__).parent / "golden"
DEFINITION_TOKENS = 500
pytestmark = pytest.mark.anyio


def definitions() -> list[t.Tool]:
    models = [model_tool(model) for model in Catalog.load()]
    return [*(tool.definition() for tool in TOOLS), *models]


def wire(tool: t.Tool) -> dict[str, Any]:
    return tool.model_dump(mode="json", by_alias=True, exclude_none=True)


def schemas_in(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, dict):
        return []
    nested = [*value.get("properties", {}).values(), value.get("items")]
    return [value, *(found for one in nested for found in schemas_in(one))]


@pytest.mark.parametrize("tool", definitions(), ids=lambda tool: tool.name)
def test_every_definition_is_as_its_golden_file_says(tool: t.Tool) -> None:
    path = GOLDEN / f"{tool.name}.json"
    text = json.dumps(wire(tool), indent=1, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert path.read_text() == text, "if that was meant: UPDATE_GOLDEN=1 make test, and commit"


def test_there_is_no_golden_file_without_a_tool() -> None:
    assert {path.stem for path in GOLDEN.glob("*.json")} == {tool.name for tool in definitions()}


@pytest.mark.parametrize("tool", definitions(), ids=lambda tool: tool.name)
def test_every_definition_is_safe_for_every_client(tool: t.Tool) -> None:
    assert TOOL_NAME.match(tool.name)
    assert tool.title
    assert tool.annotations is not None
    assert tool.annotations.read_only_hint is not None
    assert tool.output_schema is not None
    for schema in (tool.input_schema, tool.output_schema):
        assert schema["type"] == "object"
        assert not {"oneOf", "anyOf", "allOf", "$ref"} & set(schema)
        for one in schemas_in(schema):
            assert isinstance(one["type"], str)


@pytest.mark.parametrize("tool", definitions(), ids=lambda tool: tool.name)
def test_every_definition_keeps_to_its_budget(tool: t.Tool) -> None:
    assert len(str(tool.description).split()) <= 60
    shown = {"name": tool.name, "description": tool.description, "schema": tool.input_schema}
    assert answer.tokens(shown) <= DEFINITION_TOKENS


def test_the_instructions_are_short() -> None:
    assert len(INSTRUCTIONS.split()) < 200
    assert len(INSTRUCTIONS) < 2000


def test_the_general_tools_are_always_loaded_and_the_models_can_be_searched() -> None:
    for tool in definitions():
        meta = tool.meta or {}
        assert ("anthropic/alwaysLoad" in meta) != ("anthropic/searchHint" in meta)


async def test_by_default_at_most_20_tools_are_listed(opened: Opened, era: str) -> None:
    async with opened() as (_, server), Client(server.sdk, mode=era) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        assert len(names) <= 20
        assert {"find_models", "run_model", "get_job", "sketch"} <= set(names)


async def test_a_list_of_1575_models_comes_in_pages_of_100(
    settings: Callable[..., Settings], tmp_path: Path, era: str
) -> None:
    async with open_app(settings(tools="all")) as app:
        base = app.catalog.get("rehearsal/image")
        models = [replace(base, id=f"acme/m{n:04}", tool=f"acme_m{n:04}") for n in range(1575)]
        large = replace(app, catalog=Catalog(models))
        server = McpServer(surface_of(large))
        async with server.running(large), Client(server.sdk, mode=era) as client:
            sizes, cursor = [], None
            while True:
                page = await client.list_tools(cursor=cursor)
                sizes.append(len(page.tools))
                cursor = page.next_cursor
                if cursor is None:
                    break
        assert sum(sizes) == 1575 + len(TOOLS)
        assert max(sizes) == 100


async def test_a_made_up_cursor_is_refused(opened: Opened, era: str) -> None:
    async with opened() as (_, server), Client(server.sdk, mode=era) as client:
        with pytest.raises(MCPError, match="Invalid cursor"):
            await client.list_tools(cursor="bm90IG9uZQ==")


async def test_lists_carry_cache_hints_in_the_newer_era(opened: Opened) -> None:
    async with opened() as (_, server), Client(server.sdk, mode="2026-07-28") as client:
        tools = await client.list_tools()
        assert tools.ttl_ms == 300_000
        assert tools.cache_scope == "public"


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_the_server_says_who_it_is_and_how_to_work_with_it(opened: Opened, mode: str) -> None:
    async with opened() as (_, server), Client(server.sdk, mode=mode) as client:
        assert client.instructions == INSTRUCTIONS
        assert client.server_info is not None
        assert client.server_info.name == "media-mcp"
        assert client.server_capabilities.tools is not None
        assert client.server_capabilities.tools.list_changed


async def test_prompts_are_listed_and_filled_in(opened: Opened, era: str) -> None:
    async with opened() as (_, server), Client(server.sdk, mode=era) as client:
        assert [p.name for p in (await client.list_prompts()).prompts] == ["make", "vary"]
        made = await client.get_prompt("make", {"wish": "a red boat", "task": "text-to-image"})
        assert "a red boat" in made.messages[0].content.text
        assert "The task is text-to-image." in made.messages[0].content.text
        varied = await client.get_prompt("vary", {"wish": "a boat", "model": "sketch"})
        assert "with the model sketch" in varied.messages[0].content.text


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [("make", {}, "wish: is required"), ("vary", {"wish": "x"}, "model: is"), ("mak", {}, "make")],
)
async def test_a_wrong_prompt_is_told_what_is_missing(
    opened: Opened, name: str, arguments: dict[str, str], words: str
) -> None:
    async with opened() as (_, server), Client(server.sdk) as client:
        with pytest.raises(MCPError, match=words):
            await client.get_prompt(name, arguments)


@pytest.mark.parametrize(
    ("ref", "argument", "typed", "values"),
    [
        (t.PromptReference(name="vary"), "model", "sk", ["sketch"]),
        (t.PromptReference(name="make"), "task", "speech-to", ["speech-to-text"]),
        (t.ResourceTemplateReference(uri="catalog://models/{id}"), "id", "sketch", ["sketch"]),
        (t.ResourceTemplateReference(uri="media://{asset}"), "asset", "x", []),
        (t.PromptReference(name="vary"), "wish", "x", []),
        (t.PromptReference(name="nobody"), "x", "x", []),
    ],
)
async def test_arguments_are_completed(
    opened: Opened, ref: Any, argument: str, typed: str, values: list[str]
) -> None:
    async with opened() as (_, server), Client(server.sdk) as client:
        done = await client.complete(ref, {"name": argument, "value": typed})
        assert done.completion.values == values


def test_a_wrong_choice_of_tools_is_told_at_the_start() -> None:
    with pytest.raises(Exception, match="no model called 'sketsh'"):
        Catalog.load().select(load_settings(tools="sketsh").tools)
