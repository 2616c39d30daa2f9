"""What is measured of each pipeline: eager diffusers, then our settings, swaps, loads, batches."""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch
from random_weights import Model, on

from media_mcp.worker import protocol, speed
from media_mcp.worker.device import Device, find_device
from media_mcp.worker.memory import memory_of
from media_mcp.worker.pipelines.diffusers.loading import load, quieten
from media_mcp.worker.pipelines.steps import view
from media_mcp.worker.residency import Residency
from media_mcp.worker.work import Work

EAGER = "eager"
SETTINGS = ("exact", "fast", "turbo")
PROMPT = "a red boat on a calm sea"
BLOCK = 16 * 2**20


@dataclass(slots=True)
class Row:
    """One measurement: what of, under which setting, and its numbers by name."""

    model: str
    setting: str
    numbers: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Stage:
    """Where it is measured: the device, how large, how often, and until when."""

    device: Device
    tiny: bool
    repeat: int
    until: float

    @classmethod
    def set_up(cls, tiny: bool, repeat: int, seconds: float) -> Stage:
        quieten()
        device = find_device("cpu" if tiny else "cuda")
        return cls(device, tiny, repeat, perf_counter() + seconds)

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32 if self.tiny else torch.bfloat16

    @property
    def is_late(self) -> bool:
        return perf_counter() > self.until

    def call(self, model: Model) -> dict[str, Any]:
        return {"prompt": PROMPT, **(model.tiny if self.tiny else model.call)}

    def build(self, model: Model) -> Any:
        """Return the pipeline with random weights, made on the device."""
        with on(self.device.name, self.dtype):
            pipe = model.build(self.tiny)
        pipe.set_progress_bar_config(disable=True)
        return pipe

    def work(self, model: Model, setting: str, notes: list[str], weights: str = "") -> Work:
        """Return a job of ours with a bundle of speed settings."""
        run = protocol.Run(
            job_id="bench",
            attempt=1,
            model=model.name,
            pipeline="diffusers",
            spec={"weights": weights or model.name, "speed": {"bundle": setting, "keys": {}}},
            arguments={},
            call=self.call(model),
            seed=7,
            folder=tempfile.gettempdir(),
            roles=("output",),
        )
        held = Residency(self.device.budget, lambda: None)
        return Work(run, self.device, held, lambda done, total: None, lambda: None, notes.append)

    def wait(self) -> None:
        if self.device.kind == "cuda":
            torch.cuda.synchronize()

    def timed(self, do: Callable[[], object]) -> float:
        """Return the seconds that something takes, the device's work included."""
        self.wait()
        started = perf_counter()
        do()
        self.wait()
        return perf_counter() - started

    def clear(self) -> None:
        gc.collect()
        if self.device.kind == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        torch.compiler.reset()

    def peak(self) -> float:
        return torch.cuda.max_memory_allocated() / 1e9 if self.device.kind == "cuda" else 0.0


def draw(pipe: Any, call: Mapping[str, Any], count: int = 1) -> Any:
    """Run a pipeline once, for `count` prompts at once."""
    seeds = [torch.Generator("cpu").manual_seed(seed) for seed in range(count)]
    prompts = {"prompt": [call["prompt"]] * count, "generator": seeds} if count > 1 else {}
    return pipe(**{**call, "generator": seeds[0], **prompts, "output_type": "np"})


def measured(stage: Stage, model: Model) -> Iterator[Row]:
    """Measure one pipeline: eager, swapped, batched, loaded, and by our settings."""
    yield from _eager(stage, model)
    for setting in SETTINGS:
        stage.clear()
        if stage.is_late:
            yield Row(model.name, setting, notes=["left out: out of time"])
        else:
            yield ours(stage, model, setting)
    stage.clear()


def _eager(stage: Stage, model: Model) -> Iterator[Row]:
    row, pipe = Row(model.name, EAGER), stage.build(model)
    _runs(stage, row, partial(draw, pipe, stage.call(model)))
    yield row
    yield swapped(stage, model, pipe)
    if model.few_steps:
        yield batched(stage, model, pipe)
        yield loaded(stage, model, pipe)


def ours(stage: Stage, model: Model, setting: str) -> Row:
    """Measure a bundle of ours, put on by the worker's own code."""
    row = Row(model.name, setting)
    work = stage.work(model, setting, row.notes)
    pipe = stage.build(model)
    loader = speed.Loader(work)
    if "fp8_compute" in speed.wish_of(work.run.spec, stage.device.kind).values:
        _quantize(pipe, row.notes)
    pipe = loader.finish(pipe)
    with speed.applied(work, pipe) as lossy:

        def once() -> None:
            draw(view(pipe, lambda done, total: None), work.run.call)

        _runs(stage, row, once)
        if any(name.startswith("first_block") for name in lossy):
            row.numbers["steps_computed"] = _computed(stage, pipe, work.run.call)
    row.notes += [f"changes results: {name}" for name in lossy]
    return row


def _quantize(pipe: Any, notes: list[str]) -> None:
    """Do to weights made here what loading does with `PipelineQuantizationConfig`."""
    try:
        from torchao.quantization import Float8DynamicActivationFloat8WeightConfig, quantize_

        for model in speed.denoisers(pipe):
            quantize_(model, Float8DynamicActivationFloat8WeightConfig())
            notes.append("fp8_compute by torchao")
    except Exception as error:
        notes.append(f"without fp8_compute: {type(error).__name__}: {str(error)[:80]}")


def _computed(stage: Stage, pipe: Any, call: Mapping[str, Any]) -> float:
    """Return the share of steps that were computed and not taken from the cache, by their times.

    Nothing is hooked into the blocks for it, which would have them compiled anew.
    """
    marks = [perf_counter()]

    def step(done: int, total: int) -> None:
        stage.wait()
        marks.append(perf_counter())

    draw(view(pipe, step), call)
    times = [end - start for start, end in pairwise(marks)]
    full = median(times[1:4])  # the first waits for the text; the next are never skipped
    return round(sum(time > full / 2 for time in times) / len(times), 3)


def _runs(stage: Stage, row: Row, once: Callable[[], object]) -> None:
    """Time the first run, in which blocks are compiled, a second one, and then the others."""
    row.numbers["first_seconds"] = stage.timed(once)
    stage.timed(once)
    row.numbers["seconds"] = median(stage.timed(once) for _ in range(stage.repeat))
    row.numbers["peak_gb"] = stage.peak()


def swapped(stage: Stage, model: Model, pipe: Any) -> Row:
    """Measure device to host to device by the residency's own moves, beside the bare bus."""
    row = Row(model.name, "swap")
    memory = memory_of(stage.device)
    size = sum(part.nbytes for one in _modules(pipe) for part in one.parameters()) / 1e9
    row.numbers["weights_gb"] = size
    row.numbers["to_host_seconds"] = stage.timed(lambda: memory.to_host(pipe))
    row.numbers["to_device_seconds"] = stage.timed(lambda: memory.to_device(pipe))
    row.numbers["bus_gb_per_second"] = bus(stage)
    taken = size / max(row.numbers["to_device_seconds"], 1e-9)
    row.numbers["share_of_bus"] = round(taken / row.numbers["bus_gb_per_second"], 3)
    return row


def _modules(pipe: Any) -> list[torch.nn.Module]:
    return [one for one in pipe.components.values() if isinstance(one, torch.nn.Module)]


def bus(stage: Stage) -> float:
    """Return how many GB a second a pinned copy from host to device moves."""
    size = 2**20 if stage.tiny else 2**30
    source = torch.empty(size, dtype=torch.uint8, pin_memory=stage.device.kind == "cuda")
    target = torch.empty(size, dtype=torch.uint8, device=stage.device.name)
    best = min(stage.timed(lambda: target.copy_(source, non_blocking=True)) for _ in range(3))
    return size / 1e9 / max(best, 1e-9)


def batched(stage: Stage, model: Model, pipe: Any) -> Row:
    """Measure a few-step picture alone and four at once, per picture."""
    row = Row(model.name, f"{model.few_steps} steps, batches")
    call = stage.call(model) | {"num_inference_steps": model.few_steps}
    if not stage.tiny:
        call |= {"width": 512, "height": 512}
    for count in (1, 4):
        once = partial(draw, pipe, call, count)
        once()
        times = [stage.timed(once) for _ in range(stage.repeat)]
        row.numbers[f"seconds_each_of_{count}"] = median(times) / count
    gain = row.numbers["seconds_each_of_1"] / row.numbers["seconds_each_of_4"]
    row.numbers["gain"] = round(gain, 2)
    return row


def loaded(stage: Stage, model: Model, pipe: Any) -> Row:
    """Save the weights and load them cold by diffusers alone and by the worker's own code."""
    import diffusers

    row = Row(model.name, "cold load")
    with tempfile.TemporaryDirectory(prefix="media-mcp-gpu-") as folder:
        pipe.save_pretrained(folder)
        files = list(Path(folder).rglob("*.safetensors"))
        size = sum(path.stat().st_size for path in files) / 1e9
        row.numbers |= {"weights_gb": size, "disk_gb_per_second": size / _read_cold(files)}
        kind = getattr(diffusers, type(pipe).__name__)

        def bare() -> None:
            made = kind.from_pretrained(folder, dtype=stage.dtype, local_files_only=True)
            made.to(stage.device.name)

        work = stage.work(model, "exact", row.notes, weights=folder)
        name = str(stage.dtype).removeprefix("torch.")
        for whose, do in (("eager", bare), ("our", lambda: load(work, Path(folder), name))):
            forget(files)
            row.numbers[f"{whose}_seconds"] = stage.timed(do)
    least = min(row.numbers["disk_gb_per_second"], bus(stage))
    row.numbers["share_of_disk_or_bus"] = round(size / row.numbers["our_seconds"] / least, 3)
    return row


def _read_cold(files: list[Path]) -> float:
    forget(files)
    started = perf_counter()
    for path in files:
        with path.open("rb", buffering=0) as file:
            while file.read(BLOCK):
                pass
    return perf_counter() - started


def forget(files: list[Path]) -> None:
    """Have the system let go of what it keeps of files, where it can be told to."""
    for path in files:
        if hasattr(os, "posix_fadvise"):
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
