"""What jobs cost and how many there are, as the ledger and the rows tell it."""

from __future__ import annotations

from typing import Any

from media_mcp.job import Caller
from media_mcp.queue.bounds import bindable
from media_mcp.queue.router import Router
from media_mcp.queue.store import Store, Tally


class Books:
    """Reads the books; methods raise `StorageFailed`."""

    def __init__(self, store: Store, router: Router) -> None:
        self._store = store
        self._router = router

    async def spend(self, caller: Caller) -> dict[str, Any]:
        """Return what the caller's jobs cost and took: in all, by model, by route and by day.

        `cost` (US dollars; `unsure` is the part of it that may not be billed), `gpu_seconds`,
        `seconds`, `jobs` and `reserved`. Days are UTC, `2026-11-22`. `left` tells what is left of
        each limit that holds for the caller, by the name of its setting.
        """
        spent = await self._store.spend(caller.owner)
        return spent | {"left": await self._store.left(self._router.limits(caller))}

    async def queued(self, model: str) -> int:
        """Return how many jobs of a model wait, whoever's they are."""
        return await self._store.queued_count(bindable(model))

    async def tally(self) -> Tally:
        """Return how many jobs wait and run, and what they cost, over all callers."""
        return await self._store.tally()

    async def unbalanced(self) -> list[str]:
        """Return the ids of jobs whose lines in the ledger do not add up: none."""
        return await self._store.unbalanced()
