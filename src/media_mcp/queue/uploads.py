"""Files that callers brought before they asked for a job."""

from __future__ import annotations

import re
from collections.abc import Callable

from media_mcp.queue.store import Store, Upload

NAME = re.compile(r"[0-9a-z]{1,64}", re.ASCII)
URI = re.compile(r"media://[0-9a-f]{64}\.[a-z0-9]{1,12}", re.ASCII)


class Uploads:
    """Knows whose they are and how long they are kept. Methods raise `StorageFailed`."""

    def __init__(self, store: Store, on_expiry: Callable[[], None]) -> None:
        self._store = store
        self._on_expiry = on_expiry

    async def keep(self, upload: Upload) -> str:
        """Note an upload and return its URI, which its owner may use as an input from now on.

        A name is taken once: the URI of the asset that has it already is returned instead.
        """
        kept = await self._store.keep_upload(upload)
        if upload.expires_at is not None:
            self._on_expiry()
        return kept

    async def find(self, name: str) -> str | None:
        """Return the URI of what was uploaded under a name, unless its time is over."""
        upload = await self.named(name)
        return upload.uri if upload else None

    async def named(self, name: str) -> Upload | None:
        """Return what was uploaded under a name, unless its time is over."""
        return await self._store.upload(name) if NAME.fullmatch(name) else None

    async def holders(self, uri: str) -> list[str]:
        """Return whose upload or output an asset is, where its time is not over."""
        return await self._store.holders(uri) if URI.fullmatch(uri) else []
