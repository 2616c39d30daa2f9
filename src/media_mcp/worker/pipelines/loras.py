"""LoRAs: changes to a pipeline's weights, put in for one job and taken out after it."""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from media_mcp.errors import BadCard, NotConfigured
from media_mcp.worker.pipelines.faults import is_out_of_memory, readable_faults
from media_mcp.worker.weights import HUB_ID
from media_mcp.worker.work import Work

SUFFIX = ".safetensors"
USUAL = "pytorch_lora_weights.safetensors"


@dataclass(frozen=True, slots=True)
class Lora:
    """A file, a folder or a hub repository, and how strongly it counts."""

    path: str
    scale: float = 1.0


@contextmanager
def applied(work: Work, pipe: Any) -> Iterator[None]:
    """Have `pipe` draw with the LoRAs of the card, as long as this lasts.

    Raises `BadCard` for a pipeline that takes none and for a LoRA that matches none of its layers,
    `NotConfigured` for one that is not there or cannot be read.
    """
    wanted = [_parsed(given) for given in work.run.spec.get("loras") or ()]
    if not wanted:
        yield
        return
    _check_takes_loras(pipe)
    try:
        _put_in(work, pipe, wanted)
        yield
    finally:
        _take_out(work, pipe)


def _parsed(given: Any) -> Lora:
    try:
        return Lora(str(given["path"]), float(given.get("scale", 1)))
    except (TypeError, ValueError, KeyError, AttributeError):
        words = f"loras: {str(given)[:80]} is no {{path: …, scale: number}}."
        raise BadCard(words, "Mend the model's card.") from None


def _check_takes_loras(pipe: Any) -> None:
    if not hasattr(pipe, "load_lora_weights"):
        raise BadCard(
            f"loras: {type(pipe).__name__} takes no LoRAs.",
            "Take them out of the card, or base it on a model whose pipeline takes them.",
        )


def _put_in(work: Work, pipe: Any, wanted: list[Lora]) -> None:
    names = [f"lora_{index}" for index in range(len(wanted))]
    for name, lora in zip(names, wanted, strict=True):
        work.check()
        with readable_faults(lora.path, work.device, work.residency):
            file = find_file(work, lora.path)
            work.log(f"Loading the LoRA {file.name} at {lora.scale:g}.")
            _load(pipe, file, name)
    pipe.set_adapters(names, [lora.scale for lora in wanted])


def _load(pipe: Any, file: Path, name: str) -> None:
    kind = type(pipe).__name__
    try:
        with warnings.catch_warnings(action="ignore"):  # that there are several is meant
            pipe.load_lora_weights(
                str(file.parent),
                weight_name=file.name,
                adapter_name=name,
                use_safetensors=True,
                local_files_only=True,
            )
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise NotConfigured(
            f"The LoRA {file} cannot be loaded into {kind}: {_reason(error)}",
            "Use a safetensors file made for this model.",
        ) from error
    if name not in chain(*pipe.get_list_adapters().values()):  # diffusers says nothing itself
        raise BadCard(
            f"The LoRA {file} matches no layer of {kind}.", "Use one that was made for this model."
        )


def _reason(error: BaseException) -> str:
    """Return the first line of what went wrong, which a KeyError of diffusers' clean-up hides."""
    cause = error.__context__ if isinstance(error, KeyError) and error.__context__ else error
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0][:300]


def _take_out(work: Work, pipe: Any) -> None:
    """Leave the weights as they were; if that fails, the next job loads them anew."""
    unload = pipe.unload_lora_weights
    key = "reset_to_overwritten_params"  # some LoRAs widen a layer of Flux
    more = {key: True} if key in inspect.signature(unload).parameters else {}
    try:
        unload(**more)
    except Exception as error:
        work.log(f"The LoRAs cannot be taken out ({error}): the weights will be loaded again.")
        work.residency.clear()


def find_file(work: Work, path: str) -> Path:
    """Return the safetensors file that `path` means, fetching it if it is on the hub only."""
    place = Path(os.path.expanduser(path))  # noqa: PTH111 (pathlib's raises for unknown users)
    if place.is_absolute():
        return _file_at(place)
    if not HUB_ID.match(path):
        raise BadCard(
            f"loras: {path!r} is no absolute path and no ORG/NAME on the hub.",
            "Change `path` in the model's card.",
        )
    return _only_file(_fetched(work, path))


def _file_at(place: Path) -> Path:
    if place.is_dir():
        return _only_file(place)
    if not place.is_file():
        raise NotConfigured(
            f"There is no LoRA at {place}.", "Put it there, or change `path` in the card."
        )
    if place.suffix != SUFFIX:
        raise BadCard(
            f"loras: {place} is no {SUFFIX} file.", "Only these are read: pickles can hold code."
        )
    return place


def _only_file(folder: Path) -> Path:
    files = sorted(folder.glob(f"*{SUFFIX}"))
    usual = [file for file in files if file.name == USUAL] or files
    if len(usual) != 1:
        raise BadCard(
            f"loras: {folder} holds {len(files)} {SUFFIX} files, and none is {USUAL}.",
            "Give the path of the one file that is meant.",
        )
    return usual[0]


def _fetched(work: Work, repository: str) -> Path:
    from huggingface_hub import snapshot_download

    work.log(f"Looking for the LoRA {repository} on this machine and on the hub.")
    only_here = bool(work.run.spec.get("local_files_only", False))
    found = snapshot_download(repository, allow_patterns=[f"*{SUFFIX}"], local_files_only=only_here)
    return Path(found)
