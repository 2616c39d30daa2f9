"""Runs models at places that speak the fal queue protocol: fal itself, or another media-mcp."""

from media_mcp.backends.fal.backend import Fal, create

__all__ = ["Fal", "create"]
