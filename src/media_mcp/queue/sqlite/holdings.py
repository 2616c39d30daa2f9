"""Which owner holds which asset: a row of `holdings` for each, and what keeps it there."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from media_mcp.job import Asset
from media_mcp.queue.holdings import LATELY, UNASKED, Cursor, Holding
from media_mcp.queue.sentences import was_removed
from media_mcp.queue.sqlite.connection import transaction
from media_mcp.queue.sqlite.pen import Pen

Run = Callable[..., Any]

# Of a row of `holdings`: what must not go. An upload or output that is to be kept until later; what
# a job that is not over was given; what a webhook, or whoever asked, has not heard of yet.
NEEDED = """(pinned_at IS NOT NULL OR used_at > :now - :lately
    OR EXISTS (SELECT 1 FROM lifetimes WHERE lifetimes.uri = holdings.uri
        AND lifetimes.owner = holdings.owner AND expires_at > :now)
    OR EXISTS (SELECT 1 FROM job_assets JOIN jobs ON jobs.n = job_assets.job
        WHERE job_assets.uri = holdings.uri AND jobs.owner = holdings.owner
        AND (state IN ('queued', 'running') OR side = 'out' AND (
            state = 'succeeded' AND answered_at IS NULL AND ended_at > :now - :unasked
            OR EXISTS (SELECT 1 FROM webhooks
                WHERE webhooks.job = jobs.n AND webhooks.state = 'due')))))"""
# Joined to rows of `job_assets`: what `:owner`, whose jobs they are of, holds.
HELD = "LEFT JOIN holdings ON holdings.owner = :owner AND holdings.uri = job_assets.uri"
_USE = """
INSERT INTO holdings (owner, uri, size, used_at) VALUES (?, ?, ?, ?)
ON CONFLICT (owner, uri) DO UPDATE SET used_at = max(used_at, excluded.used_at),
    size = max(size, excluded.size)
"""


def take(pen: Pen, owner: str, assets: Sequence[Asset]) -> None:
    """Note that a job is given assets. Raises `NotFound` for one that was removed."""
    for asset in assets:
        held = one(pen.db, owner, asset.uri)
        if held is not None and held.removed:
            raise was_removed(held.uri, held.removed)
        pen.db.execute(_USE, (owner, asset.uri, asset.size, pen.clock()))


def give(pen: Pen, owner: str, assets: Sequence[Asset]) -> None:
    """Note that a job made assets: what was removed of them is there again."""
    for asset in assets:
        use(pen, owner, asset.uri, asset.size)


def use(pen: Pen, owner: str, uri: str, size: int) -> None:
    again = ", removed_at = NULL, removed_by = NULL"
    pen.db.execute(_USE + again, (owner, uri, size, pen.clock()))


def one(db: sqlite3.Connection, owner: str, uri: str) -> Holding | None:
    return next(iter(_found(db, "owner = :owner AND uri = :uri", owner=owner, uri=uri)), None)


def listed(
    db: sqlite3.Connection, owner: str | None, pinned: bool, limit: int, before: int | None
) -> list[Holding]:
    return _found(
        db,
        "owner = coalesce(:owner, owner) AND (NOT :pinned OR pinned_at IS NOT NULL) "
        "AND (:before IS NULL OR n < :before) ORDER BY n DESC LIMIT :limit",
        owner=owner,
        pinned=pinned,
        before=before,
        limit=limit,
    )


def pin(pen: Pen, owner: str, uri: str, pinned: bool) -> Holding | None:
    with transaction(pen.db):
        pen.db.execute(
            "UPDATE holdings SET pinned_at = CASE WHEN ? THEN coalesce(pinned_at, ?) END, "
            "used_at = max(used_at, ?) WHERE owner = ? AND uri = ? AND removed_at IS NULL",
            (pinned, pen.clock(), pen.clock(), owner, uri),
        )
        if pinned:  # nor does its time run out
            pen.db.execute(
                "UPDATE lifetimes SET expires_at = NULL, check_at = NULL "
                "WHERE owner = ? AND uri = ? AND expires_at > ?",
                (owner, uri, pen.clock()),
            )
        return one(pen.db, owner, uri)


def spare(db: sqlite3.Connection, after: Cursor, before: float, most: int, now: float) -> Any:
    return _found(
        db,
        f"removed_at IS NULL AND used_at <= :before AND (used_at, n) > (:used_at, :n) "
        f"AND NOT {NEEDED} ORDER BY used_at, n LIMIT :most",
        before=before,
        used_at=after[0],
        n=after[1],
        most=most,
        **_moments(now),
    )


def _moments(now: float) -> dict[str, float]:
    return {"now": now, "lately": LATELY, "unasked": UNASKED}


def held_bytes(db: sqlite3.Connection) -> int:
    (total,) = db.execute("SELECT total(size) FROM holdings WHERE removed_at IS NULL").fetchone()
    return int(total)


def retire(pen: Pen, holdings: Sequence[Holding], why: str) -> list[Holding]:
    return _mark(pen, holdings, why, f"AND NOT {NEEDED}")


def gone(pen: Pen, holdings: Sequence[Holding], why: str) -> list[Holding]:
    return _mark(pen, holdings, why, "AND used_at <= :used_at")


def _mark(pen: Pen, holdings: Sequence[Holding], why: str, unless: str) -> list[Holding]:
    now = pen.clock()
    query = (
        "UPDATE holdings SET removed_at = :now, removed_by = :why "  # noqa: S608
        f"WHERE n = :n AND removed_at IS NULL {unless} RETURNING *"
    )
    with transaction(pen.db):
        marked = [
            pen.db.execute(
                query, {"n": each.n, "why": why, "used_at": each.used_at, **_moments(now)}
            ).fetchall()
            for each in holdings
        ]
    return [_load(row) for rows in marked for row in rows]


def restore(pen: Pen, holding: Holding) -> None:
    with transaction(pen.db):
        pen.db.execute(
            "UPDATE holdings SET removed_at = NULL, removed_by = NULL "
            "WHERE n = ? AND removed_at = ?",
            (holding.n, holding.removed_at),
        )


def sized(pen: Pen, holdings: Sequence[Holding]) -> None:
    with transaction(pen.db):
        pen.db.executemany(
            "UPDATE holdings SET size = ? WHERE n = ?", [(each.size, each.n) for each in holdings]
        )


def page(db: sqlite3.Connection, after: int, most: int, removed: bool) -> list[Holding]:
    return _found(
        db,
        "n > :after AND (removed_at IS NOT NULL) = :removed ORDER BY n LIMIT :most",
        after=after,
        removed=removed,
        most=most,
    )


def others(db: sqlite3.Connection, owner: str, uri: str) -> list[str]:
    found = db.execute(
        "SELECT owner FROM holdings WHERE uri = ? AND owner <> ? AND removed_at IS NULL",
        (uri, owner),
    )
    return [other for (other,) in found]


def alive(db: sqlite3.Connection, owner: str, sha256: Sequence[str]) -> set[str]:
    """Files of the machine's own user may be those that all callers shared before."""
    mine = "owner = :owner AND" if owner != "local" else ""
    query = (
        f"SELECT 1 FROM holdings WHERE {mine} uri > :from AND uri < :to "  # noqa: S608
        "AND removed_at IS NULL LIMIT 1"
    )
    return {
        each
        for each in sha256
        if db.execute(
            query, {"owner": owner, "from": f"media://{each}.", "to": f"media://{each}/"}
        ).fetchone()
    }


def owners(db: sqlite3.Connection) -> list[str]:
    return [owner for (owner,) in db.execute("SELECT DISTINCT owner FROM holdings ORDER BY 1")]


def born(db: sqlite3.Connection) -> float:
    return float(db.execute("SELECT at FROM chores WHERE name = 'born'").fetchone()[0])


def my_turn(pen: Pen, chore: str, every: float) -> bool:
    with transaction(pen.db):
        taken = pen.db.execute(
            "INSERT INTO chores (name, at) VALUES (:name, :now) ON CONFLICT (name) DO UPDATE "
            "SET at = :now WHERE at <= :now - :every OR at > :now RETURNING 1",
            {"name": chore, "now": pen.clock(), "every": every},
        )
        return bool(taken.fetchall())


def _found(db: sqlite3.Connection, where: str, **values: object) -> list[Holding]:
    rows = db.execute(f"SELECT * FROM holdings WHERE {where}", values)  # noqa: S608
    return [_load(row) for row in rows]


def _load(row: sqlite3.Row) -> Holding:
    return Holding(
        row["n"],
        row["owner"],
        row["uri"],
        row["size"],
        row["used_at"],
        row["pinned_at"],
        row["removed_at"],
        row["removed_by"] or "",
    )


class SqliteHoldings:
    """Implements `Holdings` on the connections of a store: `write` and `read` are its own."""

    def __init__(self, write: Run, read: Run, clock: Callable[[], float]) -> None:
        self._write = write
        self._read = read
        self._clock = clock

    async def one(self, owner: str, uri: str) -> Holding | None:
        found: Holding | None = await self._read(one, owner, uri)
        return found

    async def listed(
        self, owner: str | None, *, pinned: bool, limit: int, before: int | None = None
    ) -> list[Holding]:
        return _list(await self._read(listed, owner, pinned, limit, before))

    async def used(self, owner: str, uri: str, size: int = 0) -> None:
        await self._write(use, owner, uri, size)

    async def pin(self, owner: str, uri: str, pinned: bool) -> Holding | None:
        held: Holding | None = await self._write(pin, owner, uri, pinned)
        return held

    async def spare(self, after: Cursor, before: float, most: int) -> list[Holding]:
        return _list(await self._read(spare, after, before, most, self._clock()))

    async def held_bytes(self) -> int:
        return int(await self._read(held_bytes))

    async def retire(self, holdings: Sequence[Holding], why: str) -> list[Holding]:
        return _list(await self._write(retire, holdings, why))

    async def restore(self, holding: Holding) -> None:
        await self._write(restore, holding)

    async def gone(self, holdings: Sequence[Holding], why: str) -> list[Holding]:
        return _list(await self._write(gone, holdings, why))

    async def sized(self, holdings: Sequence[Holding]) -> None:
        await self._write(sized, holdings)

    async def page(self, after: int, most: int, *, removed: bool = False) -> list[Holding]:
        return _list(await self._read(page, after, most, removed))

    async def others(self, owner: str, uri: str) -> list[str]:
        return list(await self._read(others, owner, uri))

    async def alive(self, owner: str, sha256: Sequence[str]) -> set[str]:
        return set(await self._read(alive, owner, sha256))

    async def owners(self) -> list[str]:
        return list(await self._read(owners))

    async def born(self) -> float:
        return float(await self._read(born))

    async def my_turn(self, chore: str, every: float) -> bool:
        return bool(await self._write(my_turn, chore, every))


def _list(found: list[Holding]) -> list[Holding]:
    return found
