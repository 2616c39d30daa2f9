"""Stores to test, and what goes into them. A new kind of store adds its factory to `FACTORIES`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from media_mcp.job import Asset, Caller, Job, JobState, MediaKind, Price, Route
from media_mcp.queue.sqlite import SqliteStore
from media_mcp.queue.store import Ending, Instance, Store
from media_mcp.queue.submission import new_id
from support import first_claim

ANN = Caller("ann", "films")
START = 1_800_000_000.0
SUCCEEDED = Ending(JobState.SUCCEEDED)


def sqlite_store(folder: Path, name: str, clock) -> Store:
    return SqliteStore(folder / "jobs.sqlite", Instance(name, 1, "here", ""), clock=clock)


FACTORIES = {"sqlite": sqlite_store}


class Shelf:
    """Opens stores of one kind on one place, and has the clock that they all read."""

    def __init__(self, factory, folder):
        self.factory = factory
        self.folder = folder
        self.now = START
        self.opened = []

    async def open(self, name="one"):
        store = self.factory(self.folder, name, lambda: self.now)
        await store.open()
        self.opened.append(store)
        return store

    def job(self, prompt="a", **changes):
        job = Job(
            id=new_id(self.now),
            model="poem",
            state=JobState.QUEUED,
            caller=ANN,
            arguments={"prompt": prompt, "size": [1, 2.5, None, True]},
            route=Route("local", {"endpoint": "x"}, Price(0.5, "image", "exact", "2026-11-22")),
            seed=2**62,
            door="mcp",
            created_at=self.now,
            why_route="the only one",
            quoted=0.5,
        )
        return replace(job, **changes)

    async def claimed(self, store, **changes):
        await store.add(self.job(**changes), (), None)
        return await first_claim(store, "local", frozenset(), 0.0)


def asset(digit, role="images"):
    return Asset(
        f"media://{digit * 64}.png",
        Path(f"/media/{digit}.png"),
        MediaKind.IMAGE,
        "image/png",
        123,
        64,
        32,
        None,
        role,
    )
