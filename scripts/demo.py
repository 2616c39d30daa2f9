"""Draws a picture the way an agent does: starts the server, lists its tools, calls one.

`make demo PROMPT="a house by night"`
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import anyio
from mcp import Client, StdioServerParameters
from mcp.shared.exceptions import MCPError

HERE = Path(__file__).resolve().parents[1]
FOLDER = HERE / "media"
SERVER = StdioServerParameters(
    command=str(Path(sys.executable).with_name("media-mcp")),
    args=["serve", "--data-dir", str(FOLDER), "--wait", "300"],
)
WIDTH = 30


async def main() -> int:
    prompt = os.environ.get("PROMPT") or "a red circle above a blue square on a yellow background"
    begun = perf_counter()
    async with Client(SERVER) as client:
        print(f"Connected to media-mcp over stdio, MCP {client.protocol_version}.")
        tools = (await client.list_tools()).tools
        print(f"Its tools: {', '.join(tool.name for tool in tools)}.")
        print(f'Calling sketch(prompt="{prompt}") …')
        called = perf_counter()
        answer = await client.call_tool("sketch", {"prompt": prompt}, progress_callback=_show)
        seconds = perf_counter() - called
    return _tell(answer.structured_content or {}, seconds, perf_counter() - begun)


async def _show(progress: float, total: float | None, message: str | None) -> None:
    """Draw a bar in place on a terminal; elsewhere, a line for each thing told."""
    if sys.stdout.isatty():
        filled = round(WIDTH * min(progress / total, 1)) if total else 0
        print(f"\r  {'#' * filled:<{WIDTH}} {message:<48}", end="", flush=True)
    else:
        print(f"  {message}", flush=True)


def _tell(facts: dict[str, Any], seconds: float, whole: float) -> int:
    if sys.stdout.isatty():
        print()
    print("The answer:")
    for name, value in facts.items():
        print(f"  {name}: {value}")
    if facts.get("state") != "succeeded":
        return 1
    for asset in facts["assets"]:
        print(f"\nThe picture: {_readable(Path(asset['path']))}")
    print(f"The call took {seconds:.1f} s, with starting and closing the server {whole:.1f} s.")
    return 0


def _readable(path: Path) -> Path:
    """Return the path as it is short to type: relative to the repository, if it lies there."""
    return path.relative_to(HERE) if path.is_relative_to(HERE) else path


def run() -> int:
    try:
        return anyio.run(main)
    except (MCPError, ExceptionGroup):
        print("error: The server ended early; its own words are above.", file=sys.stderr)
        print("hint: .venv/bin/media-mcp doctor", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(run())
