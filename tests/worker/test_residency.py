"""Which pipelines stay loaded, and which make room."""

from __future__ import annotations

import pytest

from media_mcp.errors import OutOfMemory
from media_mcp.worker.residency import Plan, Residency, gigabytes


class Shelf:
    """A residency of 100 bytes that counts loads and releases."""

    def __init__(self) -> None:
        self.loads: list[str] = []
        self.releases = 0
        self.residency = Residency(100, self.release)

    def release(self) -> None:
        self.releases += 1

    def use(self, key: str, size: int = 40) -> float:
        plan = Plan(size, lambda: self.load(key))
        with self.residency.hold(key, lambda: plan, model=f"m-{key}") as held:
            assert held.value == key.upper()
            return held.load_seconds

    def load(self, key: str) -> str:
        self.loads.append(key)
        return key.upper()


def test_a_pipeline_is_loaded_once_and_then_warm() -> None:
    shelf = Shelf()

    assert shelf.use("a") > 0
    assert shelf.use("a") == 0
    assert shelf.loads == ["a"]
    assert shelf.residency.models == ("m-a",)


def test_the_least_recently_used_makes_room() -> None:
    shelf = Shelf()
    for key in ("a", "b", "a", "c"):
        shelf.use(key)

    assert shelf.residency.models == ("m-a", "m-c")
    assert (shelf.residency.used, shelf.releases) == (80, 1)


def test_as_many_make_room_as_the_newcomer_needs() -> None:
    shelf = Shelf()
    for key, size in (("a", 40), ("b", 40), ("c", 100)):
        shelf.use(key, size)

    assert shelf.residency.models == ("m-c",)
    assert shelf.releases == 1


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


def test_two_models_may_share_one_pipeline() -> None:
    shelf = Shelf()
    for model in ("t2i", "i2i"):
        with shelf.residency.hold("a", lambda: Plan(40, lambda: shelf.load("a")), model=model):
            pass

    assert shelf.loads == ["a"]
    assert shelf.residency.models == ("i2i", "t2i")


def test_a_load_that_fails_leaves_nothing_behind() -> None:
    shelf = Shelf()
    with (
        pytest.raises(ZeroDivisionError),
        shelf.residency.hold("a", lambda: Plan(40, lambda: 1 / 0), model="m-a"),
    ):
        pass

    assert (shelf.residency.used, shelf.residency.models) == (0, ())
    assert shelf.use("a") > 0


def test_all_can_be_let_go_at_once() -> None:
    shelf = Shelf()
    shelf.use("a")

    shelf.residency.clear()

    assert (shelf.residency.models, shelf.releases) == ((), 1)


def test_bytes_are_written_for_people() -> None:
    assert [gigabytes(n) for n in (7_800_000, 12_345_000_000)] == ["7.8 MB", "12.3 GB"]
