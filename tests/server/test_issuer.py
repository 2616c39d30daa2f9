"""The keys of an OAuth server: asked for seldom, within bounds, and kept while it is away."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from media_mcp.server.issuer import AGAIN, FRESH, LONGEST, MOST, IssuerKeys
from storagekit import listening

pytestmark = pytest.mark.anyio


def key(name: str, **more: Any) -> dict[str, Any]:
    public = base64.urlsafe_b64encode(bytes(31) + b"\x09").rstrip(b"=").decode()
    return {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": name, "x": public} | more


class Place:
    """An issuer, what it answers, and how often it was asked; and a clock."""

    def __init__(self) -> None:
        self.asked = 0
        self.status = 200
        self.body: Any = {"keys": [key("one")]}
        self.now = 10_000.0
        self.gate: anyio.Event | None = None
        self.headers: dict[str, str] = {}

    async def answer(self, request: Request) -> Response:
        self.asked += 1
        if self.gate is not None:
            await self.gate.wait()
        body = self.body if isinstance(self.body, bytes) else json.dumps(self.body)
        return Response(body, self.status, self.headers, media_type="application/json")


@asynccontextmanager
async def opened() -> AsyncIterator[tuple[Place, IssuerKeys]]:
    place = Place()
    async with listening(Starlette(routes=[Route("/jwks", place.answer)])) as url:
        yield place, IssuerKeys(f"{url}/jwks", lambda: place.now)


async def test_an_unknown_key_makes_nobody_ask_more_than_now_and_then() -> None:
    async with opened() as (place, keys):
        assert await keys.find("one") is not None
        for number in range(50):
            assert await keys.find(f"rubbish {number}") is None
        assert place.asked == 1


async def test_a_new_key_is_found_a_while_after_it_is_there() -> None:
    async with opened() as (place, keys):
        assert await keys.find("two") is None
        place.body = {"keys": [key("two")]}
        place.now += AGAIN
        assert await keys.find("two") is not None
        assert await keys.find("one") is None


@pytest.mark.parametrize(
    "body",
    [
        b"no json",
        b"[" * 100_000,
        b" " * (MOST + 1),
        [],
        {"keys": []},
        {"keys": [{"kty": "OKP"}]},
        {"keys": 3},
    ],
)
async def test_keys_that_are_known_outlast_an_answer_that_holds_none(body: Any) -> None:
    async with opened() as (place, keys):
        await keys.find("one")
        place.body, place.now = body, place.now + FRESH
        assert await keys.find("one") is not None
        assert place.asked == 2
        place.now += LONGEST
        assert await keys.find("one") is None


async def test_an_issuer_that_fails_is_not_asked_by_everybody() -> None:
    async with opened() as (place, keys):
        place.status = 500
        for _ in range(20):
            assert await keys.find("one") is None
        assert place.asked == 1


async def test_who_has_a_known_key_does_not_wait_for_a_slow_issuer() -> None:
    async with opened() as (place, keys), anyio.create_task_group() as group:
        await keys.find("one")
        place.gate, place.now = anyio.Event(), place.now + FRESH
        group.start_soon(keys.find, "one")
        while place.asked < 2:
            await anyio.lowlevel.checkpoint()
        with anyio.fail_after(5):
            assert await keys.find("one") is not None
        place.gate.set()


async def test_a_key_that_is_not_for_signatures_is_none() -> None:
    async with opened() as (place, keys):
        place.body = {"keys": [key("one", use="enc"), key("two")]}
        assert await keys.find("one") is None
        assert await keys.find("two") is not None


async def test_keys_that_come_packed_are_not_unpacked() -> None:
    async with opened() as (place, keys):
        place.headers = {"Content-Encoding": "gzip"}
        place.body = gzip.compress(json.dumps({"keys": [key("one")]}).encode() + b" " * 2**26)
        assert await keys.find("one") is None


async def test_keys_are_taken_from_the_address_in_the_settings_and_no_other() -> None:
    async with opened() as (place, keys), opened() as (other, others):
        place.status, place.headers = 302, {"Location": others._url}
        assert await keys.find("one") is None
        assert (place.asked, other.asked) == (1, 0)
