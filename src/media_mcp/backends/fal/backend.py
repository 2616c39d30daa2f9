"""A place that speaks the fal queue protocol, as a backend: fal itself, or another media-mcp."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from media_mcp.backends.base import Readiness, Run
from media_mcp.backends.fal.configuration import (
    Configuration,
    configuration,
    find_key,
    wants_key,
)
from media_mcp.backends.instances import Instance
from media_mcp.catalog.model import Model
from media_mcp.errors import NotConfigured
from media_mcp.job import JSON, Quote, Result, Route
from media_mcp.settings import Settings

if TYPE_CHECKING:
    from media_mcp.backends.fal.trips import Trips


def create(settings: Settings, instance: Instance) -> Fal:
    """Make the backend for a place; nothing is sent yet. Raises `BadSettings`."""
    place = configuration(instance)
    folder = settings.data_dir / "backends" / place.name
    return Fal(place, find_key(place, settings), folder)


class Fal:
    """Runs jobs at one place: submits, follows, fetches what was made.

    The id of a request is reported before anything waits on it, and an attempt that is given one
    takes it up. `folder` keeps what the place has of our inputs.
    """

    def __init__(self, place: Configuration, key: SecretStr | None, folder: Path) -> None:
        self.name = place.name
        self.concurrency = place.concurrency
        self.remote = place.remote
        self._place = place
        self._key = key
        self._folder = folder
        self._trips: Trips | None = None

    async def readiness(self) -> Readiness:
        place = self._place
        if self._key or not wants_key(place):
            return Readiness(True)
        page = f" ({place.key_page})" if place.key_page else ""
        fix = f"Set {place.key_env or place.key_file}{page}."
        return Readiness(False, f"{place.shown} has no key", fix)

    def quote(self, model: Model, route: Route, arguments: Mapping[str, JSON]) -> Quote:
        """Tell no price and no time of its own: the card's and the history's are what is known."""
        return Quote(self.name, None, None)

    def warm(self) -> frozenset[str]:
        return frozenset()

    async def run(self, run: Run) -> Result:
        told = await self.readiness()
        if not told.ready:
            raise NotConfigured(f"{told.reason}.", told.fix)
        return await self._on_the_way().run(run)

    async def stop(self, model: Model, route: Route, remote_id: str) -> None:
        if (await self.readiness()).ready:
            await self._on_the_way().stop(model, route, remote_id)

    def _on_the_way(self) -> Trips:
        if self._trips is None:
            from media_mcp.backends.fal.trips import Trips  # its HTTP client loads with a first job

            self._trips = Trips(self._place, self._key, self._folder)
        return self._trips

    async def aclose(self) -> None:
        if (trips := self._trips) is not None:
            self._trips = None
            await trips.aclose()
