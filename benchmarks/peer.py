"""The peer: a FastMCP server with the same tools, whose calls answer at once and keep nothing.

It runs in an environment of its own: see peer_env.py. Arguments: a file with the tools as they
stand on the wire, and a port to serve on; without one, standard input and output.

It is set up for the fastest listing that FastMCP has: nothing looks for references in the schemas,
each tool's definition is made once, and the whole list is one answer, for with pages FastMCP goes
through all tools for each of them. Its cache of answers (`ResponseCachingMiddleware`) is slower.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from fastmcp import FastMCP
from fastmcp.tools.base import Tool, ToolResult
from mcp_types import Tool as Definition
from pydantic import PrivateAttr

ANSWER = {"state": "succeeded", "job_id": "0" * 18, "assets": [], "next": "Done."}


class Canned(Tool):
    """A tool that answers without doing anything, and is listed as its definition says."""

    _definition: Definition = PrivateAttr()

    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        return ToolResult(content=json.dumps(ANSWER), structured_content=ANSWER)

    def to_mcp_tool(self, **overrides: Any) -> Definition:
        return self._definition


def canned(wire: dict[str, Any]) -> Canned:
    """Return the tool with this definition."""
    made = Definition.model_validate(wire)
    tool = Canned(
        name=made.name,
        title=made.title,
        description=made.description,
        parameters=made.input_schema,
        output_schema=made.output_schema,
        annotations=made.annotations,
        icons=made.icons,
        meta=made.meta,
    )
    tool._definition = made
    return tool


def main() -> None:
    server: FastMCP[None] = FastMCP("peer", dereference_schemas=False)
    for wire in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
        server.add_tool(canned(wire))
    if len(sys.argv) > 2:
        server.run(
            "http", show_banner=False, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning"
        )
    else:
        server.run("stdio", show_banner=False)


if __name__ == "__main__":
    main()
