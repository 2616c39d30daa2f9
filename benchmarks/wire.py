"""A client as thin as can be, so that what is measured is the server: JSON lines over pipes."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any, Self

CLIENT = {"name": "benchmark", "version": "1"}
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": CLIENT}


class Server:
    """A child that speaks MCP on its standard streams; `start_seconds` is until `initialize`."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        self._number = 0
        started = perf_counter()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
        )
        self.ask("initialize", HELLO)
        self.start_seconds = perf_counter() - started
        self._say({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Send a request and return its result, passing over what else the server says."""
        self._number += 1
        self._say({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params})
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            if message.get("id") == self._number and "method" not in message:
                return dict(message["result"])
        raise RuntimeError(f"The server ended during {method}.")

    def call(self, tool: str, arguments: dict[str, Any]) -> tuple[float, dict[str, Any]]:
        """Call a tool; return the seconds and the structured answer."""
        started = perf_counter()
        result = self.ask("tools/call", {"name": tool, "arguments": arguments})
        seconds = perf_counter() - started
        if result.get("isError"):
            raise RuntimeError(f"{tool} failed: {result['content']}")
        return seconds, dict(result.get("structuredContent") or {})

    def memory(self) -> float:
        """Return the resident memory of the server's own process in MB."""
        status = Path(f"/proc/{self._process.pid}/status")
        if status.exists():
            line = next(s for s in status.read_text().splitlines() if s.startswith("VmRSS:"))
            return int(line.split()[1]) * 1024 / 1e6
        told = subprocess.check_output(["ps", "-o", "rss=", "-p", str(self._process.pid)])
        return int(told) * 1024 / 1e6

    def _say(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()


def cores() -> int:
    """Return how many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1
