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
from media_mcp.worker.loop import release_memory


def machine(cuda: int = 0, mps: bool = False) -> Any:
    """Return what torch says about a machine; there is no other in a test."""
    emptied: list[bool] = []
    return SimpleNamespace(
        cuda=SimpleNamespace(
            device_count=lambda: cuda,
            get_device_properties=lambda name: SimpleNamespace(total_memory=80 * 10**9),
            empty_cache=lambda: emptied.append(True),
            emptied=emptied,
        ),
        backends=SimpleNamespace(mps=SimpleNamespace(is_available=lambda: mps)),
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
    assert device.memory == (80 * 10**9 if device.kind == "cuda" else host_memory())
    assert 0 < device.budget < device.memory


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


def test_memory_is_given_back_on_the_host_and_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = machine(cuda=1)
    monkeypatch.setitem(sys.modules, "torch", torch)

    release_memory(Device("cpu", 1))
    assert torch.cuda.emptied == []
    release_memory(Device("cuda:0", 1))
    assert torch.cuda.emptied == [True]


def test_another_c_library_than_glibc_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    import ctypes

    def absent(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", absent)
    device.free_host_memory()
