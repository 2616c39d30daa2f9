"""What clients see of the server: tools, their budgets and golden files, prompts, instructions."""

import json
import os
import runpy
from collections.abc import AsyncIterator, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import anyio
import jsonschema_rs
import mcp_types as t
import pytest
from mcp import Client
from mcp.server import Server
from mcp.shared.exceptions import MCPError
from mcp.shared.memory import create_client_server_memory_streams
from mcp.shared.message import SessionMessage
from mcp_types.methods import serialize_server_result
from mcp_types.version import KNOWN_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS

from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.lint import schema_faults
from media_mcp.catalog.model import TOOL_NAME
from media_mcp.server.answer import tokens
from media_mcp.server.general_tools import TOOLS
from media_mcp.server.mcp import INSTRUCTIONS
from media_mcp.server.tooldefs import model_tool
from media_mcp.server.tooldefs import wire as on_the_wire
from media_mcp.server.toolset import PAGE_SIZE
from media_mcp.settings import load_settings
from rawwire import envelope
from support import Opened

GOLDEN = Path(__file__).parent / "golden"
SCRIPT = Path(__file__).parents[2] / "scripts" / "tool_tokens.py"
DEFINITION_TOKENS = 500
LONGEST_NAME = 64  # of a tool as clients pass it on, the server's name before it
LONGEST_DESCRIPTION = 2048  # bytes; clients cut longer ones
pytestmark = pytest.mark.anyio

Definition = dict[str, Any]


@lru_cache(maxsize=1)
def every() -> tuple[Definition, ...]:
    catalog = Catalog.load()
    models = [model_tool(head, catalog.schema(head.id)) for head in catalog.heads]
    return (*(on_the_wire(tool.definition()) for tool in TOOLS), *models)


def default() -> list[Definition]:
    names = {head.tool for head in Catalog.load().select("featured")}
    names |= {tool.name for tool in TOOLS}
    return [tool for tool in every() if tool["name"] in names]


def test_the_default_tools_are_as_their_golden_files_say() -> None:
    texts = {d["name"]: json.dumps(d, indent=1, ensure_ascii=False) + "\n" for d in default()}
    if os.environ.get("UPDATE_GOLDEN"):
        write_golden(texts)
    golden = {path.stem: path.read_text(encoding="utf-8") for path in GOLDEN.glob("*.json")}
    assert golden == texts, "if that was meant: UPDATE_GOLDEN=1 make test, and commit"


def write_golden(texts: dict[str, str]) -> None:
    for path in GOLDEN.glob("*.json"):
        path.unlink()
    for name, text in texts.items():
        (GOLDEN / f"{name}.json").write_text(text, encoding="utf-8")


def test_every_tool_is_safe_for_every_client() -> None:
    assert {tool["name"]: wrong for tool in every() if (wrong := list(refusals(tool)))} == {}


def refusals(tool: Definition) -> Iterator[str]:
    """Yield why some client would refuse or cut a tool."""
    if not TOOL_NAME.match(tool["name"]):
        yield "its name has other characters"
    if len(f"mcp__media-mcp__{tool['name']}") > LONGEST_NAME:
        yield "its name is too long"
    if not (tool["title"] and tool["description"]):
        yield "it has no words"
    if len(tool["description"].encode()) > LONGEST_DESCRIPTION:
        yield "its description is too long"
    hints = tool["annotations"]
    if hints.get("readOnlyHint") is not True and hints.get("destructiveHint") is not False:
        yield "it seems to destroy"
    for schema in (tool["inputSchema"], tool["outputSchema"]):
        yield from schema_refusals(schema)


def schema_refusals(schema: dict[str, Any]) -> Iterator[str]:
    if schema["type"] != "object":
        yield "its schema is of no object"
    if not jsonschema_rs.meta.is_valid(schema):
        yield "its schema is none"
    if not set(schema.get("required", ())) <= set(schema.get("properties", ())):
        yield "its schema requires what it does not know"
    yield from map(str, schema_faults(schema))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "Sketch"}, "its name has other characters"),
        ({"name": "a" * 49}, "its name is too long"),
        ({"title": ""}, "it has no words"),
        ({"description": "é" * 1025}, "its description is too long"),
        ({"annotations": {}}, "it seems to destroy"),
        ({"inputSchema": {"type": "array", "properties": {}}}, "its schema is of no object"),
        ({"inputSchema": {"type": "object", "properties": {}, "minimum": ""}}, "schema is none"),
        ({"inputSchema": {"type": "object", "properties": {}, "required": ["x"]}}, "not know"),
        ({"inputSchema": {"type": "object", "properties": {}, "anyOf": []}}, "uses anyOf"),
        ({"outputSchema": {"type": "object", "properties": {"x": {}}}}, "not have one type"),
        (
            {"inputSchema": {"type": "object", "properties": {"a b": {"type": "string"}}}},
            "the name 'a b' must match",
        ),
    ],
)
def test_a_tool_that_some_client_refuses_is_found(change: Definition, words: str) -> None:
    assert not list(refusals(default()[0]))
    assert any(words in why for why in refusals(default()[0] | change))


def test_no_two_tools_share_a_name() -> None:
    names = [tool["name"] for tool in every()]
    assert len(set(names)) == len(names)


def test_no_description_is_longer_than_60_words() -> None:
    assert max(len(tool["description"].split()) for tool in every()) <= 60


def test_the_general_tools_are_always_loaded_and_the_models_can_be_searched() -> None:
    for tool in every():
        assert ("anthropic/alwaysLoad" in tool["_meta"]) != bool(
            tool["_meta"].get("anthropic/searchHint")
        )


def test_only_what_stays_on_this_machine_says_so() -> None:
    hosted = {head.tool for head in Catalog.load().heads if "fal" in head.backends}
    closed = {d["name"] for d in every() if d["annotations"].get("openWorldHint") is False}
    assert not closed & (hosted | {"run_model"})
    assert {"sketch", "find_models", "rehearsal_image"} <= closed


def test_each_default_tool_keeps_to_its_budget() -> None:
    for tool in default():
        shown = {name: tool[name] for name in ("name", "description", "inputSchema")}
        assert tokens(shown) <= DEFINITION_TOKENS, tool["name"]


def test_the_default_tools_together_keep_to_theirs(capsys: pytest.CaptureFixture[str]) -> None:
    script = runpy.run_path(str(SCRIPT))
    assert script["main"]() == 0
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == len(default()) + 2
    assert list(script["faults"](default())) == []


def test_a_list_over_the_budget_is_told() -> None:
    faults = "\n".join(runpy.run_path(str(SCRIPT))["faults"](default() * 3))
    assert "60 tools are listed by default; the bound is 20." in faults
    assert "tokens; the bound is 6000." in faults


def test_the_instructions_are_short() -> None:
    assert len(INSTRUCTIONS.split()) < 200
    assert len(INSTRUCTIONS) < 2000


async def test_by_default_at_most_20_tools_are_listed(opened: Opened, era: str) -> None:
    async with opened() as (_, server), Client(server.sdk, mode=era) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        assert len(names) <= 20
        assert {"find_models", "run_model", "get_job", "sketch"} <= set(names)


async def test_every_model_can_be_listed_in_pages_of_100(opened: Opened, era: str) -> None:
    async with opened(tools="all") as (app, server), Client(server.sdk, mode=era) as client:
        pages = [await client.list_tools()]
        while cursor := pages[-1].next_cursor:
            pages.append(await client.list_tools(cursor=cursor))
        names = [tool.name for one in pages for tool in one.tools]
        heads = app.catalog.heads
    assert len(heads) >= 1575
    assert names == [*(tool.name for tool in TOOLS), *(head.tool for head in heads)]
    assert {len(one.tools) for one in pages[:-1]} == {PAGE_SIZE}


@pytest.mark.parametrize("version", KNOWN_PROTOCOL_VERSIONS)
async def test_pages_are_what_the_sdk_itself_would_send(opened: Opened, version: str) -> None:
    count = 0
    async with opened(tools="all") as (app, server):
        async for page in pages_on_the_wire(server.sdk, version):
            assert exact(serialize_server_result("tools/list", version, page)) == exact(page)
            count += len(page["tools"])
        assert count == len(app.catalog) + len(TOOLS)


async def pages_on_the_wire(sdk: Server[Any], version: str) -> AsyncIterator[dict[str, Any]]:
    """Yield what is sent for each page, from a client that speaks this version."""
    async with (
        create_client_server_memory_streams() as ((read, write), served),
        anyio.create_task_group() as group,
    ):
        group.start_soon(sdk.run, *served, sdk.create_initialization_options())

        async def ask(method: str, **params: Any) -> dict[str, Any]:
            request = t.JSONRPCRequest(jsonrpc="2.0", id=1, method=method, params=params)
            await write.send(SessionMessage(request))
            return (await read.receive()).message.result

        always = {"_meta": envelope({})}
        if version not in MODERN_PROTOCOL_VERSIONS:
            always = {}
            who = {"name": "test", "version": "1"}
            hello = {"protocolVersion": version, "capabilities": {}, "clientInfo": who}
            assert (await ask("initialize", **hello))["protocolVersion"] == version
        page = await ask("tools/list", **always)
        yield page
        while cursor := page.get("nextCursor"):
            page = await ask("tools/list", cursor=cursor, **always)
            yield page
        group.cancel_scope.cancel()


def exact(value: Any) -> str:
    """Tell apart what Python thinks equal, as 1 and 1.0."""
    return json.dumps(value, sort_keys=True)


async def test_a_call_never_changes_the_list(opened: Opened, era: str) -> None:
    async with opened(tools="text-to-speech") as (_, server), Client(server.sdk, mode=era) as one:
        before = await one.list_tools()
        called = {"model": "rehearsal/image", "arguments": {"prompt": "x"}}
        assert not (await one.call_tool("run_model", called)).is_error
        assert await one.list_tools() == before


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
        assert done.completion.values[:1] == values


def test_a_wrong_choice_of_tools_is_told_at_the_start() -> None:
    with pytest.raises(Exception, match="no model called 'sketsh'"):
        Catalog.load().select(load_settings(tools="sketsh").tools)
