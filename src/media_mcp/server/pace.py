"""How often callers may ask over HTTP, and how often somebody may guess at a key."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from media_mcp.errors import TooMany
from media_mcp.job import Caller
from media_mcp.settings import Settings

GUESSES = 30  # wrong keys a minute from one address; more are not even compared
_MINUTE = 60.0
_KNOWN = 10_000  # names whose pace is remembered


class Buckets:
    """So many a minute, spread or at once, for each of many names. Only the latest are known."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}  # what is left, as of when

    def wait(self, name: str, most: int) -> float:
        """Return for how many seconds there is none left; 0 if there is one."""
        return max(0.0, 1 - self._now(name, most)) * _MINUTE / most

    def take(self, name: str, most: int) -> float:
        """Take one, and return what `wait` would have: more than 0, and none was there to take."""
        left = self._now(name, most)
        self._left.pop(name, None)
        if len(self._left) >= _KNOWN:
            del self._left[next(iter(self._left))]
        self._left[name] = (left - 1 if left >= 1 else left, self._clock())
        return max(0.0, 1 - left) * _MINUTE / most

    def _now(self, name: str, most: int) -> float:
        now = self._clock()
        left, since = self._left.get(name, (float(most), now))
        return min(most, left + (now - since) * most / _MINUTE)


class Pace:
    """Counts the requests of each caller against `requests_per_minute`."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._all = settings.limits.requests_per_minute
        own = {name: rules.limits.requests_per_minute for name, rules in settings.callers.items()}
        self._own = {name: most for name, most in own.items() if most is not None}
        self._buckets = Buckets(clock)

    def check(self, caller: Caller) -> None:
        """Count a request. Raises `TooMany` if there are too many."""
        most = self._own.get(caller.owner, self._all)
        seconds = self._buckets.take(caller.owner, most) if most is not None else 0.0
        if seconds:
            wait = math.ceil(seconds)
            raise TooMany(
                f"More than {most} requests a minute (requests_per_minute).",
                f"Ask again in {wait} s.",
                retry_after=wait,
            )
