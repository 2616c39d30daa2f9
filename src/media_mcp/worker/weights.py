"""Finds a pipeline's folder and says, from file headers alone, how much memory its weights take."""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

from media_mcp.errors import BadCard, NotConfigured

EMBEDDED = "embedded:"
HERE = Path(__file__).parent
INDEXES = ("model_index.json", "config.json")  # of a pipeline of several models, of a single one
HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}$")
_LARGEST_HEADER = 100 * 2**20
_FLOATS = frozenset({"F64", "F32", "F16", "BF16"})


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
    if not any((folder / index).is_file() for index in INDEXES):
        raise NotConfigured(f"There are no weights at {folder}: no {' or '.join(INDEXES)}.", hint)
    return folder


def estimate(folder: Path, float_bytes: int) -> int:
    """Return the bytes the weights in `folder` take once loaded with `float_bytes` a number.

    Reads headers only: milliseconds for any size. Raises `NotConfigured` for a broken file.
    """
    files = [file for part in _components(folder) for file in _weight_files(folder / part)]
    return sum(_loaded_bytes(file, float_bytes) for file in files)


def _components(folder: Path) -> Iterator[str]:
    if not (folder / INDEXES[0]).is_file():
        yield ""
        return
    for name, value in _read_json(folder / INDEXES[0]).items():
        if isinstance(value, list) and value and value[0] is not None:
            yield name


def _weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files of one component: its shards, or else those of no variant."""
    for index in sorted(folder.glob("*.safetensors.index.json")):
        shards = _read_json(index).get("weight_map", {})
        return [folder / Path(name).name for name in sorted(set(shards.values()))]
    files = sorted(folder.glob("*.safetensors"))
    return [file for file in files if "." not in file.stem] or files


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _broken(path, error) from None
    return found if isinstance(found, dict) else {}


def _loaded_bytes(file: Path, float_bytes: int) -> int:
    try:
        tensors = [t for name, t in _header(file).items() if name != "__metadata__"]
        return sum(_tensor_bytes(tensor, float_bytes) for tensor in tensors)
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        raise _broken(file, error) from None


def _tensor_bytes(tensor: Mapping[str, Any], float_bytes: int) -> int:
    if tensor["dtype"] in _FLOATS:
        return int(prod(tensor["shape"])) * float_bytes
    start, end = tensor["data_offsets"]
    return int(end - start)


def _header(file: Path) -> dict[str, Any]:
    with file.open("rb") as opened:
        (size,) = struct.unpack("<Q", opened.read(8))
        if size > _LARGEST_HEADER:
            raise ValueError("its header is too long")
        header: dict[str, Any] = json.loads(opened.read(size))
    return header


def header_of(file: Path) -> dict[str, Any]:
    """Return what a safetensors file says of each of its tensors (`dtype`, `shape`).

    Raises `ValueError` in words for a file that is none, and `OSError`.
    """
    try:
        tensors = {name: told for name, told in _header(file).items() if name != "__metadata__"}
        if all(isinstance(told["shape"], list) for told in tensors.values()):
            return tensors
    except (struct.error, KeyError, TypeError, AttributeError, RecursionError, ValueError):
        pass
    raise ValueError("it has no such header")


def _broken(path: Path, error: Exception) -> NotConfigured:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return NotConfigured(f"Weights file {path} cannot be read: {reason}.", "Fetch it again.")
