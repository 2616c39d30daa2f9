"""The media room: assets, what their bytes say, previews, checks, and safe reading of inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from media_mcp.media.names import name_for

if TYPE_CHECKING:
    from media_mcp.media.facts import Facts
    from media_mcp.media.inputs import Inputs
    from media_mcp.media.store import MediaStore

__all__ = ["Facts", "Inputs", "MediaStore", "name_for"]

_HOMES = {
    "Facts": "facts",
    "Inputs": "inputs",
    "MediaStore": "store",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
