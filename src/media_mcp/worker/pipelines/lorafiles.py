"""The files of LoRAs: which are wanted, where they are, and that they are what they say.

A card's operator may name a file, a folder or a hub repository. A call may only bring bytes, which
the server has checked in (`inputs`), or name a repository where the server allows it.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from media_mcp.errors import BadCard, InvalidArguments, MediaError, NotConfigured, Problem
from media_mcp.worker.headers import header_of
from media_mcp.worker.weights import HUB_ID
from media_mcp.worker.work import Work

ARGUMENT = "loras"  # of a call, and the key of a card's spec
HUB_ALLOWED = "allow_hub_loras"
SUFFIX = ".safetensors"
USUAL = "pytorch_lora_weights.safetensors"
MOST = 8  # at once
LARGEST = 4 * 2**30  # bytes
STRONGEST = 100.0
_DOWN = re.compile(r"(lora_A|lora_down|lora\.down|_lora\.down|lora_linear_layer\.down)\b.*weight$")


@dataclass(frozen=True, slots=True)
class Lora:
    """What is wanted, and how strongly it counts; `field` is its place in a call, if that asked."""

    path: str
    scale: float = 1.0
    field: str = ""

    def fault(self, words: str, hint: str, *, of_card: type[MediaError] = BadCard) -> MediaError:
        """Return an error for whoever asked for it: the caller, or else the card."""
        if self.field:
            return InvalidArguments([Problem(f"{self.field}.path", words)], hint)
        return of_card(words, hint)


@dataclass(frozen=True, slots=True)
class LoraFile:
    """A file that holds a LoRA: its SHA-256, its bytes, its layers and its rank."""

    path: Path
    name: str
    digest: str
    size: int
    layers: int
    rank: int


def wanted(work: Work) -> list[Lora]:
    """Return the LoRAs of the card and then those of the call. Raises `BadCard`."""
    of_card = [_of_card(given) for given in work.run.spec.get(ARGUMENT) or ()]
    found = [*of_card, *_of_call(work.run.arguments.get(ARGUMENT))]
    if len(found) > MOST:
        words = f"{len(found)} LoRAs are too many: {MOST} can be used at once."
        raise InvalidArguments([Problem(ARGUMENT, words)], "Leave some out.")
    return found


def _of_card(given: Any) -> Lora:
    try:
        return Lora(str(given["path"]), float(given.get("scale", 1)))
    except (TypeError, ValueError, KeyError, AttributeError):
        words = f"loras: {str(given)[:80]} is no {{path: …, scale: number}}."
        raise BadCard(words, "Mend the model's card.") from None


def _of_call(given: Any) -> Iterator[Lora]:
    for index, one in enumerate(given if isinstance(given, list) else ()):
        place = f"{ARGUMENT}[{index}]"
        told = one if isinstance(one, Mapping) else {"path": one}
        scale = told.get("scale", 1)
        number = isinstance(scale, int | float) and isfinite(scale) and abs(scale) <= STRONGEST
        if not number or not isinstance(told.get("path"), str):
            words = f"this is no {{path, scale}} with a scale up to {STRONGEST:g}."
            raise InvalidArguments([Problem(place, words)], "Give a path and a number.")
        yield Lora(told["path"], float(scale), place)


def find(work: Work, lora: Lora) -> LoraFile:
    """Return the file of a LoRA, fetching it if it is on the hub only, once it is looked at.

    Raises `BadCard`, `NotConfigured` or, for a call's, `InvalidArguments`.
    """
    if brought := work.run.inputs.get(lora.path):
        return checked(lora, Path(brought), "the file")
    if lora.field:
        _check_allowed(work, lora)
    path = _place_of(work, lora)
    return checked(lora, path, f"The LoRA {path}")


def _check_allowed(work: Work, lora: Lora) -> None:
    """A call names no path of this machine, whatever the server let through."""
    if work.run.spec.get(HUB_ALLOWED) and HUB_ID.match(lora.path):
        return
    raise lora.fault(
        f"{lora.path[:80]!r} is no file that came with the call.",
        "Pass the path of a file, a media:// URI or a URL to a safetensors file.",
    )


def _place_of(work: Work, lora: Lora) -> Path:
    place = Path(os.path.expanduser(lora.path))  # noqa: PTH111 (pathlib's raises for unknown users)
    if place.is_absolute():
        return _file_at(lora, place)
    if not HUB_ID.match(lora.path):
        raise lora.fault(
            f"loras: {lora.path!r} is no absolute path and no ORG/NAME on the hub.",
            "Change `path` in the model's card.",
        )
    return _only_file(lora, _fetched(work, lora.path))


def _file_at(lora: Lora, place: Path) -> Path:
    if place.is_dir():
        return _only_file(lora, place)
    if not place.is_file():
        raise NotConfigured(
            f"There is no LoRA at {place}.", "Put it there, or change `path` in the card."
        )
    if place.suffix != SUFFIX:
        raise BadCard(
            f"loras: {place} is no {SUFFIX} file.", "Only these are read: pickles can hold code."
        )
    return place


def _only_file(lora: Lora, folder: Path) -> Path:
    files = sorted(folder.glob(f"*{SUFFIX}"))
    usual = [file for file in files if file.name == USUAL] or files
    if len(usual) != 1:
        raise lora.fault(
            f"loras: {folder.name if lora.field else folder} holds {len(files)} {SUFFIX} files, "
            f"and none is {USUAL}.",
            "Give the path of the one file that is meant.",
        )
    return usual[0]


def _fetched(work: Work, repository: str) -> Path:
    from huggingface_hub import snapshot_download

    work.log(f"Looking for the LoRA {repository} on this machine and on the hub.")
    only_here = bool(work.run.spec.get("local_files_only", False))
    found = snapshot_download(repository, allow_patterns=[f"*{SUFFIX}"], local_files_only=only_here)
    return Path(found)


def checked(lora: Lora, path: Path, shown: str) -> LoraFile:
    """Look at a file's header, which says whether it is safetensors whatever it is called."""
    size = path.stat().st_size
    if size > LARGEST:
        raise lora.fault(
            f"{shown} has {size} bytes; a LoRA may have {LARGEST}.", "Use a smaller one."
        )
    try:
        header = header_of(path)
    except ValueError:
        raise lora.fault(
            f"{shown} cannot be loaded: it is no safetensors file.",
            "Use a safetensors file: pickles, which can hold code, are never read.",
            of_card=NotConfigured,
        ) from None
    downs = {name: told["shape"] for name, told in header.items() if _DOWN.search(name)}
    ranks = [min(shape) for shape in downs.values() if len(shape) >= 2]
    return LoraFile(path, path.name, digest_of(path), size, len(downs), max(ranks, default=0))


_DIGESTS: dict[tuple[str, int, int, int], str] = {}


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, computed once while the file stays as it is."""
    stat = path.stat()
    key = (str(path), stat.st_ino, stat.st_size, stat.st_mtime_ns)
    if key not in _DIGESTS:
        if len(_DIGESTS) >= 1000:
            _DIGESTS.clear()
        with path.open("rb") as file:
            _DIGESTS[key] = hashlib.file_digest(file, "sha256").hexdigest()
    return _DIGESTS[key]
