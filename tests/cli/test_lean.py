"""The server's process holds no MCP client, and whoever asks for one still gets it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


def after(code: str) -> dict[str, object]:
    """Run code in a fresh process after `slim` and return what it puts into `told`."""
    whole = f"""
import json, sys
from media_mcp.cli.lean import slim
slim()
told = {{}}
{code}
print(json.dumps(told))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", whole],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return json.loads(done.stdout)


def test_our_server_loads_neither_the_client_nor_the_high_level_server():
    told = after(
        "import media_mcp.server.mcp, media_mcp.server.http, media_mcp.server.conformance\n"
        "told['modules'] = [name for name in sys.modules if name.startswith('mcp.')]"
    )
    unwanted = ("mcp.client", "mcp.server.mcpserver")
    assert not [name for name in told["modules"] if name.startswith(unwanted)]


@pytest.mark.parametrize(
    "code",
    [
        "from mcp import Client; told['name'] = Client.__module__",
        "import mcp; told['name'] = mcp.Client.__module__",
        "from mcp.server import MCPServer; told['name'] = MCPServer.__module__",
        "import mcp.server; told['name'] = mcp.server.lowlevel.Server.__module__",
    ],
)
def test_every_name_of_the_sdk_can_still_be_had(code: str):
    assert str(after(code)["name"]).startswith("mcp.")


def test_a_name_that_is_none_is_an_error_as_ever():
    told = after(
        "import mcp\n"
        "for module in (mcp, mcp.server):\n"
        "    for name in ('nonsense', '__nonsense__'):\n"
        "        try:\n"
        "            getattr(module, name)\n"
        "        except AttributeError as error:\n"
        "            told[f'{module.__name__}.{name}'] = str(error)"
    )
    assert len(told) == 4
    assert told["mcp.nonsense"] == "module 'mcp' has no attribute 'nonsense'"


def test_packages_that_are_imported_already_are_left_alone():
    assert after(
        "import mcp.server; real = mcp.Client; slim(); import mcp\n"
        "told['same'] = mcp.Client is real"
    ) == {"same": True}
