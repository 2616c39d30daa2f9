"""Finds a pipeline's folder and says, from file headers alone, how much memory its weights take."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from media_mcp.errors import BadCard, NotConfigured
from media_mcp.worker import headers
from media_mcp.worker.files import is_of

EMBEDDED = "embedded:"
HERE = Path(__file__).parent
HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}$")
# What says that a folder holds weights: diffusers' two kinds of pipelines, and transformers.
INDEXES = ("model_index.json", "modular_model_index.json", "config.json")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


def local_folder(weights: str) -> Path | None:
    """Return the folder that `weights` names, or None when it is the id of a hub repository.

    `embedded:NAME` ships with media-mcp; a path must be absolute or begin with `~`, for a relative
    one would depend on where the server was started. Raises `NotConfigured` when nothing is there
    and `BadCard` when `weights` is neither.
    """
    if weights.startswith(EMBEDDED):
        return _embedded(weights.removeprefix(EMBEDDED))
    path = Path(os.path.expanduser(weights))  # noqa: PTH111 (pathlib's raises for unknown users)
    if path.is_absolute():
        return _whole(path, "Put the model there or change `weights` in the card.")
    if HUB_ID.match(weights):
        return None
    raise BadCard(
        f"weights: {weights!r} is no embedded:NAME, no absolute path and no ORG/NAME on the hub.",
        "Change `weights` in the model's card.",
    )


def _embedded(name: str) -> Path:
    if not name.isidentifier():
        raise BadCard(
            f"weights: {EMBEDDED}{name} is no name of embedded weights.", "Mend the card."
        )
    return _whole(HERE / name, "Install media-mcp again; its weights are part of the package.")


def _whole(folder: Path, hint: str) -> Path:
    if any((folder / index).is_file() for index in INDEXES):
        return folder
    raise NotConfigured(f"There are no weights at {folder}: no {' or '.join(INDEXES)}.", hint)


def estimate(folder: Path, float_bytes: int, variant: str | None = None) -> int:
    """Return the bytes the weights in `folder` take once loaded with `float_bytes` a number.

    Reads headers only: milliseconds for any size. Raises `NotConfigured` for a broken file, for one
    that is not all there, and where there are pickles only.
    """
    return sum(parts(folder, float_bytes, variant).values())


def parts(
    folder: Path,
    float_bytes: int,
    variant: str | None = None,
    more: Mapping[str, Any] | None = None,
) -> dict[str, int]:
    """Return the same of each component that has weights; a folder without any is one itself.

    `more` are components that come from elsewhere: their names, and folders or repositories.
    """
    places = _components(folder, variant)
    for name, place in (more or {}).items():
        places[name] = (_cached(str(place), None) or folder / "absent", None)
    found = {name: _bytes_in(*place, float_bytes) for name, place in places.items()}
    return {name: size for name, size in found.items() if size}


def adapter_bytes(files: Sequence[Path], float_bytes: int) -> int:
    """Return the bytes that adapters take beside the weights they change."""
    return sum(headers.loaded_bytes(file, float_bytes) for file in files)


def _components(folder: Path, variant: str | None) -> dict[str, tuple[Path, str | None]]:
    """Return where each component's weights are, and which variant of them is meant."""
    index = next((folder / name for name in INDEXES if (folder / name).is_file()), None)
    if index is None or index.name == "config.json":
        return {folder.name: (folder, variant)}
    told = headers.read_json(index)
    parts = {name: value for name, value in told.items() if _is_component(value)}
    return {name: _place(folder, name, value, variant) for name, value in parts.items()}


def _is_component(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 1 and value[0] is not None


def _place(
    folder: Path, name: str, value: Sequence[Any], variant: str | None
) -> tuple[Path, str | None]:
    """Return a component's folder; a modular pipeline's may be in another repository."""
    told = value[2] if len(value) > 2 and isinstance(value[2], dict) else {}
    repo, inner = (
        told.get("pretrained_model_name_or_path") or told.get("repo"),
        told.get("subfolder"),
    )
    home = folder if not repo else _cached(str(repo), told.get("revision")) or folder
    own = home / str(inner if repo and inner is not None else name)
    return own if own.is_dir() else home / "absent", told.get("variant") or variant


def _cached(repo: str, revision: Any) -> Path | None:
    """Return the folder of a repository that was fetched, or None; the hub is not asked."""
    if Path(repo).is_dir():
        return Path(repo)
    if not HUB_ID.match(repo):
        return None
    from huggingface_hub import try_to_load_from_cache

    for name in ("model_index.json", "config.json", ".gitattributes", "README.md"):
        found = try_to_load_from_cache(repo, name, revision=str(revision) if revision else None)
        if isinstance(found, str):
            return Path(found).parent
    return None


def _bytes_in(folder: Path, variant: str | None, float_bytes: int) -> int:
    files = list(_weight_files(folder, variant))
    if not files and any(any(folder.glob(pattern)) for pattern in _PICKLES):
        raise NotConfigured(
            f"The weights in {folder} are pickles, which can hold code and are never loaded.",
            "Use weights that come as safetensors.",
        )
    kept = _is_quantized(folder)
    return sum(headers.loaded_bytes(file, float_bytes, keep_eight_bits=kept) for file in files)


def _is_quantized(folder: Path) -> bool:
    config = folder / "config.json"
    return config.is_file() and "quantization_config" in headers.read_json(config)


def _weight_files(folder: Path, variant: str | None) -> Iterator[Path]:
    """Yield the safetensors files of one component: those of the variant if there are any, else
    the plain ones; of these the shards that an index names, else all."""
    indexes = sorted(folder.glob("*.safetensors.index*.json"))
    wanted = [i for i in indexes if is_of(i.name, variant or "")] or [
        i for i in indexes if is_of(i.name, "")
    ]
    files = sorted(folder.glob("*.safetensors"))
    chosen = [f for f in files if variant and is_of(f.name, variant)]
    if wanted and (not chosen or is_of(wanted[0].name, variant or "")):
        yield from _shards(wanted[0])
        return
    yield from chosen or [f for f in files if is_of(f.name, "")] or files


def _shards(index: Path) -> list[Path]:
    told = headers.read_json(index).get("weight_map")
    names = sorted({str(name) for name in told.values()}) if isinstance(told, dict) else []
    if odd := [name for name in names if Path(name).name != name]:
        raise headers.broken(index, f"it names a file outside its folder, {odd[0][:80]!r}")
    absent = [name for name in names if not (index.parent / name).is_file()]
    if absent:
        raise NotConfigured(
            f"Of the {len(names)} files that {index} names {len(absent)} are absent: "
            f"{', '.join(absent[:3])}{', …' if len(absent) > 3 else ''}.",
            "Fetch the weights again: media-mcp pull goes on where it stopped.",
        )
    return [index.parent / name for name in names]
