"""Runs models on this machine, in a worker process that holds torch; this side never imports it."""

from .backend import Local, create

__all__ = ["Local", "create"]
