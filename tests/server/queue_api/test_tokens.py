"""Tokens for some apps and a short while."""

from __future__ import annotations

import json
from typing import Any

import pytest

from media_mcp.job import Caller
from media_mcp.server.auth import Gate
from media_mcp.server.queue_api.calls import BadRequest, Call
from media_mcp.server.queue_api.keys import ServerKey
from media_mcp.server.queue_api.target import Target
from media_mcp.server.queue_api.tokens import Tokens, alias_of

ANN = Caller("ann", "films")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(clock: Clock) -> Tokens:
    return Tokens(ServerKey(b"k" * 32), Gate(None), clock)


def call(body: Any, method: str = "POST") -> Call:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps(body).encode()}

    target = Target("rest", "tokens", "", "http://x/rest", "http://x")
    nothing: Any = None
    return Call({"type": "http", "method": method}, receive, nothing, {}, target, ANN)


@pytest.mark.parametrize(
    ("endpoint", "alias"),
    [
        ("fal-ai/flux/dev", "flux"),
        ("fal-ai/flux", "flux"),
        ("workflows/me/flow/x", "flow"),
        ("sketch", "sketch"),
    ],
)
def test_an_app_is_named_without_its_owner(endpoint: str, alias: str) -> None:
    assert alias_of(endpoint) == alias


def test_a_token_lets_its_caller_to_its_apps_until_its_time_is_over(
    tokens: Tokens, clock: Clock
) -> None:
    token = tokens.token(["flux", "sketch"], 120, ANN)
    assert tokens.caller_of(token, "fal-ai/flux/dev") == ANN
    assert tokens.caller_of(token, "sketch") == ANN
    assert tokens.caller_of(token, "fal-ai/veo3") is None
    clock.now += 121
    assert tokens.caller_of(token, "fal-ai/flux/dev") is None


@pytest.mark.parametrize(
    "change", [lambda t: t[:-1], lambda t: f"x{t}", lambda t: "", lambda t: "ü.ü"]
)
def test_a_token_that_was_changed_lets_nobody_in(tokens: Tokens, change: Any) -> None:
    token = tokens.token(["flux"], 120, ANN)
    assert tokens.caller_of(change(token), "fal-ai/flux") is None


def test_a_token_for_uploads_lets_nobody_call_a_model(tokens: Tokens, clock: Clock) -> None:
    upload = ServerKey(b"k" * 32).token("cdn", ["ann", "films", ["flux"]], clock.now + 100)
    assert tokens.caller_of(upload, "fal-ai/flux") is None


@pytest.mark.anyio
async def test_a_token_is_answered_as_a_string_of_json(tokens: Tokens) -> None:
    reply = await tokens.handle(call({"allowed_apps": ["fal-ai/flux"], "token_expiration": 60.5}))
    assert reply.status == 200
    assert tokens.caller_of(json.loads(reply.body), "fal-ai/flux") == ANN
    reply = await tokens.handle(call({"allowed_apps": ["flux"]}))
    assert reply.status == 200


@pytest.mark.anyio
async def test_tokens_are_asked_for_with_post(tokens: Tokens) -> None:
    assert (await tokens.handle(call({}, "GET"))).status == 405


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "not an object"),
        ({}, "`allowed_apps` is missing"),
        ({"allowed_apps": []}, "`allowed_apps` is missing"),
        ({"allowed_apps": ["a"] * 101}, "`allowed_apps` is missing"),
        ({"allowed_apps": [3]}, "must hold names of apps"),
        ({"allowed_apps": [""]}, "must hold names of apps"),
        ({"allowed_apps": ["a"], "token_expiration": "1h"}, "must be a number of seconds"),
        ({"allowed_apps": ["a"], "token_expiration": True}, "must be a number of seconds"),
        ({"allowed_apps": ["a"], "token_expiration": 3601}, "from 1 to 3600"),
        ({"allowed_apps": ["a"], "token_expiration": 0}, "from 1 to 3600"),
    ],
)
async def test_a_token_for_nothing_sensible_is_refused(
    tokens: Tokens, body: Any, words: str
) -> None:
    with pytest.raises(BadRequest) as caught:
        await tokens.handle(call(body))
    assert words in str(caught.value)
