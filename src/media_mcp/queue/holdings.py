"""The port: which owner holds which asset, what must stay, and what was removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

RETENTION = "retention"  # why an asset was removed: its age, or the size of all of them
LIFETIME = "its time was over"  # so long was it to be kept
MISSING = "missing"  # it was gone when it was looked for

LATELY = 3600.0  # what was made, brought or used within so many seconds stays
UNASKED = 86_400.0  # as does, for so many, the output of a job whose answer nobody has had


@dataclass(frozen=True, slots=True)
class Holding:
    """An owner's copy of an asset. `used_at` is when it was last made, brought or used.

    `n` numbers holdings. `removed_at` is when it was removed, and `removed_by` why. All moments are
    Unix seconds; `size` is in bytes, 0 where it is not known.
    """

    n: int
    owner: str
    uri: str
    size: int
    used_at: float
    pinned_at: float | None = None
    removed_at: float | None = None
    removed_by: str = ""

    @property
    def removed(self) -> str:
        """`on 2026-11-30 by retention`; empty while it is there."""
        return removed_words(self.removed_at, self.removed_by)


def removed_words(at: float | None, why: str | None) -> str:
    """Return when and why an asset was removed: `on 2026-11-30 by retention`."""
    if at is None:
        return ""
    day = datetime.fromtimestamp(at, UTC).date().isoformat()
    if why == RETENTION:
        return f"on {day} by retention"
    return f"on {day}: it was missing" if why == MISSING else f"on {day}, as {why}"


Cursor = tuple[float, int]  # `used_at` and `n` of the last one that was looked at
START: Cursor = (float("-inf"), 0)


class Holdings(Protocol):
    """Who holds what. Every method is one transaction; `StorageFailed` says the disk would not."""

    async def one(self, owner: str, uri: str) -> Holding | None: ...

    async def listed(
        self, owner: str | None, *, pinned: bool, limit: int, before: int | None = None
    ) -> list[Holding]:
        """Return an owner's holdings (None: everybody's), newest first, those before number `n`."""

    async def used(self, owner: str, uri: str, size: int = 0) -> None:
        """Note that an asset is used now, and is there."""

    async def pin(self, owner: str, uri: str, pinned: bool) -> Holding | None:
        """Have an asset kept whatever its age or lifetime, or no longer; None where none is known.

        One that was removed is returned as it is.
        """

    async def spare(self, after: Cursor, before: float, most: int) -> list[Holding]:
        """Return holdings that nothing needs, last used by `before`, those longest unused first."""

    async def held_bytes(self) -> int:
        """Return how many bytes all holdings have together."""

    async def retire(self, holdings: Sequence[Holding], why: str) -> list[Holding]:
        """Mark those removed that nothing needs by now, and return them.

        From then on no job is taken that names one, until its bytes are brought or made again.
        """

    async def restore(self, holding: Holding) -> None:
        """Take back what `retire` wrote of a holding, unless that has changed."""

    async def gone(self, holdings: Sequence[Holding], why: str) -> list[Holding]:
        """Mark holdings removed, needed or not: their files are not there."""

    async def sized(self, holdings: Sequence[Holding]) -> None:
        """Write the sizes of holdings where they were not known."""

    async def page(self, after: int, most: int, *, removed: bool = False) -> list[Holding]:
        """Return the holdings that come after number `after`: those there, or those removed."""

    async def others(self, owner: str, uri: str) -> list[str]:
        """Return who else holds an asset."""

    async def alive(self, owner: str, sha256: Sequence[str]) -> set[str]:
        """Return which of these contents the owner holds, or else anybody does without a copy."""

    async def owners(self) -> list[str]:
        """Return everybody who holds or held something."""

    async def born(self) -> float:
        """Return since when holdings have been written down: older files may be anybody's."""

    async def my_turn(self, chore: str, every: float) -> bool:
        """Tell whether this server does a chore that one of several does every so many seconds."""
