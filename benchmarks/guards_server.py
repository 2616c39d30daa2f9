"""Our HTTP server with every guard on, or with those off that can be told apart.

`guards_server.py CARDS DATA PORT on|off`. Off, nobody is limited, what a model made is not looked
into, and files are opened in a thread of the server. Whose a job is stays written either way.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from decoding import InThread
from media_mcp.backends.base import Run
from media_mcp.backends.rehearsal import Rehearsal
from media_mcp.catalog.model import Model
from media_mcp.cli.rooms import run_async
from media_mcp.job import JSON, Quote, Result, Route
from media_mcp.media import check
from media_mcp.media.facts import Seen
from media_mcp.server.app import App
from media_mcp.settings import load_settings
from queue_server import serve

OWNER = "ann"
PRICE, SECONDS = 0.001, 1.0
MANY = 10**9
BUDGET = {"usd": MANY, "usd_per_day": MANY, "gpu_seconds": MANY, "gpu_seconds_per_day": MANY}
LIMITS = {"jobs_at_once": 1000, "jobs_per_minute": 1000, "requests_per_minute": MANY}
GUARDS = {
    "budget": BUDGET,
    "limits": LIMITS,
    "callers": {OWNER: {"budget": BUDGET, "limits": LIMITS}},
    "projects": {"default": {"budget": BUDGET}},
}


class Priced(Rehearsal):
    """A rehearsal that asks for money and for a device, so that every limit concerns it."""

    name = "priced"

    def quote(self, model: Model, route: Route, arguments: Mapping[str, JSON]) -> Quote:
        return Quote(self.name, PRICE, PRICE, 0.0, gpu_seconds=SECONDS)

    async def run(self, run: Run) -> Result:
        return replace(await super().run(run), cost=PRICE)


class Trusting(InThread):
    """Says what a file is, and looks for nothing that is wrong with it."""

    async def read(
        self, path: Path, claimed: str | None = None, *, look: bool = False, draw: bool = False
    ) -> Seen:
        return await super().read(path, claimed)


def unguarded(app: App) -> None:
    """Take the checks of outputs out."""
    app.media._decoders = Trusting()
    check.compare = lambda wanted, made: []
    check.read_wanted = lambda model, arguments, inputs: check.Wanted()


if __name__ == "__main__":
    cards, data, port, guards = sys.argv[1:]
    on = guards == "on"
    given = load_settings(
        data_dir=Path(data), catalog_dirs=[Path(cards)], wait=60, **(GUARDS if on else {})
    )
    served = partial(serve, given, int(port), Priced())
    sys.exit(run_async(served if on else partial(served, unguarded), many=True))
