"""Which pipelines are loaded, in which memory. The least recently used makes room.

On an accelerator what must leave the device waits in the host's memory, as far as that has room,
and comes back by a copy instead of a load; on a CPU there is but one memory. `tiers` reckons who
leaves; here it is done, and what is in use stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition, get_ident
from time import monotonic, perf_counter
from typing import Any

from media_mcp.errors import OutOfMemory
from media_mcp.worker import tiers
from media_mcp.worker.full import (
    gigabytes,
    is_host_full,
    is_out_of_memory,
    more_room,
    never_fits,
    still_full,
)
from media_mcp.worker.loaded import Loaded, OnlyLoaded, Plan, Resident, Wish
from media_mcp.worker.memory import Memory
from media_mcp.worker.need import allowance
from media_mcp.worker.notes import Notes
from media_mcp.worker.tiers import Budgets, Entry, Move, Place

__all__ = ["Loaded", "Place", "Plan", "Residency", "Resident", "Wish", "gigabytes"]


@dataclass(frozen=True, slots=True)
class Came:
    """A pipeline that came onto the device, in how many seconds, and who left for it."""

    loaded: Loaded
    seconds: float
    left: tuple[str, ...]

    @property
    def told(self) -> Resident:
        return Resident(self.loaded.value, self.loaded.size, self.seconds, self.left)


class Residency:
    """Loads lazily, keeps what fits `budget` bytes, evicts the least recently used.

    `release` is called after an eviction, to give the memory back to device and system. `reserve`
    is what the device has beyond the budget: runs that take more make other weights leave.
    """

    def __init__(
        self,
        budget: int,
        release: Callable[[], None],
        *,
        host_budget: int = 0,
        reserve: int = 0,
        memory: Memory | None = None,
        notes: Notes | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.budgets = Budgets(budget, host_budget)
        self.models: tuple[str, ...] = ()  # replaced as a whole: another thread reads it
        self._release = release
        self._reserve = reserve
        self._memory = memory or Memory()
        self._notes = notes or Notes()
        self._clock = clock
        self._held: dict[str, Loaded] = {}  # the least recently used first
        self._wishes: dict[str, Wish] = {}
        self._changed = Condition()
        self._moving = False  # one load or move at a time; what is warm need not wait for it
        self._loading_only: set[int] = set()  # idents of threads
        self._holds = 0  # how many were begun, to tell whether a run was alone

    @property
    def budget(self) -> int:
        """Bytes of weights that the device may hold."""
        return self.budgets.device

    @property
    def used(self) -> int:
        """Bytes of weights that are on the device now."""
        return tiers.used(self._entries(), Place.DEVICE)

    @property
    def waiting(self) -> int:
        """Bytes of weights that wait in the host's memory now."""
        return tiers.used(self._entries(), Place.HOST)

    def held(self) -> list[Loaded]:
        """Return what is loaded, the least recently used first."""
        with self._changed:
            return list(self._held.values())

    def wish(self, model: str, wish: Wish) -> None:
        """Say what is wanted of a model's pipeline from now on."""
        with self._changed:
            self._wishes[model] = wish

    def is_pinned(self, loaded: Loaded) -> bool:
        """Whether one of its models is to stay."""
        return any(self._wishes.get(model, Wish()).pin for model in loaded.models)

    @contextmanager
    def hold(
        self, key: str, prepare: Callable[[], Plan], *, model: str, units: int = 0
    ) -> Iterator[Resident]:
        """Give the pipeline called `key` for the time of one job, loading it if need be.

        `prepare` is called only then; `units` is the size of the run (`need.run_units`), so that
        room is made for it, too. Raises `OutOfMemory` for what can never fit, or does not now.
        """
        loaded, resident = self._claim(key, prepare, model, units)
        try:
            if get_ident() in self._loading_only:
                raise OnlyLoaded(resident)
            with loaded.lock, self._measured(loaded, units, cold=resident.load_seconds > 0):
                yield resident
        finally:
            with self._changed:
                loaded.users.remove(get_ident())
                loaded.last_used = self._clock()
                self._changed.notify_all()

    @contextmanager
    def loading_only(self) -> Iterator[None]:
        """Have this thread's next `hold` raise `OnlyLoaded` once its pipeline is loaded."""
        self._loading_only.add(get_ident())
        try:
            yield
        finally:
            self._loading_only.discard(get_ident())

    def _claim(
        self, key: str, prepare: Callable[[], Plan], model: str, units: int
    ) -> tuple[Loaded, Resident]:
        if loaded := self._warm(key, model, units):
            return loaded, Resident(loaded.value, loaded.size, 0.0)
        plan = None if key in self._held else prepare()
        with self._turn():
            if loaded := self._warm(key, model, units):  # another thread brought it meanwhile
                return loaded, Resident(loaded.value, loaded.size, 0.0)
            if known := self._held.get(key):
                came = self._bring_back(known, units)
            else:
                came = self._load(key, plan or prepare(), units)
            self._take(came.loaded, model)
            return came.loaded, came.told

    def _warm(self, key: str, model: str, units: int) -> Loaded | None:
        """Take a pipeline that is on the device, if there is room for the run, too."""
        with self._changed:
            loaded = self._held.get(key)
            if loaded is None or loaded.place is not Place.DEVICE:
                return None
            if self._moves_for(key, loaded.size + self._besides(loaded, units)):
                return None
            return self._take(loaded, model)

    def _take(self, loaded: Loaded, model: str) -> Loaded:
        with self._changed:
            loaded.users.append(get_ident())
            loaded.models.add(model)
            self._holds += 1
            self._held.pop(loaded.key, None)
            self._held[loaded.key] = loaded
            self._tell()
            return loaded

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait until no other thread loads or moves; then it is ours to."""
        with self._changed:
            self._changed.wait_for(lambda: not self._moving)
            self._moving = True
        try:
            yield
        finally:
            with self._changed:
                self._moving = False
                self._changed.notify_all()

    def _load(self, key: str, plan: Plan, units: int) -> Came:
        size = self._notes.of(key, plan.size).weights or plan.size
        if size > self.budget:
            raise never_fits(key, size, self.budget, plan.parts)
        loaded = Loaded(key, size, plan)
        left = self._make_room(loaded, units)
        before = self._memory.taken()
        loaded.value, seconds, more = self._timed(loaded, plan.load)
        if (weights := self._memory.taken() - before) > 0:
            loaded.size = weights
            self._notes.loaded(key, plan.size, weights)
        moves = plan.to_host is not None or self._memory.can_move(loaded.value)
        loaded.movable = plan.movable and moves
        return Came(loaded, seconds, left + more)

    def _bring_back(self, loaded: Loaded, units: int) -> Came:
        left = self._make_room(loaded, units)
        if loaded.place is Place.DEVICE:
            return Came(loaded, 0.0, left)
        move = loaded.plan.to_device or self._memory.to_device
        _, seconds, more = self._timed(loaded, lambda: move(loaded.value))
        loaded.place = Place.DEVICE
        return Came(loaded, seconds, left + more)

    def _timed(self, loaded: Loaded, act: Callable[[], Any]) -> tuple[Any, float, tuple[str, ...]]:
        """Do what fills memory, a second time after others left if it was full the first time."""
        started = perf_counter()
        left: list[str] = []

        def relieve(error: BaseException) -> bool:
            gone = self._empty(drop=is_host_full(error), but=loaded.key)
            left.extend(gone)
            return bool(gone)

        value = more_room(act, relieve, lambda: still_full(loaded.key, loaded.size))
        return value, perf_counter() - started, tuple(left)

    def _besides(self, loaded: Loaded, units: int) -> int:
        """Return the bytes that a run takes beyond the reserve, as far as the budget allows."""
        if not units:
            return 0
        known = self._notes.of(loaded.key, loaded.plan.size).needs(units)
        wanted = allowance(units) if known is None else known
        return max(0, min(wanted - self._reserve, self.budget - loaded.size))

    # Who leaves.

    def _make_room(self, loaded: Loaded, units: int) -> tuple[str, ...]:
        """Evict for one that comes, and wait for what other threads use if that would help."""
        wanted = loaded.size + self._besides(loaded, units)
        with self._changed:
            moves = self._moves_for(loaded.key, wanted)
            while moves is None and self._others_may_end(loaded.key, wanted):
                self._let_others_move()
                moves = self._moves_for(loaded.key, wanted)
        if moves is None and wanted > loaded.size:  # the weights fit, and the run may: try it
            moves = self._moves_for(loaded.key, loaded.size)
        if moves is None:
            raise self._crowded(loaded)
        return self._do(moves)

    def _let_others_move(self) -> None:
        """Wait for a change, and let go of our turn meanwhile: a thread that holds a pipeline may
        have to load another before it ends."""
        self._moving = False
        self._changed.notify_all()
        self._changed.wait()
        self._changed.wait_for(lambda: not self._moving)
        self._moving = True

    def _moves_for(self, key: str, wanted: int) -> list[Move] | None:
        return tiers.room_for(self._entries(but=key), wanted, self.budgets)

    def _others_may_end(self, key: str, wanted: int) -> bool:
        """Whether room comes once other threads end; one that holds a pipeline itself may not wait
        for them, as they might wait for it."""
        held = [loaded for loaded in self.held() if loaded.key != key]
        if any(get_ident() in loaded.users for loaded in held):
            return False
        stays = sum(one.size for one in held if self.is_pinned(one) and one.place is Place.DEVICE)
        return any(one.users for one in held) and stays + wanted <= self.budget

    def _crowded(self, loaded: Loaded) -> OutOfMemory:
        pinned = {model for one in self.held() if self.is_pinned(one) for model in one.models}
        others = f"{', '.join(sorted(pinned))} (pinned)" if pinned else "what is in use"
        return OutOfMemory(
            f"{loaded.key} needs {gigabytes(loaded.size)} for its weights; of the "
            f"{gigabytes(self.budget)} for all, {gigabytes(self.used)} are taken, "
            f"and {others} must stay.",
            "Take models out of the setting pin, raise memory_budget, or try again later.",
            retryable=not pinned,
        )

    def _entries(self, but: str = "") -> list[Entry]:
        return [
            Entry(
                one.key,
                one.size,
                one.place,
                fixed=bool(one.users) or self.is_pinned(one),
                movable=one.movable,
            )
            for one in self.held()
            if one.key != but
        ]

    def _do(self, moves: list[Move]) -> tuple[str, ...]:
        for move in moves:
            self._evict(move)
        if moves:
            self._tell()
            self._release()
        return tuple(move.key for move in moves)

    def _evict(self, move: Move) -> None:
        with self._changed:
            loaded = self._held.get(move.key)
            if loaded is None or move.to is None:
                self._held.pop(move.key, None)
                return
            loaded.place = Place.HOST  # and so nobody takes it as warm
        try:
            (loaded.plan.to_host or self._memory.to_host)(loaded.value)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            self._held.pop(move.key, None)

    def relieve(self, *, drop: bool = False, but: str = "") -> bool:
        """Let all leave that may, after a run of the model `but` found the memory full.

        `drop`: from the host's memory, too, for it was that which was full. False is returned where
        there was none but it.
        """
        with self._turn():
            own = next((one.key for one in self.held() if but in one.models), "")
            return bool(self._empty(drop=drop, but=own))

    def _empty(self, *, drop: bool, but: str) -> tuple[str, ...]:
        return self._do(tiers.all_that_may_leave(self._entries(but), self.budgets, drop=drop))

    def expire(self) -> None:
        """Drop what was idle for as long as its models' `keep_alive` allows."""
        with self._turn():
            now = self._clock()
            self._do([Move(one.key, None) for one in self.held() if self._is_over(one, now)])

    def _is_over(self, loaded: Loaded, now: float) -> bool:
        if loaded.users or self.is_pinned(loaded):
            return False
        kept = [self._wishes.get(model, Wish()).keep_alive for model in loaded.models]
        return all(kept) and now - loaded.last_used >= max(kept)

    def clear(self) -> None:
        """Let every pipeline go; one in use ends with its job."""
        with self._changed:
            self._held.clear()
        self._tell()
        self._release()

    def _tell(self) -> None:
        names = {m for one in self.held() if one.place is Place.DEVICE for m in one.models}
        self.models = tuple(sorted(names))

    @contextmanager
    def _measured(self, loaded: Loaded, units: int, *, cold: bool) -> Iterator[None]:
        """Note what a run took at most, if no other ran beside it."""
        before, holds = self._memory.begin(), self._holds
        yield
        alone = self._holds == holds and not any(
            one.users for one in self.held() if one is not loaded
        )
        peak = self._memory.peak() - before
        if before and units and alone and peak > 0 and not (cold and self._memory.lazy):
            self._notes.ran(loaded.key, loaded.plan.size, units, peak)
