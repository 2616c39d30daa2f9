"""What every measurement shares: a line of the report, how to start both sides, taking turns."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from peer_env import FASTMCP, peer_python
from ports import free_port
from wire import Server, WebServer

PEER = f"FastMCP {FASTMCP}"
HERE = Path(__file__).parent
OURS = str(Path(sys.executable).with_name("media-mcp"))


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the report. `goal` bounds the ratio to the peer, or ours where it says so.

    A row without a peer has no ratio. `made` is the day of the measurement.
    """

    name: str
    unit: str
    ours: float
    peer: float | None
    peer_name: str
    goal: str
    met: bool
    detail: str = ""
    made: str = ""

    @property
    def ratio(self) -> float | None:
        return self.ours / self.peer if self.peer else None


@dataclass(frozen=True, slots=True)
class Bench:
    """Starts both servers; `folder` takes what they write. Neither sees the user's own files."""

    folder: Path
    python: Path

    @classmethod
    def make(cls, folder: Path, cache: Path) -> Bench:
        """Install the peer, and give it the tools that our server lists by default and in all."""
        bench = cls(folder, peer_python(cache))
        for tools in ("featured", "all"):
            with bench.ours(tools) as server:
                pages = [json.loads(page)["result"]["tools"] for page in server.tools()[1]]
            listed = [tool for page in pages for tool in page]
            (folder / f"{tools}.json").write_text(json.dumps(listed), encoding="utf-8")
        return bench

    def count(self, tools: str) -> int:
        """Return how many tools either server lists."""
        return len(json.loads((self.folder / f"{tools}.json").read_bytes()))

    def ours(self, tools: str = "featured", **environment: str) -> Server:
        return Server([OURS, *self.serve(tools)], self.environment | environment)

    def peer(self, tools: str = "featured") -> Server:
        return Server(self._peer(tools), {})

    def ours_on_the_web(self, tools: str, era: str) -> WebServer:
        port = free_port()
        command = [OURS, *self.serve(tools), "--http", f"127.0.0.1:{port}"]
        return WebServer(command, self.environment, port, era)

    def peer_on_the_web(self, tools: str, era: str) -> WebServer:
        port = free_port()
        return WebServer([*self._peer(tools), str(port)], {}, port, era)

    def serve(self, tools: str) -> list[str]:
        """Return the command line of our server, after its program."""
        data = str(self.folder / "data")
        return ["serve", "--data-dir", data, "--wait", "600", "--tools", tools]

    @property
    def environment(self) -> dict[str, str]:
        """Keep the user's own cards and the compiled ones of other states out."""
        return {
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "MEDIA_MCP_CATALOG_DIRS": "[]",
        }

    def forget(self) -> None:
        """Remove the compiled catalog."""
        shutil.rmtree(self.folder / "cache")

    def _peer(self, tools: str) -> Sequence[str]:
        return [str(self.python), str(HERE / "peer.py"), str(self.folder / f"{tools}.json")]


def in_turn(
    times: int, one: Callable[[], float], other: Callable[[], float]
) -> tuple[list[float], list[float]]:
    """Run both by turns, each first every other time."""
    ones: list[float] = []
    others: list[float] = []
    for turn in range(times):
        pair = [(ones, one), (others, other)]
        for results, measure in pair if turn % 2 else reversed(pair):
            results.append(measure())
    return ones, others
