"""Requests drawn from the served OpenAPI document: each is answered as the document says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from media_mcp.server.queue_api.schema import document

MEDIA_MCP = Path(sys.executable).with_name("media-mcp")
FAILED = 500
# Ids that are there besides some that are not: others than these would all be answered alike.
KNOWN = {
    "owner": ["rehearsal", "nobody"],
    "name": ["image", "edit", "none"],
    "request_id": ["<request>", "0" * 18],
    "ticket": ["<ticket>", "forged"],
}
EXAMPLES = 25


def narrowed() -> dict[str, Any]:
    """The document with endpoints that exist."""
    told = document()
    for name, known in KNOWN.items():
        told["components"]["parameters"][name]["schema"] = {"enum": known}
    return told


drawn = schemathesis.openapi.from_dict(narrowed())


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that rehearses every model; it must not log a traceback."""
    folder = tmp_path_factory.mktemp("schema")
    command = [MEDIA_MCP, "serve", "--http", "127.0.0.1:0", "--data-dir", folder, "--rehearse"]
    environment = {**os.environ, "XDG_CONFIG_HOME": str(folder)}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        said = [process.stderr.readline()]
        listening = re.search(r"(http://\S+)/mcp", said[0])
        reader = Thread(target=said.extend, args=(process.stderr,))
        reader.start()
        try:
            assert listening, said
            yield listening[1]
        finally:
            process.terminate()
            process.wait(20)
            reader.join()
    assert "Traceback" not in "".join(said), "".join(said)


def ticket(url: str) -> str:
    """Announce a file in parts, which need not be whole."""
    place: str = posted(f"{url}/rest/storage/upload/initiate-multipart", {})["upload_url"]
    return place.rpartition("/")[2]


def request_id(url: str) -> str:
    return str(posted(f"{url}/queue/rehearsal/image", {"prompt": "x"})["request_id"])


def posted(url: str, body: Any) -> Any:
    with urllib.request.urlopen(url, json.dumps(body).encode(), timeout=20) as answer:
        return json.load(answer)


MADE: dict[str, Callable[[str], str]] = {"<request>": request_id, "<ticket>": ticket}


@drawn.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_drawn_requests_are_answered_as_documented(case: Any, url: str) -> None:
    for name, value in case.path_parameters.items():
        if str(value) in MADE:
            case.path_parameters[name] = MADE[value](url)
    answer = case.call(base_url=url, timeout=20)
    documented = {int(code) for code in case.operation.definition.raw["responses"]}
    if case.method.upper() != case.operation.method.upper():  # methods that no document lists
        documented |= {404, 405}
    assert answer.status_code < FAILED and answer.status_code in documented, (
        f"{case.as_curl_command()}\n{answer.status_code} {answer.text[:500]}"
    )


def test_the_document_is_served(url: str) -> None:
    with urllib.request.urlopen(f"{url}/openapi.json", timeout=20) as answer:
        assert json.load(answer) == document()
