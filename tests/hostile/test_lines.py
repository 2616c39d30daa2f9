"""Lines on standard input that are no messages: each is answered, and the next one is heard."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
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
NO_IDS = (b"null", b"1.5", b"7.0", b"1e3", b"true", b"{}", b"[7]", b'{"id":7}')
MOST = 32 * 2**20


class Ask:
    """Says lines to a server over stdio, which must answer a ping after each."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        assert process.stdin is not None
        assert process.stdout is not None
        self._into, self._out = process.stdin, process.stdout

    def say(self, *parts: bytes) -> None:
        for part in parts:
            self._into.write(part)
        self._into.write(b"\n")
        self._into.flush()

    def heard(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._out.readline())
        return found

    def __call__(self, *line: bytes) -> dict[str, Any]:
        """Say a line, which may come in parts, and return its answer."""
        self.say(*line)
        self.say(PLAIN % (b'"ping"', b'"ping"', b"{}"))
        both = [self.heard(), self.heard()]
        assert {"jsonrpc": "2.0", "id": "ping", "result": {}} in both
        return next(one for one in both if one["id"] != "ping")

    def most_memory(self) -> int:
        """Return the bytes that the server has held at most."""
        told = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(told.partition("VmHWM:")[2].split()[0]) * 1024


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
        who = {"protocolVersion": "2025-11-25", "capabilities": {}}
        who |= {"clientInfo": {"name": "x", "version": "1"}}
        asking = Ask(process)
        asking.say(PLAIN % (b"0", b'"initialize"', json.dumps(who).encode()))
        assert asking.heard()["result"]
        yield asking
        assert process.stdin is not None
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


@pytest.mark.parametrize("number", NO_IDS)
@pytest.mark.parametrize("method", [b"ping", b"tools/call", b"initialize"])
def test_a_request_whose_id_is_no_id_is_answered_to_nobody(
    ask: Ask, number: bytes, method: bytes
) -> None:
    answer = ask(PLAIN % (number, b'"' + method + b'"', b"{}"))
    assert answer["id"] is None
    assert answer["error"]["code"] == -32600
    assert "a text or a whole number" in answer["error"]["message"]


@pytest.mark.parametrize("number", [b'""', b"0", b"-1", b"9223372036854775808", b'"\\n"'])
def test_an_odd_id_is_given_back_as_it_came(ask: Ask, number: bytes) -> None:
    answer = ask(PLAIN % (number, b'"ping"', b"{}"))
    assert answer == {"jsonrpc": "2.0", "id": json.loads(number), "result": {}}


TOO_LONG = {
    "a long prompt": call(b'{"prompt":"' + b"x" * MOST + b'"}'),
    "blanks after a message": call(b"{}") + b" " * MOST,
    "characters of three bytes": call(b'{"prompt":"' + "\u20ac".encode() * (MOST // 2) + b'"}'),
}


@pytest.mark.parametrize("what", TOO_LONG)
def test_a_line_that_is_too_long_is_refused_and_the_next_one_heard(ask: Ask, what: str) -> None:
    answer = ask(TOO_LONG[what])
    assert answer["id"] == 7
    assert answer["error"]["code"] == -32700
    assert "longer than 33,554,432 bytes. Pass a path or a URL" in answer["error"]["message"]


def test_a_line_that_is_nearly_too_long_is_heard(ask: Ask) -> None:
    line = PLAIN % (b"7", b'"ping"', b"{}")
    assert ask(line + b" " * (MOST - len(line)))["result"] == {}


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells how much it was")
def test_a_line_without_end_takes_no_more_memory_than_the_longest(ask: Ask) -> None:
    ask(TOO_LONG["a long prompt"])
    before = ask.most_memory()
    answer = ask(call(b"{}").removesuffix(b"}}"), *[b"x" * 2**20] * 256)
    assert "longer than" in answer["error"]["message"]
    assert ask.most_memory() - before < 2**27
