"""Fixtures that ask the client in rounds (`InputRequiredResult`, 2026-07-28)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import mcp_types as t
from mcp.server.context import HandlerResult

from media_mcp.server.conformance.dialogue import (
    Answers,
    Dialogue,
    declared,
    filled,
    form,
    roots,
    said_text,
    sample,
)
from media_mcp.server.conformance.fixture import Fixture, Run, fixture, text
from media_mcp.server.toolset import Context

NAME = form("What is your name?", {"name": {"type": "string"}})
CONFIRM = form("Please confirm", {"ok": {"type": "boolean"}})


@dataclass(frozen=True)
class Asking:
    """A tool that asks and then says something about the answers."""

    name: str
    dialogue: Dialogue
    says: Callable[[Answers], str]


ASKING = (
    Asking(
        "elicitation",
        Dialogue(({"user_name": NAME},)),
        lambda said: f"Hello, {filled(said['user_name'], 'name')}!",
    ),
    Asking(
        "sampling",
        Dialogue(({"capital_question": sample("What is the capital of France?", 100)},)),
        lambda said: said_text(said["capital_question"]),
    ),
    Asking(
        "list_roots",
        Dialogue(({"client_roots": roots()},)),
        lambda said: f"Roots: {_uris(said)}",
    ),
    Asking(
        "request_state",
        Dialogue(({"confirm": CONFIRM},), stateful=True),
        lambda said: f"state-ok: {filled(said['confirm'], 'ok')}",
    ),
    Asking(
        "tampered_state",
        Dialogue(({"confirm": CONFIRM},), stateful=True),
        lambda said: f"Confirmed: {filled(said['confirm'], 'ok')}",
    ),
    Asking(
        "multiple_inputs",
        Dialogue(
            (
                {
                    "user_name": NAME,
                    "greeting": sample("Generate a greeting", 50),
                    "client_roots": roots(),
                },
            ),
            stateful=True,
        ),
        lambda said: (
            f"{said_text(said['greeting'])} {filled(said['user_name'], 'name')}, {_uris(said)}"
        ),
    ),
    Asking(
        "multi_round",
        Dialogue(
            (
                {"step1": form("Step 1: What is your name?", {"name": {"type": "string"}})},
                {
                    "step2": form(
                        "Step 2: What is your favorite color?", {"color": {"type": "string"}}
                    )
                },
            ),
            stateful=True,
        ),
        lambda said: f"{filled(said['step1'], 'name')} likes {filled(said['step2'], 'color')}",
    ),
)


def rounds() -> Iterator[Fixture]:
    for one in ASKING:
        name = f"test_input_required_result_{one.name}"
        yield fixture(name, f"Asks the client first: {one.name}", asking(one))
    yield fixture(
        "test_input_required_result_capabilities",
        "Asks only what the client declared that it can answer",
        _ask_declared,
    )
    yield fixture(
        "test_streaming_elicitation",
        "Reports progress and asks the client",
        _stream_then_ask,
    )


def asking(one: Asking) -> Run:
    async def run(ctx: Context, params: t.CallToolRequestParams) -> HandlerResult:
        outcome = one.dialogue.advance(params)
        return outcome if isinstance(outcome, t.InputRequiredResult) else text(one.says(outcome))

    return run


async def _ask_declared(ctx: Context, params: t.CallToolRequestParams) -> HandlerResult:
    questions = {"elicitation": NAME, "sampling": sample("Say hello", 50), "roots": roots()}
    asked = {name: request for name, request in questions.items() if declared(ctx, name)}
    outcome = Dialogue((asked,)).advance(params)
    if isinstance(outcome, t.InputRequiredResult):
        return outcome
    return text(f"Answered: {', '.join(outcome) or 'nothing was asked'}")


async def _stream_then_ask(ctx: Context, params: t.CallToolRequestParams) -> HandlerResult:
    await ctx.session.report_progress(0, 1, "about to ask")
    return await asking(ASKING[0])(ctx, params)


def _uris(said: Answers) -> str:
    return ", ".join(root["uri"] for root in said["client_roots"]["roots"])
