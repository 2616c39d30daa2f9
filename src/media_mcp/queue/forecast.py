"""How long what waits will take, and what is said to a caller for whom there is no place."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from media_mcp.backends.base import Backend
from media_mcp.catalog.describe import SPEED_SECONDS
from media_mcp.catalog.model import Model
from media_mcp.errors import NotFound, QueueFull
from media_mcp.queue.store import Store
from media_mcp.queue.terms import Full, Terms

History = Callable[[str, str], Awaitable[Sequence[float]]]
KEPT_SECONDS = 1.0  # a crowd that is refused asks for one forecast, not for one each
UNKNOWN_SECONDS = 30.0  # after which it is worth asking again, where nobody knows better
LONGEST_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Outlook:
    """In how many seconds the next place will be free, and in how many all of them."""

    next: float
    all: float


class Forecast:
    """Reckons with what jobs took of late, and with as many at once as this server runs."""

    def __init__(
        self,
        store: Store,
        backends: Mapping[str, Backend],
        model_of: Callable[[str], Model],
        terms: Terms,
        history: History,
    ) -> None:
        self._store = store
        self._backends = backends
        self._model_of = model_of
        self._terms = terms
        self._history = history
        self._kept: dict[str, tuple[float, Outlook | None]] = {}

    async def refusal(self, full: Full) -> QueueFull:
        """Return the error for a job that found no place."""
        at, outlook = self._kept.get(full.backend, (-math.inf, None))
        if time.monotonic() - at > KEPT_SECONDS:
            outlook = await self.outlook(full.backend)
            self._kept[full.backend] = time.monotonic(), outlook
        return _refusal(full, outlook)

    async def outlook(self, backend: str = "") -> Outlook | None:
        """Return when there is room again on a backend, or on all; None where nobody knows."""
        waiting = await self._store.waiting()
        names = {name for name, _ in waiting if backend in ("", name)}
        found = [await self._of(name, _on(waiting, name)) for name in sorted(names)]
        known = [each for each in found if each is not None]
        if not known or any(name not in self._backends for name in names if backend):
            return None
        rate = sum(1 / each.next for each in known)
        return Outlook(1 / rate, max(each.all for each in known))

    async def _of(self, backend: str, waiting: Mapping[str, int]) -> Outlook | None:
        place = self._backends.get(backend)
        if place is None:
            return None
        told = {model: await self._seconds(model, backend) for model in waiting}
        known = [seconds for seconds in told.values() if seconds]
        if not known:
            return None
        work = {model: waiting[model] * (told[model] or median(known)) for model in waiting}
        lanes = min(place.concurrency, self._terms.backends.get(backend, place.concurrency))
        ways = [sum(work.values()) / lanes]
        ways += [work[m] / most for m, most in self._terms.models.items() if m in work]
        whole = max(ways)
        return Outlook(whole / sum(waiting.values()), whole)

    async def _seconds(self, model: str, backend: str) -> float | None:
        if past := await self._history(model, backend):
            return median(past)
        try:
            return SPEED_SECONDS.get(self._model_of(model).speed)
        except NotFound:  # its card is gone
            return None


def _on(waiting: Mapping[tuple[str, str], int], backend: str) -> dict[str, int]:
    return {model: count for (name, model), count in waiting.items() if name == backend}


def _refusal(full: Full, outlook: Outlook | None) -> QueueFull:
    where = f" for {full.backend}" if full.backend else ""
    rule = f"{full.setting} = {full.most}"
    if full.waiting < full.most:
        what = (
            f"{full.waiting} jobs wait{where}, {full.own} of them yours; the places that are left "
            f"are for other callers ({rule})."
        )
    else:
        what = f"{full.waiting} jobs wait{where}, and no more may ({rule})."
    cancel = ", or cancel some of yours" if full.own else ""
    if outlook is None:
        what += " Nobody knows for how long: none of their models has run here yet."
        return QueueFull(what, f"Try again later{cancel}.", retry_after=UNKNOWN_SECONDS)
    next_, all_ = words(outlook.next), words(outlook.all)
    return QueueFull(
        f"{what} A place should be free in about {next_}, all of them in about {all_}.",
        f"Try again then{cancel}.",
        retry_after=min(max(1.0, math.ceil(outlook.next)), LONGEST_SECONDS),
    )


def words(seconds: float) -> str:
    """Write a time for people: `1 s`, `12 s`, `5 min`, `3.5 h`."""
    if seconds < 100:
        return f"{max(1, math.ceil(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
