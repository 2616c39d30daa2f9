"""LoRAs: changes to a pipeline's weights, put in for one job and taken out after it.

Files once loaded stay with the weights, switched off, so that the next job that wants them only
switches them on: the least recently used go when there are too many. They are known by their
content, and never fused, for a picture drawn without them must be the one that was drawn before.
"""

from __future__ import annotations

import inspect
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from media_mcp.errors import BadCard, BadSettings, InvalidArguments, NotConfigured, Problem
from media_mcp.worker import speed
from media_mcp.worker.pipelines.faults import is_out_of_memory, readable_faults
from media_mcp.worker.pipelines.lorafiles import ARGUMENT, Lora, LoraFile, find, wanted
from media_mcp.worker.work import Work

KEPT = 8  # loaded files of one pipeline
KEPT_BYTES = 2 * 2**30
RANK = 64  # that compiled weights leave room for
_SHELF = "_loras"


@dataclass(frozen=True, slots=True)
class Held:
    """A loaded file: its adapter's name in the pipeline, its bytes and the layers it changes."""

    name: str
    size: int
    layers: int


@dataclass(slots=True)
class Shelf:
    """What is loaded, by content, the least recently used first."""

    held: OrderedDict[str, Held] = field(default_factory=OrderedDict)
    made: int = 0

    def spare(self, needed: set[str], room: int) -> list[str]:
        """Return what must go to make room for `room` bytes more, of what is not needed now."""
        gone: list[str] = []
        count, size = len(self.held), sum(one.size for one in self.held.values()) + room
        for digest, one in self.held.items():
            if count < KEPT and size <= KEPT_BYTES:
                break
            if digest not in needed:
                gone.append(digest)
                count, size = count - 1, size - one.size
        return gone

    def name(self) -> str:
        """Return a name for the next adapter; those that went are given out again."""
        taken = {one.name for one in self.held.values()}
        return next(name for n in range(len(taken) + 1) if (name := f"lora_{n}") not in taken)


@contextmanager
def applied(work: Work, pipe: Any) -> Iterator[tuple[str, ...]]:
    """Have `pipe` draw with the LoRAs of the card and the call, as long as this lasts.

    Gives what the caller should know of them. The weights' lock must be held.

    Raises `BadCard`, or `InvalidArguments` for a call's, where the pipeline takes none and where
    one matches none of its layers; `NotConfigured` for one that is not there or cannot be read.
    """
    loras = wanted(work)
    if not loras:
        yield ()
        return
    _check_takes_loras(pipe, loras[-1])
    try:
        yield _put_in(work, pipe, loras)
    finally:
        _switch_off(work, pipe)


def _check_takes_loras(pipe: Any, lora: Lora) -> None:
    kind = type(pipe).__name__
    if not hasattr(pipe, "load_lora_weights"):
        words = f"loras: {kind} takes no LoRAs."
        if lora.field:
            raise InvalidArguments(
                [Problem(ARGUMENT, f"{kind} takes no LoRAs.")], "Leave them out."
            )
        raise BadCard(
            words, "Take them out of the card, or base it on a model whose pipeline takes them."
        )
    if speed.is_fused(pipe):
        raise BadSettings(
            "LoRAs cannot be used with the speed setting fuse_qkv.", "Set fuse_qkv = false."
        )


def _put_in(work: Work, pipe: Any, loras: Sequence[Lora]) -> tuple[str, ...]:
    """Switch exactly these on; return which of them match in part only."""
    files = []
    for lora in loras:
        work.check()
        with readable_faults(lora.path, work.device, work.residency):
            files.append(find(work, lora))
    shelf, scales, partly = _shelf_of(pipe), dict[str, float](), dict[str, None]()
    needed = {file.digest for file in files}
    for lora, file in zip(loras, files, strict=True):
        work.check()
        with readable_faults(lora.path, work.device, work.residency):
            held = _held(work, pipe, shelf, lora, file, needed)
        scales[held.name] = scales.get(held.name, 0.0) + lora.scale
        if held.layers < file.layers:
            partly[f"LoRA {file.name}: {held.layers} of its {file.layers} layers match"] = None
    pipe.set_adapters(list(scales), list(scales.values()))
    pipe.enable_lora()
    for words in partly:
        work.log(f"{words}.")
    return tuple(partly)


def _held(
    work: Work, pipe: Any, shelf: Shelf, lora: Lora, file: LoraFile, needed: set[str]
) -> Held:
    """Return the file as it is loaded, loading it if it is not."""
    if file.digest in shelf.held:
        shelf.held.move_to_end(file.digest)
        work.log(f"Using the LoRA {file.name} at {lora.scale:g}, loaded before.")
        return shelf.held[file.digest]
    work.log(f"Loading the LoRA {file.name} at {lora.scale:g}.")
    swapped = _make_room(pipe, shelf, file, needed)
    held = _load(work, pipe, shelf, lora, file, swapped)
    shelf.held[file.digest] = held
    return held


def _make_room(pipe: Any, shelf: Shelf, file: LoraFile, needed: set[str]) -> str:
    """Let adapters go; of a compiled pipeline return the name of one to load over.

    A compiled pipeline is compiled anew whenever an adapter comes or goes, not when one takes the
    place of another.
    """
    over = ""
    for digest in shelf.spare(needed, file.size):
        gone = shelf.held.pop(digest)
        if speed.is_compiled(pipe) and not over:
            over = gone.name
        else:
            pipe.delete_adapters(gone.name)
    return over


def _load(work: Work, pipe: Any, shelf: Shelf, lora: Lora, file: LoraFile, over: str) -> Held:
    if speed.is_compiled(pipe) and not shelf.made:
        pipe.enable_lora_hotswap(target_rank=max(RANK, file.rank), check_compiled="ignore")
    name = over or shelf.name()
    shelf.made += 1
    shown = f"The LoRA {lora.path if not lora.field else file.name}"
    try:
        with warnings.catch_warnings(action="ignore"):  # that there are several is meant
            _load_file(pipe, _as_safetensors(work, file), name, hotswap=bool(over))
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise lora.fault(
            f"{shown} cannot be loaded into {type(pipe).__name__}: {_reason(error)}",
            "Use a safetensors file made for this model.",
            of_card=NotConfigured,
        ) from error
    if name not in chain(*pipe.get_list_adapters().values()):  # diffusers says nothing itself
        raise lora.fault(
            f"{shown} matches no layer of {type(pipe).__name__}.",
            "Use one that was made for this model.",
        )
    return Held(name, file.size, _changed(pipe, name))


def _load_file(pipe: Any, path: Path, name: str, *, hotswap: bool) -> None:
    more = {"hotswap": True} if hotswap else {}
    pipe.load_lora_weights(
        str(path.parent),
        weight_name=path.name,
        adapter_name=name,
        use_safetensors=True,
        local_files_only=True,
        **more,
    )


def _as_safetensors(work: Work, file: LoraFile) -> Path:
    """Return a path that ends as diffusers wants it, whatever the file's own name is."""
    path = work.folder / f"{file.digest[:16]}.safetensors"
    if not path.exists():
        path.symlink_to(file.path.resolve())
    return path


def _changed(pipe: Any, name: str) -> int:
    """Return how many layers an adapter changes."""
    models = (getattr(pipe, part, None) for part in pipe.get_list_adapters())
    modules = chain.from_iterable(model.modules() for model in models if model is not None)
    return sum(name in getattr(module, "lora_A", ()) for module in modules)


def _reason(error: BaseException) -> str:
    """Return the first line of what went wrong, which a KeyError of diffusers' clean-up hides."""
    cause = error.__context__ if isinstance(error, KeyError) and error.__context__ else error
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0][:300]


def _shelf_of(pipe: Any) -> Shelf:
    """Return the shelf of the pipeline's weights, which its siblings share."""
    model = next(iter(speed.denoisers(pipe)), pipe)
    if not hasattr(model, _SHELF):
        setattr(model, _SHELF, Shelf())
    shelf: Shelf = getattr(model, _SHELF)
    return shelf


def _switch_off(work: Work, pipe: Any) -> None:
    """Leave the weights as they were; if that fails, the next job loads them anew."""
    shelf = _shelf_of(pipe)
    loaded = {*chain(*pipe.get_list_adapters().values())}
    whole = loaded == {held.name for held in shelf.held.values()} and not _has_rewritten(pipe)
    try:
        if whole:
            pipe.disable_lora()
        else:
            _take_out(pipe, shelf)
    except Exception as error:
        work.log(f"The LoRAs cannot be taken out ({error}): the weights will be loaded again.")
        work.residency.clear()


def _has_rewritten(pipe: Any) -> bool:
    """Tell whether a LoRA has widened or replaced a layer, as some of Flux do."""
    names = ("_overwritten_params", "_transformer_norm_layers")
    return any(getattr(model, name, None) for model in speed.denoisers(pipe) for name in names)


def _take_out(pipe: Any, shelf: Shelf) -> None:
    shelf.held.clear()
    unload = pipe.unload_lora_weights
    key = "reset_to_overwritten_params"
    more = {key: True} if key in inspect.signature(unload).parameters else {}
    unload(**more)
