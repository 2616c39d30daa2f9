"""Which models this machine, as it is set up, can run now."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from media_mcp.backends import registry
from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.head import Head, Wish
from media_mcp.cli.rooms import run_async
from media_mcp.queue import policy
from media_mcp.queue.routing import REHEARSAL, rules_of
from media_mcp.settings import Settings


def that_run_here(settings: Settings, catalog: Catalog, wish: Wish) -> list[Head]:
    """Return the models that fit and have a route that is ready, best first."""
    return run_async(partial(_ready, settings, catalog, wish))


async def _ready(settings: Settings, catalog: Catalog, wish: Wish) -> list[Head]:
    names = catalog.backends() & set(registry.names())
    backends = registry.create_all(names | {REHEARSAL}, settings)
    wider = replace(wish, backends=None if settings.rehearse else names, limit=len(catalog))
    rules = rules_of(settings, settings.project)
    found: list[Head] = []
    try:
        for head in (one.head for one in catalog.find(wider)):
            model = catalog.get(head.id)
            wanted = policy.Wanted(model, {}, rehearse=settings.rehearse, rules=rules)
            found += [head] if policy.best(await policy.quotes(wanted, backends)) else []
            if len(found) == wish.limit:
                break
    finally:
        for backend in backends.values():
            await backend.aclose()
    return found
