"""Which pipelines must leave which memory so that another fits: arithmetic, no tensor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Place(StrEnum):
    """Where a pipeline's weights are. On a CPU the device's memory is the host's: all is DEVICE."""

    DEVICE = "device"
    HOST = "host"


@dataclass(frozen=True, slots=True)
class Entry:
    """A loaded pipeline as this arithmetic sees it, `size` in bytes. What is `fixed` (in use, or
    pinned) stays where it is; what is not `movable` cannot wait in the host's memory."""

    key: str
    size: int
    place: Place = Place.DEVICE
    fixed: bool = False
    movable: bool = True


@dataclass(frozen=True, slots=True)
class Budgets:
    """Bytes for weights on the device and in the host's memory; no host tier where that is 0."""

    device: int
    host: int = 0


@dataclass(frozen=True, slots=True)
class Move:
    """Take a pipeline to the host's memory, or drop it where `to` is None."""

    key: str
    to: Place | None


def used(entries: Iterable[Entry], place: Place) -> int:
    """Return the bytes that are taken in one place."""
    return sum(entry.size for entry in entries if entry.place is place)


def room_for(entries: Sequence[Entry], size: int, budgets: Budgets) -> list[Move] | None:
    """Say what must leave so that `size` bytes more fit on the device, in the order to do it.

    `entries` come the least recently used first, without the newcomer. None is returned where even
    all that may leave would not do.
    """
    leaving = _leaving(_on(entries, Place.DEVICE), budgets.device - size)
    if leaving is None:
        return None
    moves = [_move(entries, leaving, entry, budgets) for entry in leaving]
    return [*_dropped_from_host(entries, moves, budgets), *moves]


def all_that_may_leave(
    entries: Sequence[Entry], budgets: Budgets, *, drop: bool = False
) -> list[Move]:
    """Say how to empty the device of all that may leave it; `drop`: the host's memory, too."""
    if drop:
        return [Move(entry.key, None) for entry in entries if not entry.fixed]
    leaving = [entry for entry in _on(entries, Place.DEVICE) if not entry.fixed]
    moves = [_move(entries, leaving, entry, budgets) for entry in leaving]
    return [*_dropped_from_host(entries, moves, budgets), *moves]


def _on(entries: Iterable[Entry], place: Place) -> list[Entry]:
    return [entry for entry in entries if entry.place is place]


def _leaving(entries: Sequence[Entry], budget: int) -> list[Entry] | None:
    """Choose who leaves so that the rest takes at most `budget` bytes: the oldest first, and of
    these none whose leaving turns out not to be needed."""
    over = sum(entry.size for entry in entries) - budget
    leaving: list[Entry] = []
    for entry in entries:
        if over <= 0:
            break
        if not entry.fixed:
            leaving.append(entry)
            over -= entry.size
    if over > 0:
        return None
    for entry in reversed(leaving):
        if over + entry.size <= 0:
            leaving.remove(entry)
            over += entry.size
    return leaving


def _move(
    entries: Sequence[Entry], leaving: Sequence[Entry], entry: Entry, budgets: Budgets
) -> Move:
    """Choose where one goes: to the host if it fits beside what must stay there and the more
    recently used of those that leave with it."""
    later = leaving[leaving.index(entry) + 1 :]
    stays = sum(e.size for e in _on(entries, Place.HOST) if e.fixed)
    comes = sum(e.size for e in later if e.movable and e.size <= budgets.host)
    fits = entry.movable and stays + comes + entry.size <= budgets.host
    return Move(entry.key, Place.HOST if fits else None)


def _dropped_from_host(
    entries: Sequence[Entry], moves: Sequence[Move], budgets: Budgets
) -> list[Move]:
    """Say who is dropped from the host's memory for those that come there, the oldest first."""
    sizes = {entry.key: entry.size for entry in entries}
    coming = sum(sizes[move.key] for move in moves if move.to is Place.HOST)
    leaving = _leaving(_on(entries, Place.HOST), budgets.host - coming) if coming else []
    return [Move(entry.key, None) for entry in leaving or []]
