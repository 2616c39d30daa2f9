"""The MCP Inspector's command line on the real server: both eras, over stdio and HTTP."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

pytestmark = pytest.mark.timeout(500)  # the first one may have to install the Inspector

INSPECTOR = "@modelcontextprotocol/inspector/clients/launcher/build/index.js"
Inspect = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(params=["legacy", "modern"])
def inspect(
    request: pytest.FixtureRequest,
    run: Callable[..., "subprocess.CompletedProcess[str]"],
    target: list[str],
) -> Inspect:
    """Run one method of the protocol; the Inspector must not complain."""

    def inspect_method(method: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        era = ["--protocol-era", request.param]
        done = run(INSPECTOR, "--cli", "-q", *target, *era, "--method", method, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    return inspect_method


def test_every_schema_is_portable(inspect: Inspect) -> None:
    done = inspect("tools/list", "--strict", "--format", "json")
    names = {tool["name"] for tool in json.loads(done.stdout)["result"]["tools"]}
    assert done.stderr == ""
    assert {"find_models", "run_model", "get_job", "sketch"} <= names


def test_a_picture_is_made_and_read_back(inspect: Inspect, tmp_path: Path) -> None:
    arguments = json.dumps({"prompt": "a red boat", "seed": 7})
    called = inspect(
        "tools/call", "--tool-name", "sketch", "--tool-args-json", arguments, "--format", "json"
    )
    answer = json.loads(called.stdout)["result"]
    (asset,) = answer["structuredContent"]["assets"]
    file = tmp_path / "boat.png"
    inspect(
        "resources/read", "--uri", asset["uri"], "--output", str(file), "--output-format", "raw"
    )
    assert file.read_bytes() == Path(asset["path"]).read_bytes()
    with Image.open(file) as image:
        assert (image.format, image.size) == ("PNG", (asset["width"], asset["height"]))
