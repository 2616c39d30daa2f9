"""What an app writes in the moment in which its client leaves."""

import asyncio

import pytest

from media_mcp.server.connections.outlet import Outlet

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


async def test_what_comes_after_the_end_goes_nowhere() -> None:
    loop = asyncio.get_running_loop()
    heard: asyncio.Future[bytes] = loop.create_future()

    class Client(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            heard.set_result(data)

    class Server(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            made.set_result(transport)

    made: asyncio.Future[asyncio.Transport] = loop.create_future()
    server = await loop.create_server(Server, "127.0.0.1", 0)
    async with server:
        client, _ = await loop.create_connection(Client, *server.sockets[0].getsockname())
        outlet = Outlet(await made)
        outlet.pause_reading()
        outlet.resume_reading()
        outlet.write(b"before")
        assert await heard == b"before"
        outlet.abort()
        assert outlet.is_closing()
        outlet.write(b"after")
        outlet.pause_reading()
        outlet.resume_reading()
        client.close()
