"""The command line: `media-mcp …`. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: see `media_mcp.cli.outcome`."""
    import gc

    # Start-up makes objects that stay for good: looking through them for garbage costs a fifth of
    # the start. `settled` turns the collector on again once a command has imported what it needs.
    gc.disable()
    from media_mcp.cli.outcome import reported

    return reported(argv)
