"""Finds backends by name.

Kinds come through entry points, so that a third party ships one with no edit here; places of a kind
come through the folders that describe them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points
from inspect import signature

from media_mcp.backends.base import Backend
from media_mcp.backends.instances import Instance, configured, instance
from media_mcp.errors import BadSettings, NotConfigured, did_you_mean
from media_mcp.settings import Settings

GROUP = "media_mcp.backends"

# What an entry point names: `create(settings)` makes the only backend of its kind, and
# `create(settings, instance)` the one for a place that a backend.toml describes.
Create = Callable[..., Backend]
TAKES_PLACES = "instance"


def names() -> list[str]:
    """Return the names of every backend there could be: installed kinds and described places."""
    return sorted({entry.name for entry in entry_points(group=GROUP)} | {*configured()})


def create(name: str, settings: Settings) -> Backend:
    """Make the backend called `name`. Raises `NotConfigured` with those there are."""
    place = instance(name)
    make: Create = _kind(place.kind if place else name, place).load()
    if TAKES_PLACES in signature(make).parameters:
        return make(settings, instance=place or Instance(name))
    if place is not None and place.kind != name:
        raise BadSettings(
            f"{place.path}: there can be only one backend of the kind {place.kind}.",
            f"Remove the folder, or write another kind than {place.kind!r}.",
        )
    return make(settings)


def create_all(wanted: Iterable[str], settings: Settings) -> dict[str, Backend]:
    """Make the backends called `wanted`, by name, each once."""
    return {name: create(name, settings) for name in sorted(set(wanted))}


def _kind(kind: str, place: Instance | None) -> EntryPoint:
    found = entry_points(group=GROUP, name=kind)
    if found:
        return next(iter(found))
    known = sorted({entry.name for entry in entry_points(group=GROUP)}) if place else names()
    hint = did_you_mean(kind, known) or f"Installed: {', '.join(known)}."
    if place is not None:
        raise BadSettings(f"{place.path}: there is no kind of backend called {kind!r}.", hint)
    raise NotConfigured(f"There is no backend called {kind!r}.", hint)
