"""The client of the platform API, against a place that misbehaves in every way it may."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from media_mcp.backends.fal import platform
from media_mcp.backends.fal.platform import PlatformClient
from media_mcp.errors import BackendFailed, BadSettings
from media_mcp.server.http import listen

pytestmark = pytest.mark.anyio
Answer = Callable[[Request], Response]


@asynccontextmanager
async def place(models: Answer | None = None, pricing: Answer | None = None) -> AsyncIterator[str]:
    """Serve a platform API on loopback; yields its address."""
    found = [("/v1/models", models), ("/v1/models/pricing", pricing)]
    routes = [Route(path, answer) for path, answer in found if answer]
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_level="error"))
    with listen("127.0.0.1", 0) as listener:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: server.serve(sockets=[listener]))
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
            server.should_exit = True


async def names(address: str, key: str = "") -> list[str]:
    async with PlatformClient(address, key) as client:
        return [model["endpoint_id"] async for model in client.models()]


async def prices(address: str, *ids: str) -> dict[str, float]:
    async with PlatformClient(address) as client:
        return {name: row["unit_price"] for name, row in (await client.prices(ids)).items()}


def paged(request: Request) -> Response:
    start = int(request.query_params.get("cursor", 0))
    rows = [{"endpoint_id": f"acme/{n}"} for n in range(start, start + 2)]
    more = start < 4
    following = str(start + 2) if more else None
    return JSONResponse({"models": rows, "next_cursor": following, "has_more": more})


async def test_every_page_is_read() -> None:
    async with place(paged) as address:
        assert await names(address) == [f"acme/{n}" for n in range(6)]


async def test_a_place_that_gives_the_same_cursor_for_ever_is_left() -> None:
    def stuck(request: Request) -> Response:
        return JSONResponse({"models": [{"endpoint_id": "a"}], "next_cursor": "x", "has_more": 1})

    async with place(stuck) as address:
        assert await names(address) == ["a", "a"]


async def test_the_key_is_sent_as_a_key() -> None:
    seen: list[str | None] = []

    def models(request: Request) -> Response:
        seen.append(request.headers.get("authorization"))
        return JSONResponse({"models": [], "has_more": False})

    async with place(models) as address:
        await names(address, "id:secret")
        await names(address)
    assert seen == ["Key id:secret", None]


async def test_a_redirect_is_not_followed_with_the_key() -> None:
    def elsewhere(request: Request) -> Response:
        return Response(status_code=302, headers={"location": "http://127.0.0.1:9/v1/models"})

    async with place(elsewhere) as address:
        with pytest.raises(BackendFailed, match="answered 302 with nothing that can be read"):
            await names(address, "id:secret")


async def test_a_refused_key_says_what_to_check() -> None:
    async with place(lambda request: Response(status_code=401)) as address:
        with pytest.raises(BackendFailed, match=r"refuses the key \(401\)\. Check FAL_KEY\."):
            await names(address, "wrong")


@pytest.mark.parametrize("content", [b"<html>", b"[]", b"\xff"])
async def test_an_answer_that_is_no_page_is_told(content: bytes) -> None:
    async with place(lambda request: Response(content)) as address:
        with pytest.raises(BackendFailed, match="with nothing that can be read"):
            await names(address)


async def test_rows_that_are_none_are_left_out() -> None:
    rows = [1, {}, {"endpoint_id": 7}, {"endpoint_id": "good"}]
    page = json.dumps({"models": rows, "has_more": False})
    async with place(lambda request: Response(page)) as address:
        assert await names(address) == ["good"]


async def test_nobody_there_is_told() -> None:
    with pytest.raises(BackendFailed, match="does not answer"):
        await names("http://127.0.0.1:9/v1")


async def test_a_busy_place_is_asked_again_when_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = iter([429, 503, 200])
    waited: list[float] = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)

    def models(request: Request) -> Response:
        status = next(asked)
        body = {"models": [{"endpoint_id": "a"}], "has_more": False}
        headers = {"retry-after": "7"} if status == 429 else {}
        return JSONResponse(body, status_code=status, headers=headers)

    async with place(models) as address:
        monkeypatch.setattr(platform.anyio, "sleep", wait)
        assert await names(address) == ["a"]
        monkeypatch.undo()
    assert waited == [7.0, 1.0]


async def test_unknown_ids_do_not_cost_the_others_their_price() -> None:
    def pricing(request: Request) -> Response:
        ids = request.query_params.getlist("endpoint_id")
        if "gone" in ids:
            return Response(status_code=404)
        return JSONResponse({"prices": [{"endpoint_id": n, "unit_price": 0.5} for n in ids]})

    ids = [f"m{n}" for n in range(70)] + ["gone"]
    async with place(pricing=pricing) as address:
        assert await prices(address, *ids) == dict.fromkeys(ids[:-1], 0.5)


@pytest.mark.parametrize(
    "address",
    [
        "http://example.org/v1",
        "ftp://127.0.0.1/v1",
        "api.fal.ai/v1",
        "https://me:pw@api.fal.ai/v1",
        "https://api.fal.ai/v1?x=1",
    ],
)
def test_an_address_that_is_not_safe_is_refused(address: str) -> None:
    with pytest.raises(BadSettings, match="is not the address of a platform API"):
        PlatformClient(address)
