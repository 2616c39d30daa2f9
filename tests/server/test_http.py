"""The HTTP door on a real socket: both eras, hang-ups, foreign hosts, taken ports."""

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from certificates import Certificate
from media_mcp import __version__
from media_mcp.errors import BadSettings, PortTaken, Refused
from media_mcp.job import Caller, JobState
from media_mcp.server.app import App
from media_mcp.server.auth import Gate
from media_mcp.server.http import http_app, listen, parse_address, tls_context, web_server
from support import Opened

pytestmark = pytest.mark.anyio


@pytest.fixture
def served(opened: Opened) -> Callable[..., Any]:
    """Serve over HTTP on a free port: `async with served() as (app, url):`."""

    @asynccontextmanager
    async def serve(**given: Any) -> AsyncIterator[tuple[App, str]]:
        async with opened(**given) as (app, server), anyio.create_task_group() as group:
            listener = listen("127.0.0.1", 0)
            web = web_server(http_app(server, app, Gate(app.settings.api_key)))
            group.start_soon(lambda: web.serve(sockets=[listener]))
            yield app, f"http://127.0.0.1:{listener.getsockname()[1]}"
            web.should_exit = True

    return serve


async def test_a_picture_over_http(served: Any, era: str) -> None:
    async with served() as (_, url), Client(f"{url}/mcp", mode=era) as client:
        result = await client.call_tool("rehearsal_image", {"prompt": "x"})
        assert result.structured_content["state"] == "succeeded"
        assert len((await client.list_tools()).tools) >= 10


async def test_progress_over_http(served: Any, era: str) -> None:
    told: list[float] = []

    async def note(progress: float, *_: object) -> None:
        told.append(progress)

    async with served() as (_, url), Client(f"{url}/mcp", mode=era) as client:
        await client.call_tool("test_steps", {"prompt": "x"}, progress_callback=note)
        assert told


async def _hang_up_in_mid_call(url: str, body: dict[str, Any], headers: dict[str, str]) -> None:
    """Start a tool call by hand and drop the connection once it has told some progress."""
    async with (
        httpx2.AsyncClient() as http,
        http.stream("POST", f"{url}/mcp", json=body, headers=headers) as answer,
    ):
        async for line in answer.aiter_lines():
            if "notifications/progress" in line:
                return


def _call(meta: dict[str, Any]) -> dict[str, Any]:
    params = {"name": "test_slow", "arguments": {"prompt": "x"}, "_meta": meta}
    return {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}


async def _cancelled(app: App) -> bool:
    (job,) = await app.queue.jobs(Caller())
    return (await app.queue.wait(job.id, Caller(), 20)).state is JobState.CANCELLED


async def test_a_newer_client_that_hangs_up_frees_the_device(served: Any) -> None:
    meta = {
        "progressToken": 1,
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    headers = {
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/call",
        "Mcp-Name": "test_slow",
    }
    async with served() as (app, url):
        await _hang_up_in_mid_call(url, _call(meta), headers)
        assert await _cancelled(app)


async def test_an_older_client_that_hangs_up_frees_the_device(served: Any) -> None:
    async with served() as (app, url):
        headers = await _older_session(url)
        await _hang_up_in_mid_call(url, _call({"progressToken": 1}), headers)
        assert await _cancelled(app)


async def test_an_older_client_that_only_followed_a_job_may_leave_it_running(served: Any) -> None:
    async with served(wait=0) as (_, url), Client(f"{url}/mcp", mode="legacy") as client:
        started = await client.call_tool("test_slow", {"prompt": "x"})
        job_id = started.structured_content["job_id"]
        body = _call({"progressToken": 1})
        body["params"] |= {"name": "get_job", "arguments": {"job_id": job_id}}
        await _hang_up_in_mid_call(url, body, await _older_session(url))
        again = await client.call_tool("get_job", {"job_id": job_id, "wait": 1})
        assert again.structured_content["state"] == "running"


async def _older_session(url: str) -> dict[str, str]:
    headers = {"Accept": "application/json, text/event-stream"}
    params = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    }
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
    async with httpx2.AsyncClient() as http:
        answer = await http.post(f"{url}/mcp", json=hello, headers=headers)
        headers["Mcp-Session-Id"] = answer.headers["mcp-session-id"]
        headers["MCP-Protocol-Version"] = "2025-06-18"
        done = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        await http.post(f"{url}/mcp", json=done, headers=headers)
    return headers


async def test_the_server_tells_its_health(served: Any) -> None:
    async with served() as (_, url), httpx2.AsyncClient() as http:
        answer = await http.get(f"{url}/health")
        assert answer.json() == {"status": "ok", "version": __version__}


@pytest.mark.parametrize("path", ["/mcp", "/health", "/queue/test/steps", "/v1/models"])
@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("Host", "evil.example", 421),
        ("Host", "127.0.0.1.evil.example:80", 421),
        ("Host", "localhost:80@evil.example", 421),
        ("Host", "queue.evil.example", 421),
        ("Origin", "http://evil", 403),
        ("Origin", "http://localhost.evil.example", 403),
        ("Origin", "null", 403),
    ],
)
async def test_a_foreign_host_or_origin_is_refused(
    served: Any, name: str, value: str, status: int, path: str
) -> None:
    async with served() as (_, url), httpx2.AsyncClient() as http:
        headers = {name: value, "Accept": "application/json, text/event-stream"}
        answer = await http.post(f"{url}{path}", json={}, headers=headers)
        assert answer.status_code == status


async def test_a_web_socket_of_a_foreign_page_is_refused(served: Any) -> None:
    async with served() as (_, url):
        socket = f"{url.replace('http', 'ws')}/run/test/slow/realtime"
        with pytest.raises(InvalidStatus) as caught:
            async with connect(socket, origin="http://evil"):  # type: ignore[arg-type]
                pass
        assert caught.value.response.status_code == 403


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Host", "LOCALHOST"),
        ("Host", "[::1]:80"),
        ("Host", "fal.run"),
        ("Host", "v3.fal.media"),
        ("Host", "rest.localhost:8787"),
        ("Origin", "https://localhost:3000"),
        ("Origin", "http://[::1]:3000"),
    ],
)
async def test_neighbours_and_fals_own_names_are_let_in(served: Any, name: str, value: str) -> None:
    async with served() as (_, url), httpx2.AsyncClient() as http:
        answer = await http.get(f"{url}/health", headers={name: value})
        assert answer.status_code not in (403, 421)


async def test_with_a_key_any_name_of_the_server_will_do(served: Any) -> None:
    headers = {"Host": "gpu.example", "Origin": "https://app.example"}
    async with served(api_key="a-key-of-sixteen") as (_, url), httpx2.AsyncClient() as http:
        assert (await http.get(f"{url}/health", headers=headers)).status_code == 200
        refused = await http.post(f"{url}/mcp", json={}, headers=headers)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Key")
        assert "Authorization: Key" in refused.json()["detail"]
        headers["Authorization"] = "Bearer a-key-of-sixteen"
        async with httpx2.AsyncClient(headers=headers) as let_in:
            transport = streamable_http_client(f"{url}/mcp", http_client=let_in)
            async with Client(transport) as client:
                result = await client.call_tool("rehearsal_image", {"prompt": "x"})
                assert result.structured_content["state"] == "succeeded"


def test_a_taken_port_says_so_and_names_another() -> None:
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(PortTaken) as caught:
            listen("127.0.0.1", port)
    assert str(port) in caught.value.message
    assert f"--http 127.0.0.1:{port + 1}" in caught.value.hint


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "example.com", "::"])
def test_only_loopback_is_listened_on(host: str) -> None:
    with pytest.raises(Refused, match=r"does not listen on .*MEDIA_MCP_API_KEY.*SSH tunnel"):
        listen(host, 0)


def test_with_a_key_everybody_is_listened_to() -> None:
    with listen("0.0.0.0", 0, locked=True) as listener:
        assert listener.getsockname()[0] == "0.0.0.0"


def test_a_certificate_and_its_key_go_together(certificate: Certificate) -> None:
    assert tls_context(None, None) is None
    assert tls_context(certificate.cert, certificate.key) is not None
    for cert, key in ((certificate.cert, None), (None, certificate.key)):
        with pytest.raises(BadSettings, match=r"go together.*--tls-cert cert.pem --tls-key"):
            tls_context(cert, key)


@pytest.mark.parametrize("name", ["missing", "cert", "locked"])
def test_a_certificate_that_cannot_be_served_with_is_named(
    certificate: Certificate, tmp_path: Path, name: str
) -> None:
    keys = {
        "missing": tmp_path / "none.pem",
        "cert": certificate.cert,
        "locked": tmp_path / "l.pem",
    }
    keys["locked"].write_bytes(certificate.locked)
    with pytest.raises(BadSettings) as caught:
        tls_context(certificate.cert, keys[name])
    assert f"HTTPS cannot be served with {certificate.cert} and {keys[name]}" in str(caught.value)
    assert "both in PEM, the key without a password" in caught.value.hint


def test_localhost_and_ipv6_loopback_are_fine() -> None:
    with listen("localhost", 0) as listener:
        assert listener.getsockname()[1] > 0
    if socket.has_ipv6:
        with listen("::1", 0) as listener:
            assert listener.getsockname()[1] > 0


def test_an_address_that_is_not_ours_cannot_be_listened_on() -> None:
    with pytest.raises(BadSettings, match=r"Cannot listen on 127\.0\.0\.1:1"):
        _without_ports(lambda: listen("127.0.0.1", 1))


def _without_ports(act: Callable[[], object]) -> None:
    """Ports below 1024 belong to root; where the tests run as root, forbid them by hand."""
    original = socket.socket.bind

    def refuse(self: socket.socket, address: Any) -> None:
        raise PermissionError(13, "Permission denied")

    socket.socket.bind = refuse  # type: ignore[method-assign]
    try:
        act()
    finally:
        socket.socket.bind = original  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8787", ("127.0.0.1", 8787)),
        ("8787", ("127.0.0.1", 8787)),
        (":0", ("127.0.0.1", 0)),
        ("[::1]:80", ("::1", 80)),
    ],
)
def test_addresses_are_read(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "localhost", "127.0.0.1:99999", "1:2:x"])
def test_what_is_no_address_is_told(text: str) -> None:
    with pytest.raises(BadSettings, match=r"is not an address. Write it as"):
        parse_address(text)
