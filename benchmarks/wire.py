"""Clients as thin as can be, so that what is measured is the server: bytes over pipes or a socket.

An answer is found by its first bytes, and read as JSON only where a measurement needs what it says.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any, Self

CLIENT = {"name": "benchmark", "version": "1"}
OLD, NEW = "2025-11-25", "2026-07-28"
HELLO = {"protocolVersion": OLD, "capabilities": {}, "clientInfo": CLIENT}
# What every request of the newer era carries in place of a handshake.
ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": NEW,
    "io.modelcontextprotocol/clientInfo": CLIENT,
    "io.modelcontextprotocol/clientCapabilities": {},
}
_CURSOR = re.compile(rb'"nextCursor":"([^"]+)"')
PATIENCE = 60.0  # seconds until a server must listen


class Talk:
    """A server process, stopped at the end, that is asked in JSON-RPC. Another says how."""

    _process: subprocess.Popen[bytes]
    _number = 0

    def raw(self, method: str, params: Mapping[str, Any]) -> bytes:
        """Send a request and return the answer as it came."""
        raise NotImplementedError

    def ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request and return its result."""
        return dict(json.loads(self.raw(method, params))["result"])

    def call(self, tool: str, arguments: dict[str, Any]) -> tuple[float, dict[str, Any]]:
        """Call a tool; return the seconds and the structured answer."""
        started = perf_counter()
        result = self.ask("tools/call", {"name": tool, "arguments": arguments})
        seconds = perf_counter() - started
        if result.get("isError"):
            raise RuntimeError(f"{tool} failed: {result['content']}")
        return seconds, dict(result.get("structuredContent") or {})

    def tools(self) -> tuple[float, list[bytes]]:
        """List all tools, page by page; return the seconds and the answers."""
        pages: list[bytes] = []
        cursor: dict[str, str] | None = {}
        started = perf_counter()
        while cursor is not None:
            pages.append(self.raw("tools/list", cursor))
            more = _CURSOR.search(pages[-1])
            cursor = {"cursor": more[1].decode()} if more else None
        return perf_counter() - started, pages

    def memory(self) -> float:
        """Return the resident memory of the server's own process in MB."""
        status = Path(f"/proc/{self._process.pid}/status")
        if status.exists():
            line = next(s for s in status.read_text().splitlines() if s.startswith("VmRSS:"))
            return int(line.split()[1]) * 1024 / 1e6
        told = subprocess.check_output(["ps", "-o", "rss=", "-p", str(self._process.pid)])
        return int(told) * 1024 / 1e6

    def close(self) -> None:
        raise NotImplementedError

    def _request(self, method: str, params: Mapping[str, Any]) -> bytes:
        self._number += 1
        message = {"jsonrpc": "2.0", "id": self._number, "method": method, "params": params}
        return json.dumps(message).encode()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._process:
            self.close()


class Server(Talk):
    """A child that speaks MCP on its standard streams; `start_seconds` is until `initialize`."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        started = perf_counter()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **environment},
        )
        self.raw("initialize", HELLO)
        self.start_seconds = perf_counter() - started
        self._say(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')

    def raw(self, method: str, params: Mapping[str, Any]) -> bytes:
        self._say(self._request(method, params))
        answers = re.compile(rb'\{"jsonrpc": ?"2.0", ?"id": ?%d, ?"result"' % self._number)
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if answers.match(line):
                return line
            if b'"error":{"code"' in line[:80]:
                raise RuntimeError(f"{method} failed: {line.decode()}")
        raise RuntimeError(f"The server ended during {method}.")

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()

    def _say(self, message: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(message + b"\n")
        self._process.stdin.flush()


class WebServer(Talk):
    """A child that serves MCP at `/mcp` on this machine's `port`, in one of the two eras.

    `key` is shown with every request, where there is one.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        port: int,
        era: str,
        key: str = "",
    ) -> None:
        self._era = era
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **environment},
        )
        self._headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": era,
            **({"Authorization": f"Bearer {key}"} if key else {}),
        }
        self._connection = self._connected(port)
        # A port may be open before what serves it is ready: the first answer is waited for here.
        if era == OLD:
            self.raw("initialize", HELLO)
            self._post(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')
        else:
            self.raw("server/discover", {})

    def raw(self, method: str, params: Mapping[str, Any]) -> bytes:
        if self._era == NEW:
            params = {**params, "_meta": ENVELOPE}
            self._headers["Mcp-Method"] = method
        answer = self._post(self._request(method, params))
        if b'"result":' not in answer.rpartition(b"data: ")[2][:120]:
            raise RuntimeError(f"{method} failed: {answer.decode()}")
        return answer

    def ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        answer = self.raw(method, params)
        return dict(json.loads(answer.rpartition(b"data: ")[2])["result"])

    def hang_up(self) -> None:
        """Close the connection; the next request opens another."""
        self._connection.close()

    def close(self) -> None:
        self.hang_up()
        self._process.terminate()

    def _post(self, body: bytes) -> bytes:
        self._connection.request("POST", "/mcp", body, self._headers)
        response = self._connection.getresponse()
        if session := response.getheader("Mcp-Session-Id"):
            self._headers["Mcp-Session-Id"] = session
        return response.read()

    def _connected(self, port: int) -> HTTPConnection:
        connection = HTTPConnection("127.0.0.1", port)
        deadline = perf_counter() + PATIENCE
        while True:
            try:
                connection.connect()
            except ConnectionRefusedError:
                if perf_counter() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.01)
            else:
                return connection


def cores() -> int:
    """Return how many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1
