"""Runs models on this machine, in a worker process that holds torch; this side never imports it."""

from media_mcp.backends.local.backend import Local, create

__all__ = ["Local", "create"]
