"""What a connection may take, in time and in bytes, and who may have how many of them."""

from __future__ import annotations

import ipaddress
import resource
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from media_mcp.settings import Settings

_FILES = 2**16


@dataclass(frozen=True, slots=True)
class Bounds:
    """Seconds and bytes that a connection may take.

    `total` connections at once, and `per_address` from one address that is not this machine's own.
    A request's head is to be here in `head_seconds`, its body and its answer are to move `rate`
    bytes a second, measured every `stall_seconds`; one without a request is closed after
    `idle_seconds`, a silent WebSocket after `silent_seconds`. A client that is answered before its
    body was read may send `linger_seconds` more of it.
    """

    total: int = 1000
    per_address: int = 100
    head_bytes: int = 64 * 2**10
    head_seconds: float = 15.0
    stall_seconds: float = 20.0
    rate: int = 2**10
    idle_seconds: float = 75.0
    silent_seconds: float = 600.0
    linger_seconds: float = 10.0
    handshake_seconds: float = 10.0

    @classmethod
    def of(cls, settings: Settings) -> Bounds:
        """Return those of the settings, in half of the files that the process may open."""
        total = min(settings.max_connections, open_files() // 2)
        return cls(total=total, per_address=settings.max_connections_per_address)


def open_files() -> int:
    """Return how many files this process may open, after asking for as many as it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted if soft == resource.RLIM_INFINITY else soft
    with suppress(OSError, ValueError):  # macOS says no to more than it has
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft


class Idler(Protocol):
    """A connection that may be closed for another's sake while it has no request."""

    @property
    def idle_since(self) -> float | None: ...

    @property
    def seat(self) -> Seat | None: ...

    def make_room(self) -> None: ...


class Seat:
    """A connection's place among those that there may be; `leave` gives it back, once."""

    def __init__(self, address: str, leave: Callable[[str], None]) -> None:
        self.address = address
        self._leave: Callable[[str], None] | None = leave

    def leave(self) -> None:
        if self._leave is not None:
            leave, self._leave = self._leave, None
            leave(self.address)


class Guests:
    """Counts connections, and finds an idle one to close when there is no room for another."""

    def __init__(
        self, bounds: Bounds, clock: Callable[[], float], idlers: Callable[[], Sequence[Idler]]
    ) -> None:
        self._bounds = bounds
        self._clock = clock
        self._idlers = idlers
        self._here: Counter[str] = Counter()
        self._total = 0
        self._looked_at = -1.0

    def admit(self, peer: str) -> Seat | None:
        """Give a seat, that of the longest idle connection if need be; None if there is none."""
        address = address_of(peer)
        crowd = (
            "" if is_here(address) or self._here[address] < self._bounds.per_address else address
        )
        if (crowd or self._total >= self._bounds.total) and not self._make_room(crowd):
            return None
        self._here[address] += 1
        self._total += 1
        return Seat(address, self._left)

    def _left(self, address: str) -> None:
        self._total -= 1
        self._here[address] -= 1
        if not self._here[address]:
            del self._here[address]

    def _make_room(self, crowd: str) -> bool:
        """Close the connection that is idle for longest, of an address if one is too crowded.

        One that has just come gets a second to say what it wants; and a look that found nothing is
        not repeated for so long.
        """
        now = self._clock()
        if now - self._looked_at < 1.0:
            return False
        idle = [
            (since, one)
            for one in self._idlers()
            if (since := one.idle_since) is not None and now - since >= 1.0
            if one.seat is not None and crowd in ("", one.seat.address)
        ]
        if not idle:
            self._looked_at = now
            return False
        longest = min(idle, key=lambda one: one[0])[1]
        longest.make_room()
        return True


def address_of(peer: str) -> str:
    """Return what is counted as one address: of IPv6, the network that a customer gets."""
    try:
        found = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if found.version == 4:
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    if found.is_loopback:
        return str(found)
    return str(ipaddress.ip_network((int(found), 64), strict=False).network_address)


def is_here(address: str) -> bool:
    """Tell whether an address is this machine's own."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


class Progress:
    """Tells whether a count of bytes moves fast enough, as looked at now and then."""

    def __init__(self, bounds: Bounds) -> None:
        self._seconds = bounds.stall_seconds
        self._least = bounds.rate * bounds.stall_seconds
        self._since = -1.0
        self._count = 0

    def begin(self, now: float, count: int) -> None:
        self._since, self._count = now, count

    def forget(self) -> None:
        self._since = -1.0

    def stalled(self, now: float, count: int) -> bool:
        """Tell whether what grows stands still; the first look begins the measuring."""
        if self._since < 0:
            self.begin(now, count)
        if now - self._since < self._seconds:
            return False
        slow = count - self._count < self._least
        self.begin(now, count)
        return slow

    def stuck(self, now: float, left: int) -> bool:
        """Tell whether what is to become less, bytes that are left, does not."""
        if not left:
            self.forget()
            return False
        if self._since < 0:
            self.begin(now, left)
        if now - self._since < self._seconds:
            return False
        slow = self._count - left < min(self._count, self._least)
        self.begin(now, left)
        return slow
