"""Runs programs and engines that cannot be stopped from within, in processes of their own."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence

from media_mcp.errors import BackendFailed
from media_mcp.worker.work import Work

PATIENCE = 120.0  # seconds that an engine may take
_POLL = 0.02


def run_program(work: Work, name: str, command: Sequence[str], hint: str) -> None:
    """Run a program to its end; a cancelled job ends it.

    Raises `BackendFailed`, with a hint, for one that fails or takes over `PATIENCE`.
    """
    deadline = time.monotonic() + PATIENCE
    said = work.folder / f"{name}.log"
    with said.open("wb") as log:
        engine = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log
        )
        try:
            while engine.poll() is None:
                work.check()
                if time.monotonic() > deadline:
                    raise BackendFailed(f"{name} took over {PATIENCE:g} s.", hint)
                time.sleep(_POLL)
        finally:
            engine.kill()
            engine.wait()
    words = said.read_text(errors="replace").strip()[-200:]
    said.unlink()
    if engine.returncode:
        raise BackendFailed(f"{name} failed: {words or engine.returncode}.", hint)
