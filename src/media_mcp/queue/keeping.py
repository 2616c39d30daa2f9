"""What is kept of whom: for the doors, who ask whether an asset is there and have it pinned."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from media_mcp.errors import NotFound
from media_mcp.job import Asset, Caller
from media_mcp.queue.bounds import bounded
from media_mcp.queue.holdings import LATELY, Holding
from media_mcp.queue.retention import Bounds, Collector
from media_mcp.queue.sentences import was_removed
from media_mcp.queue.store import Store
from media_mcp.queue.uploads import URI

if TYPE_CHECKING:
    from media_mcp.media import MediaStore
    from media_mcp.settings import Settings


class Keeping:
    """Tells of holdings; methods raise `StorageFailed`. Its `collector` removes what may go."""

    def __init__(
        self, store: Store, media: MediaStore, settings: Settings, clock: Callable[[], float]
    ) -> None:
        self._holdings = store.holdings
        self._clock = clock
        work_dir = settings.data_dir / "work"
        self.collector = Collector(store, media, work_dir, Bounds.of(settings), clock)

    async def removed(self, owner: str, uri: str) -> str:
        """Return when and why an owner's asset was removed (`on … by retention`), if it was.

        Of one that is there, it is noted that it was used.
        """
        held = await self._holdings.one(owner, uri) if URI.fullmatch(uri) else None
        if held is None:
            return ""
        if not held.removed and held.used_at < self._clock() - LATELY / 2:
            await self._holdings.used(owner, uri)
        return held.removed

    async def check(self, caller: Caller, uri: str) -> None:
        """Raise `NotFound` for an asset of the caller's that was removed."""
        if removed := await self.removed(caller.owner, uri):
            raise was_removed(uri, removed)

    async def brought(self, caller: Caller, asset: Asset) -> None:
        """Note that the bytes of an asset came once more, where they were here before."""
        held = await self._holdings.one(caller.owner, asset.uri)
        if held is not None and (held.removed or held.used_at < self._clock() - LATELY / 2):
            await self._holdings.used(caller.owner, asset.uri, asset.size)

    async def listed(
        self, owner: str | None, *, pinned: bool = False, limit: int = 50, before: int | None = None
    ) -> list[Holding]:
        """Return what an owner (None: everybody) holds or held, newest first."""
        return await self._holdings.listed(
            owner, pinned=pinned, limit=bounded(limit), before=before
        )

    async def pin(self, owner: str, uri: str, *, pinned: bool = True) -> Holding:
        """Keep an asset whatever its age, or no longer. Raises `NotFound`."""
        held = await self._holdings.pin(owner, uri, pinned) if URI.fullmatch(uri) else None
        if held is None:
            raise NotFound(
                f"{owner} has no asset {uri[:100]!r}.",
                "media-mcp assets list shows what there is; --owner names another caller.",
            )
        if held.removed:
            raise was_removed(uri, held.removed)
        return held
