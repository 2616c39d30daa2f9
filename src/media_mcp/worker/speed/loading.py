"""Speed settings that weights are loaded with, or changed by once they are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from media_mcp.speed import Value, word_of
from media_mcp.worker.residency import Plan
from media_mcp.worker.speed.wishes import (
    DENOISERS,
    Record,
    attempt,
    call_each,
    denoisers,
    keep_record,
    need,
    wish_of,
)
from media_mcp.worker.work import Work

FP8_GPU = (8, 9)  # the first compute capability that multiplies in eight bits
LAYERS = 20  # of a large model, offloading by groups keeps about one in so many
Do = Callable[[Work, Any, Value], None]


def resident_part(work: Work) -> str:
    """Return what tells these weights from the same ones loaded with other settings, in words."""
    wish = wish_of(work.run.spec, work.device.kind)
    return " ".join(
        name if value is True else f"{name}={value}" for name, value in sorted(wish.loads.items())
    )


def planned(
    work: Work, sizes: Mapping[str, int], float_bytes: int, load: Callable[[], Any]
) -> Plan:
    """Say what the weights will take on the device with the settings of the job, and what loads
    them. `sizes` are the bytes of each part without any settings."""
    loads = wish_of(work.run.spec, work.device.kind).loads
    taken = dict(sizes)
    if loads.keys() & {"fp8_storage", "fp8_compute"}:
        taken |= {name: taken[name] // float_bytes for name in DENOISERS if name in taken}
    if "offload" not in loads or work.device.kind == "cpu":
        return Plan(sum(taken.values()), load, sizes)
    largest = max(taken.values(), default=0)
    at_once = largest if word_of(loads["offload"]) == "model" else largest // LAYERS
    return Plan(at_once, load, movable=False)


class Loader:
    """Loads one pipeline with the settings of the job that needs it.

    Both methods raise `BadSettings` for what was asked for by name and cannot be.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._wish = wish_of(work.run.spec, work.device.kind)
        self._record = Record()

    def arguments(self, folder: Path) -> dict[str, Any]:
        """Return what `from_pretrained` gets besides: how to quantize the denoiser."""
        found: dict[str, Any] = {}
        if "fp8_compute" in self._wish.values:
            with attempt(self._work, self._wish, "fp8_compute", self._record):
                found["quantization_config"] = _quantization(self._work, folder)
        return found

    def finish(self, pipe: Any) -> Any:
        """Bring the pipeline onto the device, with its settings; return it."""
        for name, do in _BEFORE.items():
            self._try(name, do, pipe)
        if "offload" not in self._record.done:
            pipe.to(self._work.device.name)
        for name, do in _AFTER.items():
            self._try(name, do, pipe)
        keep_record(pipe, self._record)
        return pipe

    def _try(self, name: str, do: Do, pipe: Any) -> None:
        if name in self._wish.values:
            with attempt(self._work, self._wish, name, self._record):
                do(self._work, pipe, self._wish.values[name])


def _quantization(work: Work, folder: Path) -> Any:
    need(work.device.kind == "cuda", "it needs an NVIDIA GPU")
    import torch

    need(torch.cuda.get_device_capability(work.device.name) >= FP8_GPU, "this GPU is too old")
    need(find_spec("torchao") is not None, "torchao is not installed (pip install torchao)")
    from diffusers import PipelineQuantizationConfig, TorchAoConfig
    from torchao.quantization import Float8DynamicActivationFloat8WeightConfig

    index = json.loads((folder / "model_index.json").read_bytes())
    names = [name for name in DENOISERS if index.get(name, [None])[0]]
    need(bool(names), "the pipeline has no denoiser that could be quantized")
    config = TorchAoConfig(Float8DynamicActivationFloat8WeightConfig())
    return PipelineQuantizationConfig(quant_mapping=dict.fromkeys(names, config))


def _store_in_eight_bits(work: Work, pipe: Any, _: Value) -> None:
    import torch

    need(not _is_quantized(pipe), "fp8_compute keeps the weights in eight bits already")

    def cast(model: Any) -> None:
        model.enable_layerwise_casting(torch.float8_e4m3fn, compute_dtype=model.dtype)

    words = f"{type(pipe).__name__} has no denoiser that can"
    call_each(denoisers(pipe), "enable_layerwise_casting", words, cast)


def _is_quantized(pipe: Any) -> bool:
    return any(getattr(model, "is_quantized", False) for model in denoisers(pipe))


def _lay_channels_last(work: Work, pipe: Any, _: Value) -> None:
    import torch

    models = [getattr(pipe, name, None) for name in ("unet", "vae")]
    flat = [model for model in models if model is not None and _is_flat(model)]
    need(bool(flat), f"{type(pipe).__name__} has no model of two-dimensional convolutions")
    for model in flat:
        model.to(memory_format=torch.channels_last)


def _is_flat(model: Any) -> bool:
    """Tell whether a model convolves pictures and not clips, which have no such layout."""
    return {4} <= {p.dim() for p in model.parameters()} <= {0, 1, 2, 3, 4}


def _fuse(work: Work, pipe: Any, _: Value) -> None:
    words = f"{type(pipe).__name__} has no denoiser whose projections can be fused"
    models = denoisers(pipe)
    call_each(models, "fuse_qkv_projections", words, lambda model: model.fuse_qkv_projections())


def _offload(work: Work, pipe: Any, value: Value) -> None:
    need(work.device.kind != "cpu", "it needs a GPU to keep weights off")
    import torch

    device = torch.device(work.device.name)
    if word_of(value) == "model":
        pipe.enable_model_cpu_offload(device=device)
        return
    streams = work.device.kind == "cuda"
    pipe.enable_group_offload(
        device, torch.device("cpu"), offload_type="leaf_level", use_stream=streams
    )


def _compile(work: Work, pipe: Any, _: Value) -> None:
    """Mark the repeated blocks; they are compiled in the first run.

    Not with `fullgraph`, which would only make an error of what a cache or a LoRA breaks up.
    """
    need(can_compile(work.device.kind), "there is no compiler (C, and Triton for a GPU)")

    def mark(model: Any) -> None:
        model.compile_repeated_blocks()

    words = f"{type(pipe).__name__} has no blocks that repeat"
    able = [m for m in denoisers(pipe) if getattr(m, "_repeated_blocks", None)]
    call_each(able, "compile_repeated_blocks", words, mark)


def can_compile(device: str) -> bool:
    """Tell whether torch.compile finds what it needs for a kind of device."""
    compiler = any(shutil.which(name) for name in ("cc", "gcc", "clang", "c++", "g++"))
    return compiler and (device != "cuda" or find_spec("triton") is not None)


_BEFORE: Mapping[str, Do] = {
    "fp8_storage": _store_in_eight_bits,
    "channels_last": _lay_channels_last,
    "fuse_qkv": _fuse,
    "offload": _offload,
}
_AFTER: Mapping[str, Do] = {"compile": _compile}
