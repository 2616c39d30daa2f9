"""In a process with torch: runs tiny models by the worker's own code and writes seconds as JSON."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "gpu"))

import torch  # noqa: E402
from diffusers import DiffusionPipeline  # noqa: E402
from random_weights import flux, sdxl  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from media_mcp.worker import protocol  # noqa: E402
from media_mcp.worker.device import Device  # noqa: E402
from media_mcp.worker.memory import memory_of  # noqa: E402
from media_mcp.worker.pipelines import diffusers as pipeline  # noqa: E402
from media_mcp.worker.pipelines.diffusers.loading import quieten  # noqa: E402
from media_mcp.worker.residency import Residency  # noqa: E402
from media_mcp.worker.work import Work  # noqa: E402

LAYER = "transformer.single_transformer_blocks.0.attn.to_q"
CALL = {"prompt": "a", "height": 64, "width": 64, "num_inference_steps": 2}
MORE: Mapping[str, Mapping[str, Any]] = {"flux": {"max_sequence_length": 16}, "sdxl": {}}


class Bench:
    """Two tiny models in a folder, and a residency that holds one of them at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        torch.manual_seed(0)
        for name, build in (("flux", flux), ("sdxl", sdxl)):
            build(True).save_pretrained(str(folder / name))
        self.device = Device("cpu", 2 * 10**9)
        self.memory = memory_of(self.device)
        self.release = self.memory.release

    def residency(self, budget: int) -> Residency:
        return Residency(budget, self.release, memory=self.memory)

    def size(self, name: str) -> int:
        return sum(file.stat().st_size for file in (self.folder / name).rglob("*.safetensors"))

    def run(self, held: Residency, name: str, lora: Path | None = None) -> float:
        """Draw one picture and return the seconds."""
        given = {"loras": [{"path": "media://lora.bin", "scale": 1}]} if lora else {}
        run = protocol.Run(
            job_id="bench",
            attempt=1,
            model=name,
            pipeline="diffusers",
            spec={"weights": str(self.folder / name), "threads": 1},
            arguments=given,
            call={**CALL, **MORE[name]},
            seed=7,
            folder=str(self.folder),
            roles=("images",),
            inputs={"media://lora.bin": str(lora)} if lora else {},
        )
        work = Work(run, self.device, held, lambda n, total: None, lambda: None, lambda line: None)
        return timed(lambda: pipeline.run(work))

    def lora(self, seed: int) -> Path:
        torch.manual_seed(seed)
        path = self.folder / f"lora-{seed}.safetensors"
        halves = {"lora_A": torch.randn(4, 32), "lora_B": torch.randn(32, 4)}
        save_file({f"{LAYER}.{name}.weight": half for name, half in halves.items()}, str(path))
        return path


def timed(do: Callable[[], object]) -> float:
    started = perf_counter()
    do()
    return perf_counter() - started


def swaps(bench: Bench, count: int) -> dict[str, float]:
    """Measure runs that find the other model in a memory for one, and warm ones."""
    one = bench.residency(int(1.2 * max(bench.size("flux"), bench.size("sdxl"))))
    both = bench.residency(10**9)
    for held in (one, both):
        for name in MORE:
            bench.run(held, name)
    gaps = []
    for _ in range(count):
        for name in MORE:
            warm = bench.run(both, name)
            gaps.append(bench.run(one, name) - warm)
    if len(one.models) != 1:
        raise SystemExit("error: both models fitted, so that nothing was swapped.")
    return {"swap": median(gaps), "load": median(_loads(bench, count))}


def _loads(bench: Bench, count: int) -> list[float]:
    places = [str(bench.folder / name) for name in MORE for _ in range(count)]
    return [timed(partial(DiffusionPipeline.from_pretrained, place)) for place in places]


def loras(bench: Bench, count: int) -> dict[str, float]:
    """Measure runs that take another LoRA than the one before, and runs without any."""
    held, files = bench.residency(10**9), [bench.lora(1), bench.lora(2)]
    bench.run(held, "flux")
    plain = median(bench.run(held, "flux") for _ in range(count))
    first = [bench.run(held, "flux", file) - plain for file in files]
    gaps = [
        bench.run(held, "flux", files[n % 2]) - bench.run(held, "flux") for n in range(2 * count)
    ]
    return {
        "lora_first": median(first),
        "lora_switch": max(0.0, median(gaps)),
        "lora_bare": median(_bare_loras(bench, files, count)),
    }


def _bare_loras(bench: Bench, files: list[Path], count: int) -> list[float]:
    pipe = DiffusionPipeline.from_pretrained(str(bench.folder / "flux"))

    def once(file: Path) -> None:
        pipe.load_lora_weights(str(bench.folder), weight_name=file.name, adapter_name="a")
        pipe.set_adapters(["a"], [1.0])
        pipe.unload_lora_weights()

    once(files[0])
    return [timed(partial(once, files[n % 2])) for n in range(2 * count)]


def main() -> None:
    warnings.simplefilter("ignore")
    quieten()
    bench, count = Bench(Path(sys.argv[1])), int(sys.argv[2])
    print(json.dumps(swaps(bench, count) | loras(bench, count)))


if __name__ == "__main__":
    main()
