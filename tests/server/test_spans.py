"""Spans for those who configured an SDK, in a process of its own: providers are set once."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

WITHOUT = """
import sys
import media_mcp.cli.serve, media_mcp.server.http, media_mcp.queue, media_mcp.backends.fal
print([name for name in sys.modules if name.startswith("opentelemetry.sdk")])
"""
SCRIPT = """
import json, sys
from pathlib import Path
import anyio
from mcp import Client
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from media_mcp import trail
from media_mcp.job import Caller
from media_mcp.server.app import open_app
from media_mcp.server.mcp import McpServer, surface_of
from media_mcp.settings import Settings

seen, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(seen))
trace.set_tracer_provider(provider)

async def main():
    async with open_app(Settings(data_dir=Path(sys.argv[1]), catalog_dirs=[])) as app:
        server = McpServer(surface_of(app))
        async with server.running(app), Client(server.sdk, mode=sys.argv[2]) as client:
            await client.call_tool("rehearsal_image", {"prompt": "x"})
        (job,) = await app.queue.jobs(Caller())
    spans = [
        {
            "name": span.name,
            "trace": f"{span.context.trace_id:032x}",
            "parent": span.parent and f"{span.parent.span_id:016x}",
            "id": f"{span.context.span_id:016x}",
            "told": dict(span.attributes),
        }
        for span in seen.get_finished_spans()
    ]
    print(json.dumps({"spans": spans, "job": job.id, "trace": job.trace}))

anyio.run(main)
"""


def _told(script: str, *words: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", script, *words], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.parametrize("era", ["legacy", "2026-07-28"])
def test_a_call_its_submit_and_its_run_are_one_trace(tmp_path: Path, era: str) -> None:
    told: dict[str, Any] = json.loads(_told(SCRIPT, str(tmp_path), era))
    by_name = {span["name"]: span for span in told["spans"] if span["told"].get("media_mcp.job")}
    submit, run = by_name["submit rehearsal/image"], by_name["run rehearsal/image"]
    call = next(span for span in told["spans"] if span["id"] == submit["parent"])
    assert call["name"] == "tools/call rehearsal_image"
    assert call["told"]["mcp.method.name"] == "tools/call" and "jsonrpc.request.id" in call["told"]
    assert run["parent"] == call["id"] and told["trace"].split("-")[2] == call["id"]
    assert {call["trace"], submit["trace"], run["trace"]} == {told["trace"].split("-")[1]}
    assert submit["told"]["media_mcp.door"] == "mcp"
    for span in (submit, run):
        assert span["told"]["media_mcp.job"] == told["job"]
        assert span["told"]["media_mcp.route"] == "rehearsal"
    assert run["told"]["media_mcp.state"] == "succeeded"


def test_without_an_sdk_none_is_loaded() -> None:
    assert _told(WITHOUT).strip() == "[]"
