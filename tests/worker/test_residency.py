"""Which pipelines stay loaded, in which memory, and which make room."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from media_mcp.errors import OutOfMemory
from media_mcp.worker.memory import Memory
from media_mcp.worker.notes import Notes
from media_mcp.worker.residency import Place, Plan, Residency, Resident, Wish, gigabytes


class Card(Memory):
    """A memory that notes what is moved; `highest` is what the next run is said to reach."""

    def __init__(self) -> None:
        self.moves: list[str] = []
        self.weights = 0
        self.highest = 0

    def to_host(self, value: Any) -> None:
        self.moves.append(f"{value} to host")

    def to_device(self, value: Any) -> None:
        self.moves.append(f"{value} to device")

    def taken(self) -> int:
        return self.weights

    def begin(self) -> int:
        return self.weights or 1

    def peak(self) -> int:
        return self.begin() + self.highest


class Shelf:
    """A residency of 100 bytes that counts loads and releases."""

    def __init__(self, **more: Any) -> None:
        self.loads: list[str] = []
        self.releases = 0
        self.now = 0.0
        self.card = Card()
        self.residency = Residency(
            100, self.release, memory=self.card, clock=lambda: self.now, **more
        )

    def release(self) -> None:
        self.releases += 1

    @contextmanager
    def hold(self, key: str, size: int = 40, units: int = 0) -> Iterator[Resident]:
        plan = Plan(size, lambda: self.load(key))
        with self.residency.hold(key, lambda: plan, model=f"m-{key}", units=units) as held:
            assert held.value == key.upper()
            yield held

    def use(self, key: str, size: int = 40, units: int = 0) -> Resident:
        with self.hold(key, size, units) as held:
            return held

    def load(self, key: str) -> str:
        self.loads.append(key)
        return key.upper()

    def places(self) -> dict[str, Place]:
        return {one.key: one.place for one in self.residency.held()}


def test_a_pipeline_is_loaded_once_and_then_warm() -> None:
    shelf = Shelf()

    assert shelf.use("a").load_seconds > 0
    assert shelf.use("a").load_seconds == 0
    assert shelf.loads == ["a"]
    assert shelf.residency.models == ("m-a",)


def test_the_least_recently_used_makes_room_and_the_newcomer_is_told_who() -> None:
    shelf = Shelf()
    for key in ("a", "b", "a"):
        shelf.use(key)

    assert shelf.use("c").evicted == ("b",)
    assert shelf.use("c").evicted == ()
    assert shelf.residency.models == ("m-a", "m-c")
    assert (shelf.residency.used, shelf.releases) == (80, 1)


def test_as_many_make_room_as_the_newcomer_needs() -> None:
    shelf = Shelf()
    for key, size in (("a", 40), ("b", 40), ("c", 100)):
        shelf.use(key, size)

    assert shelf.residency.models == ("m-c",)
    assert shelf.releases == 1


def test_what_leaves_a_device_waits_on_the_host_and_comes_back_without_a_load() -> None:
    shelf = Shelf(host_budget=50)
    for key in ("a", "b", "c"):
        shelf.use(key)
    assert shelf.places() == {"a": Place.HOST, "b": Place.DEVICE, "c": Place.DEVICE}
    assert shelf.residency.models == ("m-b", "m-c")
    assert (shelf.residency.used, shelf.residency.waiting) == (80, 40)

    back = shelf.use("a")

    assert back.load_seconds > 0
    assert back.evicted == ("b",)
    assert shelf.loads == ["a", "b", "c"]
    assert shelf.card.moves == ["A to host", "B to host", "A to device"]


def test_a_plan_may_bring_movers_of_its_own_or_say_that_it_cannot_be_moved() -> None:
    shelf, moved = Shelf(host_budget=200), []
    own = Plan(
        60,
        lambda: "X",
        to_host=lambda value: moved.append(f"{value} out"),
        to_device=lambda value: moved.append(f"{value} in"),
    )
    stuck = Plan(60, lambda: "Y", movable=False)
    for key, plan in (("own", own), ("stuck", stuck), ("own", own)):
        with shelf.residency.hold(key, lambda plan=plan: plan, model=key):
            pass

    assert moved == ["X out", "X in"]
    assert shelf.places() == {"own": Place.DEVICE}
    assert shelf.card.moves == []


def test_a_host_that_is_full_after_all_drops_what_was_to_wait_there() -> None:
    shelf = Shelf(host_budget=100)

    def full(value: Any) -> None:
        raise MemoryError

    shelf.card.to_host = full  # type: ignore[method-assign]
    for key in ("a", "b", "c"):
        shelf.use(key)

    assert shelf.places() == {"b": Place.DEVICE, "c": Place.DEVICE}


def test_what_can_never_fit_is_refused_with_both_numbers_and_nothing_is_evicted() -> None:
    shelf = Shelf()
    shelf.use("a")

    with pytest.raises(OutOfMemory) as caught:
        shelf.use("big", 12_300_000_000)

    assert caught.value.message == (
        "big needs 12.3 GB for its weights; this device gives them 0.0 MB."
    )
    assert "smaller model" in caught.value.hint
    assert not caught.value.retryable
    assert shelf.residency.models == ("m-a",)


@pytest.mark.parametrize(
    ("budget", "hint"),
    [
        (
            24.0,
            "Use the speed setting offload = model (needs 23.8 GB, its transformer), the speed "
            "setting fp8_storage (needs 21.8 GB), a smaller model or a device with more memory.",
        ),
        (
            12.0,
            "Use the speed setting offload = group (slow; a few layers at a time), "
            "a smaller model or a device with more memory.",
        ),
    ],
)
def test_the_refusal_names_the_settings_that_would_do(budget: float, hint: str) -> None:
    parts = {"transformer": 23.8e9, "text_encoder_2": 9.5e9, "text_encoder": 0.2e9, "vae": 0.2e9}
    whole = {name: int(size) for name, size in parts.items()}
    plan = Plan(sum(whole.values()), object, parts=whole)

    with (
        pytest.raises(OutOfMemory) as caught,
        Residency(int(budget * 1e9), lambda: None).hold("flux", lambda: plan, model="flux"),
    ):
        pass

    assert caught.value.message == (
        f"flux needs 33.7 GB for its weights; this device gives them {budget} GB."
    )
    assert caught.value.hint == hint


def test_what_is_in_use_stays_and_another_job_of_the_same_thread_is_refused() -> None:
    shelf = Shelf()
    with shelf.hold("a", 60):
        shelf.use("b", 40)
        with pytest.raises(OutOfMemory, match="what is in use must stay") as caught:
            shelf.use("c", 60)
        assert caught.value.retryable
        assert shelf.residency.models == ("m-a", "m-b")
    shelf.use("c", 60)
    assert "a" not in shelf.places()


def test_a_thread_waits_for_another_that_uses_what_must_leave() -> None:
    shelf, done = Shelf(), threading.Event()

    def second() -> None:
        shelf.use("b", 60)
        done.set()

    thread = threading.Thread(target=second)
    shelf.use("warm", 10)
    with shelf.hold("a", 60):
        thread.start()
        shelf.use("warm", 10)  # is given meanwhile
        assert not done.is_set()
    thread.join(20)
    assert done.is_set()
    assert shelf.places() == {"warm": Place.DEVICE, "b": Place.DEVICE}


def test_many_threads_at_once_load_each_pipeline_as_often_as_room_allows() -> None:
    shelf, failed = Shelf(host_budget=40), []
    inside: dict[str, int] = {}

    def work(seed: int) -> None:
        try:
            for n in range(25):
                key = "abcd"[(seed * 7 + n * n) % 4]
                with shelf.hold(key):
                    inside[key] = inside.get(key, 0) + 1
                    assert inside[key] == 1  # one job at a time
                    assert shelf.residency.used <= 100
                    inside[key] -= 1
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed
    assert not any(one.users for one in shelf.residency.held())


def test_what_is_pinned_stays_and_who_does_not_fit_beside_it_is_refused() -> None:
    shelf = Shelf()
    shelf.residency.wish("m-a", Wish(pin=True))
    for key in ("a", "b", "c"):
        shelf.use(key)
    assert shelf.residency.models == ("m-a", "m-c")

    with pytest.raises(OutOfMemory) as caught:
        shelf.use("d", 80)
    assert "m-a (pinned) must stay" in caught.value.message
    assert "pin" in caught.value.hint
    assert not caught.value.retryable


def test_what_is_idle_for_as_long_as_its_model_may_be_kept_is_dropped() -> None:
    shelf = Shelf()
    shelf.residency.wish("m-a", Wish(keep_alive=30))
    shelf.residency.wish("m-b", Wish(keep_alive=30, pin=True))
    with ExitStack() as stack:
        for key in ("a", "b", "c"):
            stack.enter_context(shelf.hold(key, 30))
        shelf.now = 100
        shelf.residency.expire()
        assert shelf.residency.models == ("m-a", "m-b", "m-c")  # in use
    shelf.now = 129
    shelf.residency.expire()
    assert "m-a" in shelf.residency.models
    shelf.now = 130
    shelf.residency.expire()
    assert shelf.residency.models == ("m-b", "m-c")


def test_two_models_may_share_one_pipeline_and_the_longer_wish_counts() -> None:
    shelf = Shelf()
    shelf.residency.wish("t2i", Wish(keep_alive=10))
    for model in ("t2i", "i2i"):
        with shelf.residency.hold("a", lambda: Plan(40, lambda: shelf.load("a")), model=model):
            pass
    shelf.now = 1000
    shelf.residency.expire()

    assert shelf.loads == ["a"]
    assert shelf.residency.models == ("i2i", "t2i")


def test_a_run_that_needs_more_than_the_reserve_makes_others_leave() -> None:
    shelf = Shelf(reserve=10)
    for units, models in ((0, ("m-a", "m-b")), (100, ("m-a", "m-b")), (200, ("m-b",))):
        shelf.residency._notes.ran("b", 40, 100, 30)
        shelf.use("a")
        shelf.use("b", units=units)
        assert shelf.residency.models == models


def test_a_run_too_large_to_fit_is_tried_with_all_room_there_is() -> None:
    shelf = Shelf()
    shelf.use("a")
    shelf.use("b", units=10**9)
    assert shelf.residency.models == ("m-b",)


def test_what_weights_and_runs_took_is_noted_and_counts_the_next_time() -> None:
    notes = Notes()
    shelf = Shelf(notes=notes)
    shelf.load = lambda key: setattr(shelf.card, "weights", 70) or key.upper()  # type: ignore
    shelf.card.highest = 12
    shelf.use("a", 40, units=5)

    assert shelf.residency.used == 70
    assert notes.of("a", 40).weights == 70
    assert notes.of("a", 40).needs(5) == 12
    assert Shelf(notes=notes).use("a", 40).size == 70


def test_a_run_beside_others_is_not_measured() -> None:
    notes = Notes()
    shelf = Shelf(notes=notes)
    shelf.card.highest = 12
    with shelf.hold("a", units=5):
        shelf.use("b", units=5)
    assert notes.of("a", 40).needs(5) is None
    assert notes.of("b", 40).needs(5) is None


def test_a_load_that_fails_leaves_nothing_behind() -> None:
    shelf = Shelf()
    with (
        pytest.raises(ZeroDivisionError),
        shelf.residency.hold("a", lambda: Plan(40, lambda: 1 / 0), model="m-a"),
    ):
        pass

    assert (shelf.residency.used, shelf.residency.models) == (0, ())
    assert shelf.use("a").load_seconds > 0


def test_all_can_be_let_go_at_once_even_in_use() -> None:
    shelf = Shelf()
    with shelf.hold("a"):
        shelf.residency.clear()
        assert shelf.residency.models == ()
    assert shelf.releases == 1
    shelf.use("a")
    assert shelf.loads == ["a", "a"]


def test_bytes_are_written_for_people() -> None:
    assert [gigabytes(n) for n in (7_800_000, 12_345_000_000)] == ["7.8 MB", "12.3 GB"]
