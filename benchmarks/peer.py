"""The peer: a FastMCP server with the same tools, whose calls answer at once and keep nothing.

It runs in an environment of its own: see peer_env.py. The only argument is a file with the tools.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from fastmcp import FastMCP
from fastmcp.tools.base import Tool, ToolResult

ANSWER = {"state": "succeeded", "job_id": "0" * 18, "assets": [], "next": "Done."}


class Canned(Tool):
    """A tool that answers without doing anything."""

    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        return ToolResult(content=json.dumps(ANSWER), structured_content=ANSWER)


def main() -> None:
    server: FastMCP[None] = FastMCP("peer")
    for tool in json.loads(Path(sys.argv[1]).read_text()):
        server.add_tool(
            Canned(
                name=tool["name"],
                title=tool["title"],
                description=tool["description"],
                parameters=tool["inputSchema"],
                output_schema=tool["outputSchema"],
            )
        )
    server.run("stdio", show_banner=False)


if __name__ == "__main__":
    main()
