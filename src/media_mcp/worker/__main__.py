"""`python -m media_mcp.worker`: started by the local backend, which speaks `protocol` with it."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from media_mcp.worker.limits import Limits
from media_mcp.worker.loop import Worker
from media_mcp.worker.pipelines import find_batch, find_pipeline


def private_streams() -> tuple[int, int]:
    """Take stdin and stdout for ourselves and return their descriptors.

    What a library prints then goes to stderr, and nothing but us reads the commands.
    """
    commands, events = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return commands, events


def main(argv: list[str] | None = None) -> int:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="media_mcp.worker", description=__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--beat", type=float, default=5.0, help="seconds between signs of life")
    parser.add_argument("--memory-budget", type=int, default=0, help="bytes; 0: by the device")
    parser.add_argument(
        "--host-memory-budget", type=int, help="bytes; default: half of what is free"
    )
    parser.add_argument("--memory-notes", type=Path, help="a file that keeps what was measured")
    options = parser.parse_args(argv)
    commands, events = private_streams()
    limits = Limits(options.memory_budget, options.host_memory_budget, options.memory_notes)
    worker = Worker(commands, events, find_pipeline, find_batch, beat_seconds=options.beat)
    worker.serve(options.device, limits)
    return 0


if __name__ == "__main__":
    sys.exit(main())
