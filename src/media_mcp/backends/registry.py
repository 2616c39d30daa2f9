"""Finds backends by name through entry points: a third party ships one with no edit here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.metadata import entry_points

from media_mcp.backends.base import Backend
from media_mcp.errors import NotConfigured, did_you_mean
from media_mcp.settings import Settings

GROUP = "media_mcp.backends"
Create = Callable[[Settings], Backend]


def names() -> list[str]:
    """Return the names of every installed kind of backend."""
    return sorted(entry.name for entry in entry_points(group=GROUP))


def create(name: str, settings: Settings) -> Backend:
    """Make the backend called `name`. Raises `NotConfigured` with the installed names."""
    found = entry_points(group=GROUP, name=name)
    if not found:
        known = names()
        hint = did_you_mean(name, known) or f"Installed: {', '.join(known)}."
        raise NotConfigured(f"There is no backend called {name!r}.", hint)
    make: Create = next(iter(found)).load()
    return make(settings)


def create_all(wanted: Iterable[str], settings: Settings) -> dict[str, Backend]:
    """Make the backends called `wanted`, by name, each once."""
    return {name: create(name, settings) for name in sorted(set(wanted))}
