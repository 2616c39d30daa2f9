"""Real pipelines that make room for one another: what they draw stays the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from media_mcp.worker.memory import CudaMemory
from media_mcp.worker.pipelines import diffusers as pipeline
from media_mcp.worker.residency import Place, Residency
from media_mcp.worker.work import Work

SKETCH: dict[str, Any] = {"weights": "embedded:sketch", "dtype": "float32"}
PROMPT = {"prompt": "a red circle", "num_inference_steps": 1, "use_resolution_binning": False}
FLUX = {"prompt": "a", "num_inference_steps": 1, "max_sequence_length": 48}
BUDGET = 19_600_000  # for sketch alone, which has 19.5 MB
SMALL = {"width": 64, "height": 64}


class Host(CudaMemory):
    """A card whose memory is the host's: pipelines are moved by the same code, and nowhere."""

    def __init__(self) -> None:
        super().__init__("cpu")
        self.moves = 0

    def to_host(self, value: Any) -> None:
        self.moves += 1
        super().to_host(value)

    def to_device(self, value: Any) -> None:
        self.moves += 1
        super().to_device(value)

    def taken(self) -> int:
        return 0

    def begin(self) -> int:
        return 0

    def peak(self) -> int:
        return 0


@pytest.fixture
def draw(
    work_of: Callable[..., Work], tiny_flux: Path
) -> Callable[[str, Residency], tuple[bytes, dict[str, Any]]]:
    def make(name: str, held: Residency) -> tuple[bytes, dict[str, Any]]:
        spec = SKETCH if name == "sketch" else {"weights": str(tiny_flux)}
        call = PROMPT if name == "sketch" else FLUX
        work = work_of(spec, held=held, **call, **SMALL)
        product = pipeline.run(work)
        return (work.folder / product.outputs[0].path).read_bytes(), dict(product.facts)

    return make


def test_two_families_that_do_not_fit_together_swap_and_draw_the_same(draw: Any) -> None:
    held, memory = Residency(BUDGET, lambda: None), None
    first, _ = draw("sketch", held)
    _, facts = draw("flux", held)
    assert facts["evicted"] == 1 and facts["load_seconds"] > 0
    again, facts = draw("sketch", held)
    assert again == first
    assert facts["evicted"] == 1
    memory = Host()
    held = Residency(BUDGET, lambda: None, host_budget=10**8, memory=memory)
    for name in ("sketch", "flux", "sketch"):
        drawn, facts = draw(name, held)
    assert drawn == first
    assert memory.moves == 3
    assert {one.key.split()[0]: one.place for one in held.held()}["embedded:sketch"] is Place.DEVICE


def test_weights_in_shards_are_read_at_once_and_draw_the_same(
    draw: Any, work_of: Callable[..., Work], tiny_flux: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    from diffusers import FluxPipeline
    from diffusers.models import modeling_utils

    whole, _ = draw("flux", Residency(10**9, lambda: None))
    folder = tmp_path / "sharded"
    FluxPipeline.from_pretrained(tiny_flux).save_pretrained(folder, max_shard_size="60KB")
    assert len(list((folder / "transformer").glob("*-of-*.safetensors"))) > 2
    monkeypatch.setattr(modeling_utils, "HF_ENABLE_PARALLEL_LOADING", True)
    work = work_of({"weights": str(folder)}, held=Residency(10**9, lambda: None), **FLUX, **SMALL)
    product = pipeline.run(work)
    assert (work.folder / product.outputs[0].path).read_bytes() == whole
