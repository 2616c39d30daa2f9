"""Which device a worker takes, and what it knows about memory."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from media_mcp.errors import BadSettings
from media_mcp.worker import device
from media_mcp.worker.device import Device, find_device, host_memory
from media_mcp.worker.memory import memory_of


def machine(cuda: int = 0, mps: bool = False, hip: str | None = None, free: int = 80) -> Any:
    """Return what torch says about a machine; there is no other in a test."""
    emptied: list[str] = []
    return SimpleNamespace(
        cuda=SimpleNamespace(
            device_count=lambda: cuda,
            mem_get_info=lambda name: (free * 10**9, 80 * 10**9),
            empty_cache=lambda: emptied.append("cuda"),
        ),
        mps=SimpleNamespace(
            recommended_max_memory=lambda: 40 * 10**9, empty_cache=lambda: emptied.append("mps")
        ),
        backends=SimpleNamespace(mps=SimpleNamespace(is_available=lambda: mps)),
        version=SimpleNamespace(cuda="13.0", hip=hip),
        emptied=emptied,
    )


@pytest.mark.parametrize(
    ("has", "wanted", "found"),
    [
        ({"cuda": 2}, "auto", "cuda:0"),
        ({"cuda": 2}, "cuda", "cuda:0"),
        ({"cuda": 2}, "cuda:1", "cuda:1"),
        ({"mps": True}, "auto", "mps"),
        ({}, "auto", "cpu"),
        ({"cuda": 1}, "cpu", "cpu"),
    ],
)
def test_the_best_device_is_taken_or_the_one_asked_for(
    monkeypatch: pytest.MonkeyPatch, has: dict[str, Any], wanted: str, found: str
) -> None:
    monkeypatch.setitem(sys.modules, "torch", machine(**has))

    device = find_device(wanted)

    assert device.name == found
    known = {"cuda": 80 * 10**9, "mps": 40 * 10**9, "cpu": host_memory()}
    assert device.memory == known[device.kind]
    assert 0 < device.budget < device.memory


@pytest.mark.parametrize(
    ("has", "wanted", "build"),
    [
        ({"cuda": 1}, "cuda:0", "CUDA 13.0"),
        ({"cuda": 1, "hip": "7.1.2"}, "cuda:0", "ROCm 7.1.2"),
        ({"mps": True}, "mps", "MPS"),
        ({}, "cpu", "CPU"),
    ],
)
def test_what_torch_was_built_for_is_told(
    monkeypatch: pytest.MonkeyPatch, has: dict[str, Any], wanted: str, build: str
) -> None:
    monkeypatch.setitem(sys.modules, "torch", machine(**has))
    assert find_device(wanted).build == build


def test_what_other_programs_hold_of_a_card_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", machine(cuda=1, free=60))
    device = find_device("cuda")
    assert device.theirs == 20 * 10**9
    assert device.budget == int(80 * 10**9 * 0.88) - 20 * 10**9


@pytest.mark.parametrize("wanted", ["cuda", "cuda:2", "mps", "tpu"])
def test_a_device_that_is_not_here_is_refused_with_those_that_are(
    monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    monkeypatch.setitem(sys.modules, "torch", machine())
    with pytest.raises(BadSettings, match=f"device: '{wanted}' is not here; this machine has cpu"):
        find_device(wanted)


def test_without_torch_there_is_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert find_device("auto").name == "cpu"


def test_a_container_s_limit_is_the_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(device, "_CGROUP_LIMIT", limit)
    whole = host_memory()

    limit.write_text("max\n")
    assert host_memory() == whole
    limit.write_text("1000000\n")
    assert host_memory() == 1_000_000


def test_the_process_knows_its_own_size(monkeypatch: pytest.MonkeyPatch) -> None:
    peak = device.peak_bytes()
    assert 2**22 < device.resident_bytes() <= peak * 1.1

    def absent(path: Path) -> str:
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "read_text", absent)
    assert device.resident_bytes() >= peak
    monkeypatch.setattr(sys, "platform", "darwin")
    assert device.peak_bytes() < peak


@pytest.mark.parametrize(
    ("name", "has", "emptied"),
    [("cpu", {}, []), ("cuda:0", {"cuda": 1}, ["cuda"]), ("mps", {"mps": True}, ["mps"])],
)
def test_memory_is_given_back_on_the_host_and_the_device(
    monkeypatch: pytest.MonkeyPatch, name: str, has: dict[str, Any], emptied: list[str]
) -> None:
    torch = machine(**has)
    monkeypatch.setitem(sys.modules, "torch", torch)
    memory_of(Device(name, 1)).release()
    assert torch.emptied == emptied


def test_another_c_library_than_glibc_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    import ctypes

    def absent(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", absent)
    device.free_host_memory()
