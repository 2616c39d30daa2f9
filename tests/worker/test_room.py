"""Memory that is full: others leave, the job is tried once more, and then refused in numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from media_mcp.errors import OutOfMemory
from media_mcp.worker.device import Device, free_host_memory, resident_bytes
from media_mcp.worker.full import is_host_full, is_out_of_memory
from media_mcp.worker.limits import Limits, residency_on
from media_mcp.worker.memory import CudaMemory, HostMemory
from media_mcp.worker.notes import Notes
from media_mcp.worker.residency import Plan, Residency
from media_mcp.worker.room import wish_of, with_room
from media_mcp.worker.work import Work

MB = 10**6
TOO_MUCH = 2**50


@pytest.fixture
def held() -> Residency:
    """A residency that holds weights of two other models."""
    made = Residency(10**9, lambda: None)
    for model in ("other/a", "other/b"):
        with made.hold(model, lambda: Plan(4 * MB, object), model=model):
            pass
    return made


def own(work: Work) -> Any:
    return work.residency.hold("own", lambda: Plan(2 * MB, object), model=work.run.model)


def test_a_run_that_finds_memory_full_is_tried_again_once_others_have_left(
    work_of: Callable[..., Work], told: Any, held: Residency
) -> None:
    import torch

    work, seen = work_of({}, told=told, held=held), []

    def act() -> str:
        with own(work):
            seen.append(work.residency.models)
            if len(work.residency.models) > 1:
                torch.empty(TOO_MUCH, dtype=torch.uint8)  # a real failure to allocate
            return "done"

    assert with_room(work, act) == "done"
    assert seen == [("other/a", "other/b", "tests/model"), ("tests/model",)]
    assert told.lines == ["cpu ran out of memory: other models leave, and it is tried again."]


def test_a_run_that_never_finds_room_is_refused_in_numbers_after_two_tries(
    work_of: Callable[..., Work], held: Residency
) -> None:
    import torch

    work, tries = work_of({}, held=held), []

    def act() -> None:
        with own(work):
            tries.append(1)
            torch.empty(TOO_MUCH, dtype=torch.uint8)

    with pytest.raises(OutOfMemory) as caught:
        with_room(work, act)

    assert len(tries) == 2
    assert caught.value.message == (
        "cpu ran out of memory: of its 2.0 GB, loaded weights took 2.0 MB and this run more than "
        "the other 2.0 GB."
    )
    assert "fewer frames" in caught.value.hint
    assert not caught.value.retryable


def test_a_run_that_is_alone_in_memory_is_not_tried_again(work_of: Callable[..., Work]) -> None:
    work, tries = work_of({}, held=Residency(10**9, lambda: None)), []

    def act() -> None:
        with own(work):
            tries.append(1)
            raise MemoryError

    with pytest.raises(OutOfMemory):
        with_room(work, act)
    assert len(tries) == 1


def test_what_filled_the_memory_is_gone_when_it_is_tried_again(
    work_of: Callable[..., Work], held: Residency
) -> None:
    """The frames of the failure hold what was computed so far: they must not outlive it."""
    import weakref

    class Tensor:
        pass

    work, first = work_of({}, held=held), []

    def act() -> bool:
        if first:
            return first[0]() is None
        tensor = Tensor()
        first.append(weakref.ref(tensor))
        raise MemoryError

    assert with_room(work, act)


def test_a_load_that_finds_memory_full_is_tried_again_once_others_have_left(
    held: Residency,
) -> None:
    import torch

    def load() -> str:
        if held.models:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return "loaded"

    with held.hold("own", lambda: Plan(2 * MB, load), model="own") as resident:
        assert resident.value == "loaded"
    assert resident.evicted == ("other/a", "other/b")


def test_a_load_that_never_finds_room_is_refused_in_numbers(held: Residency) -> None:
    def load() -> None:
        raise MemoryError

    with (
        pytest.raises(OutOfMemory, match=r"no memory left to load own, which needs 2\.0 MB"),
        held.hold("own", lambda: Plan(2 * MB, load), model="own"),
    ):
        pass
    assert held.models == ()


def test_another_failure_is_none_of_our_business(
    work_of: Callable[..., Work], held: Residency
) -> None:
    with pytest.raises(ValueError, match="height"):
        with_room(work_of({}, held=held), lambda: int("height"))
    assert len(held.models) == 2


@pytest.mark.parametrize(
    ("error", "host"),
    [
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory"), False),
        (MemoryError(), True),
        (RuntimeError("can't allocate memory: you tried to allocate 9 bytes"), True),
        (OSError(12, "Cannot allocate memory"), True),
    ],
)
def test_full_memories_are_told_apart(error: Exception, host: bool) -> None:
    assert is_out_of_memory(error)
    assert is_host_full(error) == host
    assert not is_out_of_memory(OSError(2, "No such file"))


def test_a_spec_says_whether_a_pipeline_stays() -> None:
    assert wish_of({"pin": True}).pin
    assert wish_of({"keep_alive": 30}).keep_alive == 30
    assert not wish_of({}).pin


def small_tensors(size: int) -> Any:
    """Random weights in pieces that malloc takes from its heap, and a circle of references."""
    import torch

    weights: list[Any] = [torch.rand(16_000) for _ in range(size // 64_000)]
    weights.append(weights)
    return weights


def test_after_an_eviction_the_process_is_as_small_as_before() -> None:
    import torch

    torch.rand(1)
    free_host_memory()  # what others left would hide what this takes
    held = residency_on(Device("cpu", 10**9), Limits(device=200 * MB))
    before = resident_bytes()
    with held.hold("big", lambda: Plan(150 * MB, lambda: small_tensors(150 * MB)), model="big"):
        assert resident_bytes() - before > 120 * MB
    kept = torch.rand(16_000)  # on top of the heap
    with held.hold("small", lambda: Plan(100 * MB, object), model="small"):
        assert resident_bytes() - before < 30 * MB
    assert kept.numel() == 16_000


def test_what_a_run_takes_on_a_cpu_is_measured_once_it_is_warm() -> None:
    import torch

    notes = Notes()
    held = Residency(10**9, lambda: None, memory=HostMemory(), notes=notes)
    for size in (90, 40):  # the first run, which brings the weights in, does not count
        with held.hold("a", lambda: Plan(10, object), model="a", units=7):
            torch.empty(size * MB, dtype=torch.uint8).fill_(1)
    assert 30 * MB < (notes.of("a", 10).needs(7) or 0) < 70 * MB


def test_the_limits_are_those_of_the_device_unless_set() -> None:
    cpu = residency_on(Device("cpu", 100), Limits(host=50))
    assert (cpu.budget, cpu.budgets.host, cpu._reserve) == (75, 0, 25)
    assert residency_on(Device("cpu", 100), Limits(device=60)).budget == 60
    card = residency_on(Device("cuda:0", 100, free=90), Limits(host=50))
    assert (card.budget, card.budgets.host, card._reserve) == (78, 50, 12)
    assert residency_on(Device("cuda:0", 100), Limits()).budgets.host > 10**8


def test_modules_are_found_in_what_a_loader_returns() -> None:
    import torch

    memory, module = CudaMemory("cpu"), torch.nn.Linear(2, 2)
    for value in (module, (module, "tokenizer"), {"model": module}, [("a", module)]):
        assert memory.can_move(value)
        memory.to_device(value)
        memory.to_host(value)
    assert not memory.can_move(("tokenizer", 7))
