"""Lines on standard input that are no messages: each is answered, and the next one is heard."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SERVE = "import sys; from media_mcp.cli import main; sys.exit(main())"
PLAIN = b'{"jsonrpc":"2.0","id":%s,"method":%s,"params":%s}'
DEEP = b"[" * 10_000


def call(arguments: bytes, number: bytes = b"7") -> bytes:
    inner = b'{"name":"sketch","arguments":' + arguments + b"}"
    return PLAIN % (number, b'"tools/call"', inner)


UNREADABLE = {
    "10,000 lists deep": call(b'{"prompt":' + DEEP + b"]" * 10_000 + b"}"),
    "lists that never close": call(DEEP),
    "10,000 objects deep": call(b'{"a":' * 10_000 + b"1" + b"}" * 10_000),
    "an integer of 5,000 digits": call(b'{"seed":' + b"9" * 5000 + b"}"),
    "half a surrogate pair": call(b'{"prompt":"\\ud800"}'),
    "half a surrogate pair as a key": call(b'{"\\ud800":1}'),
    "half a surrogate pair as a method": PLAIN % (b"7", b'"\\ud800"', b"{}"),
    "half a surrogate pair as a name": PLAIN % (b"7", b'"tools/call"', b'{"name":"\\ud800"}'),
    "a quote that never ends": PLAIN % (b"7", b'"ping', b"{}"),
    "two messages": call(b"{}") + call(b"{}"),
    "an id that comes last": b'{"method":"ping","params":{"a":"\\ud800"},"jsonrpc":"2.0","id":7}',
}
NAMELESS = {
    "words": b"hello",
    "nothing but null": b"null",
    "a list": b"[]",
    "a number": b"7",
    "a batch": b'[{"jsonrpc":"2.0","id":7,"method":"ping"}]',
    "lists alone": DEEP,
    "NUL in front": b"\0" + call(b"{}"),
    "a byte order mark": b"\xef\xbb\xbf" + call(b"{}"),
    "an id of 5,000 digits": PLAIN % (b"9" * 5000, b'"ping"', b"{}"),
    "another version": b'{"jsonrpc":"3.0","id":7,"method":"ping"}',
    "HTTP": b"GET / HTTP/1.1",
}
Ask = Callable[[bytes], dict[str, Any]]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """A server over stdio; it must answer a ping after each line."""
    place: Path = tmp_path_factory.mktemp("stdio")
    environment = os.environ | {"MEDIA_MCP_REHEARSE": "true", "XDG_CONFIG_HOME": str(place)}
    with subprocess.Popen(
        [sys.executable, "-c", SERVE, "serve", "--data-dir", str(place / "data")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=place,
        env=environment,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def said() -> dict[str, Any]:
            found: dict[str, Any] = json.loads(process.stdout.readline())  # type: ignore[union-attr]
            return found

        def send(line: bytes) -> dict[str, Any]:
            ping = PLAIN % (b'"ping"', b'"ping"', b"{}")
            process.stdin.write(line + b"\n" + ping + b"\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            both = [said(), said()]
            assert {"jsonrpc": "2.0", "id": "ping", "result": {}} in both
            return next(one for one in both if one["id"] != "ping")

        who = {"protocolVersion": "2025-11-25", "capabilities": {}}
        who |= {"clientInfo": {"name": "x", "version": "1"}}
        process.stdin.write(PLAIN % (b"0", b'"initialize"', json.dumps(who).encode()) + b"\n")
        process.stdin.flush()
        assert said()["result"]
        yield send
        process.stdin.close()


@pytest.mark.parametrize("what", UNREADABLE)
def test_whoever_sends_what_cannot_be_read_is_told_and_need_not_wait(ask: Ask, what: str) -> None:
    answer = ask(UNREADABLE[what])
    assert answer["id"] == 7
    assert answer["error"]["code"] == -32700
    assert answer["error"]["message"].startswith("This line is no message: Invalid JSON")


@pytest.mark.parametrize("what", NAMELESS)
def test_what_is_no_request_is_answered_to_nobody(ask: Ask, what: str) -> None:
    answer = ask(NAMELESS[what])
    assert answer["id"] is None
    assert answer["error"]["code"] in (-32700, -32600)
    assert len(answer["error"]["message"]) < 300


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_json_has_not_is_an_argument_that_is_wrong(ask: Ask, text: str) -> None:
    answer = ask(call(b'{"prompt":"x","seed":' + text.encode() + b"}"))
    assert answer["result"]["isError"]
    assert "are not plain JSON" in answer["result"]["structuredContent"]["error"]["message"]
