"""How late the event loop is: what every call of every client waits for besides its own work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter

PERIOD = 0.025  # seconds; waking 40 times a second costs less than a thousandth of a core
_MOST = 1000  # turns that one stall may count for: those of a machine that slept are no load


class Stalls:
    """Tells `note` how many seconds late each of its turns came, one turn each `period`.

    A turn that a stall kept from being asked for at all counts with what it would have waited.
    """

    def __init__(self, note: Callable[[float], None], period: float = PERIOD) -> None:
        self._note = note
        self._period = period
        self._due = 0.0

    def start(self) -> None:
        """Look from now on, until the running loop ends."""
        self._due = perf_counter() + self._period
        asyncio.get_running_loop().call_later(self._period, self._turn)

    def _turn(self) -> None:
        late = max(0.0, perf_counter() - self._due)
        for missed in range(min(_MOST, 1 + int(late / self._period))):
            self._note(late - missed * self._period)
        self.start()
