"""Which files of a repository a pipeline needs: by their names, safetensors only, one variant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

PIPELINE, MODEL, ADAPTER = "pipeline", "model", "adapter"
INDEX = "model_index.json"
# What transformers and modular pipelines read, wherever it lies. Never pickles.
MODEL_FILES = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "*.npy")
_WEIGHTS = (".safetensors", ".bin", ".msgpack", ".onnx", ".onnx_data", ".pb", ".h5", ".ot", ".pt")
_NEVER = (*_WEIGHTS[1:], ".pth", ".ckpt", ".pkl", ".pickle", ".gguf", ".tflite", ".zip", ".tar")
_AT_THE_TOP = re.compile(  # what diffusers looks for there
    r"model_index\.json|config\.json|scheduler_config\.json|generation_config\.json|"
    r"(preprocessor|processor|tokenizer)_config\.json|tokenizer\.json|chat_template\.jinja"
)
_LOADED = re.compile(r"(diffusion_)?(pytorch_)?model\b.*\.safetensors(\.index\..*)?")


def needed(
    paths: Iterable[str], layout: str, variant: str = "", index: Mapping[str, Any] | None = None
) -> list[str]:
    """Return which of a repository's `paths` are needed, sorted.

    `index` is the content of model_index.json, which a pipeline of diffusers has. Raises
    `ValueError`, in words, where there are no safetensors to be had.
    """
    all_paths = sorted(paths)
    if layout == PIPELINE and index is not None:
        found = _of_pipeline(all_paths, index, variant)
    elif layout == ADAPTER:
        found = [path for path in all_paths if fnmatchcase(path, "*.safetensors")]
    else:
        found = _of_model(all_paths, variant)
    if not any(path.endswith(".safetensors") for path in found):
        kinds = "pickles only" if any(p.endswith(_NEVER) for p in all_paths) else "no weights"
        raise ValueError(f"it holds {kinds}, and no safetensors")
    return found


def _of_model(paths: list[str], variant: str) -> list[str]:
    kept = [path for path in paths if any(fnmatchcase(path, glob) for glob in MODEL_FILES)]
    return kept if not variant else _of_variant(kept, variant)


def _of_pipeline(paths: list[str], index: Mapping[str, Any], variant: str) -> list[str]:
    parts = {name for name, value in index.items() if _is_component(value)}
    found: list[str] = []
    for part in sorted(parts):
        inside = [path for path in paths if path.startswith(f"{part}/")]
        found += _of_variant([path for path in inside if not path.endswith(_NEVER)], variant)
    top = [path for path in paths if "/" not in path]
    found += [path for path in top if _AT_THE_TOP.fullmatch(path)]
    found += [path for path in _of_variant(top, variant) if _LOADED.fullmatch(path)]
    return sorted(set(found))


def _is_component(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and value[0] is not None


def _of_variant(paths: list[str], variant: str) -> list[str]:
    """Return the paths without the weights of other variants; where there is no such variant, the
    plain ones, and where there are no plain ones, all."""
    weights = {path: is_of(path.rpartition("/")[2], variant) for path in paths if _is_weight(path)}
    plain = {path for path in weights if is_of(path.rpartition("/")[2], "")}
    meant = {path for path, is_meant in weights.items() if is_meant and variant} or plain
    return [path for path in paths if path not in weights or not meant or path in meant]


def _is_weight(path: str) -> bool:
    return path.endswith(".safetensors") or ".safetensors.index." in path


def is_of(name: str, variant: str) -> bool:
    """Whether a file is of a variant: `model.fp16.safetensors`, `model.fp16-00001-of-00002…`,
    `….safetensors.index.fp16.json`; without one, whether it is of none."""
    middle = name.partition(".")[2].replace("safetensors", "").replace("index", "")
    words = {word for word in re.sub(r"-\d+-of-\d+", ".", middle).split(".") if word}
    return words - {"json"} == ({variant} if variant else set())
