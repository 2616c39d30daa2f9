"""`media-mcp serve` as a child: what it says, what it keeps to itself, how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from mcp import Client, StdioServerParameters

from media_mcp.cli.serve import Http
from media_mcp.server.auth import Gate

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}


def initialize(server) -> dict:
    """Send `initialize` and return the answer."""
    server.process.stdin.write(json.dumps(INITIALIZE) + "\n")
    server.process.stdin.flush()
    return json.loads(server.process.stdout.readline())


def test_over_stdio_it_answers_and_ends_with_its_input(child):
    server = child("serve")
    assert initialize(server)["result"]["serverInfo"]["name"] == "media-mcp"
    server.process.stdin.close()
    ended = server.end()
    assert (ended.code, ended.out, ended.err) == (0, "", "")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_over_stdio_a_signal_ends_it_though_the_client_holds_on(child, number, code):
    server = child("serve")
    initialize(server)
    ended = server.end(number)
    assert (ended.code, ended.out, ended.err) == (code, "", "")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_over_http_it_says_where_and_a_signal_ends_it(child, number, code):
    server = child("serve", "--http", "127.0.0.1:0")
    url = server.line_of_stderr("listens on").split()[-1]
    assert url.startswith("http://127.0.0.1:") and url.endswith("/mcp")
    with urlopen(url.replace("/mcp", "/health"), timeout=30) as answer:
        assert json.load(answer)["status"] == "ok"
    ended = server.end(number)
    assert (ended.code, ended.out, ended.err) == (code, "", "")


@pytest.mark.anyio
async def test_flags_win_over_the_environment(place: Path, monkeypatch):
    monkeypatch.setenv("MEDIA_MCP_TOOLS", "sketch")
    words = ["-c", "import sys; from media_mcp.cli import main; sys.exit(main())", "serve"]
    flags = ["--tools", "rehearsal_video", "--data-dir", str(place / "other"), "--conformance"]
    server = StdioServerParameters(
        command=sys.executable, args=[*words, *flags], env=dict(os.environ)
    )
    async with Client(server) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
    assert "rehearsal_video" in tools and "sketch" not in tools
    assert "test_simple_text" in tools
    assert (place / "other" / "jobs.sqlite").is_file()


@pytest.mark.anyio
@pytest.mark.parametrize(("flags", "works"), [((), True), (("--root", "elsewhere"), False)])
async def test_inputs_come_from_the_working_folder_unless_roots_are_given(
    place: Path, flags: tuple[str, ...], works: bool
):
    from PIL import Image

    Image.new("RGB", (32, 32)).save(place / "photo.png")
    words = ["-c", "import sys; from media_mcp.cli import main; sys.exit(main())", "serve"]
    server = StdioServerParameters(
        command=sys.executable, args=[*words, *flags], env=dict(os.environ), cwd=place
    )
    async with Client(server) as client:
        arguments = {"prompt": "x", "image_url": str(place / "photo.png")}
        call = {"model": "rehearsal/edit", "arguments": arguments}
        answer = await client.call_tool("run_model", call)
    assert (answer.structured_content["state"] == "succeeded") is works
    assert works or "outside the folders" in answer.structured_content["error"]["message"]


def test_a_taken_port_is_named_with_the_next_one(cli):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = cli("serve", "--http", str(port))
    assert ended.code == 3
    assert f"error: Port {port} on 127.0.0.1 is taken" in ended.err and "--http" in ended.err


def test_it_refuses_to_listen_for_everybody(cli):
    ended = cli("serve", "--http", "0.0.0.0:8787")
    assert ended.code == 4
    assert "error: media-mcp does not listen on 0.0.0.0" in ended.err


def test_with_a_key_it_listens_for_everybody_and_says_what_is_in_the_clear(child, monkeypatch):
    monkeypatch.setenv("MEDIA_MCP_API_KEY", "a-key-of-sixteen")
    server = child("serve", "--http", "0.0.0.0:0")
    assert "--tls-cert" in server.line_of_stderr("in the clear")
    url = server.line_of_stderr("listens on").split()[-1].replace("0.0.0.0", "127.0.0.1")
    request = Request(url.replace("/mcp", "/v1/models?limit=1"))
    with pytest.raises(HTTPError) as caught:
        urlopen(request, timeout=30)
    with caught.value as refused:
        assert refused.code == 401
    request.add_header("Authorization", "Key a-key-of-sixteen")
    with urlopen(request, timeout=30) as answer:
        assert answer.status == 200
    ended = server.end(signal.SIGTERM)
    assert ended.code == 0 and "a-key-of-sixteen" not in ended.out + ended.err


def test_with_a_certificate_it_serves_https(child, certificate):
    flags = ("--tls-cert", str(certificate.cert), "--tls-key", str(certificate.key))
    server = child("serve", "--http", "127.0.0.1:0", *flags)
    url = server.line_of_stderr("listens on").split()[-1]
    assert url.startswith("https://127.0.0.1:")
    trusted = ssl.create_default_context(cafile=str(certificate.cert))
    with urlopen(url.replace("/mcp", "/health"), timeout=30, context=trusted) as answer:
        assert json.load(answer)["status"] == "ok"
    assert server.end(signal.SIGTERM).code == 0


def test_a_certificate_without_its_key_is_refused(cli, certificate):
    ended = cli("serve", "--http", "0", "--tls-cert", str(certificate.cert))
    assert ended.code == 3
    assert "error: tls_cert and tls_key go together" in ended.err


def test_an_address_that_is_none_says_how_to_write_one(cli):
    ended = cli("serve", "--http", "here")
    assert ended.code == 3
    assert "error: --http 'here' is not an address." in ended.err


def test_a_card_with_an_error_is_named_before_anything_is_served(child, card: Callable[..., Path]):
    path = card()
    path.write_text(path.read_text().replace("licence: MIT", "licence: 3"))
    ended = child("serve", stdin=subprocess.DEVNULL).end()
    assert ended.code == 3 and ended.out == ""
    assert ended.err.startswith(f"error: {Path('catalog') / path.name}:4: licence")


def test_tools_that_nobody_knows_are_named(child):
    ended = child("serve", "--tools", "skech", stdin=subprocess.DEVNULL).end()
    assert ended.code == 2
    assert "error: There is no model called 'skech'." in ended.err


@pytest.mark.anyio
async def test_a_signal_before_the_web_server_runs_keeps_it_from_starting(
    capsys: pytest.CaptureFixture[str],
):
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        door = Http("::1", listener, Gate(None))
        assert door.url.startswith("http://[::1]:")
        door.stop()
        await door.serve(None, None)
    assert capsys.readouterr().err == ""
