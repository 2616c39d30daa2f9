"""Turns what torch, diffusers and the hub raise into errors that say what to do next."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from media_mcp.errors import MediaError, MissingExtra, NotConfigured, StorageFailed
from media_mcp.worker.device import Device
from media_mcp.worker.full import is_out_of_memory
from media_mcp.worker.residency import Residency
from media_mcp.worker.work import Cancelled

__all__ = ["explain", "is_out_of_memory", "missing_extra", "missing_package", "readable_faults"]
EXTRA = "local"
_REQUIRED = re.compile(r"requires the ([\w-]+) library")
_APART = frozenset({"torchaudio", "mistral-common", "uroman", "phonemizer", "sentencepiece"})
_UNDEFINED = re.compile(r"name '(\w+)' is not defined")


@contextmanager
def readable_faults(weights: str, device: Device, residency: Residency) -> Iterator[None]:
    """Let cancellations, our own errors and full memory through (`full.more_room` sees to that);
    explain the others where we can."""
    try:
        yield
    except (Cancelled, MediaError):
        raise
    except Exception as error:
        if explained := explain(error, weights):
            raise explained from error
        raise


def explain(error: BaseException, weights: str) -> MediaError | None:
    """Return what `error`, or one that caused it, means for the operator; None if unknown."""
    if package := missing_package(error):
        return missing_extra(package)
    for cause in _chain(error):
        if fault := _hub_fault(type(cause).__name__, weights):
            return fault
    if isinstance(error, OSError):
        return _file_fault(error, weights)
    return None


def missing_extra(package: str) -> MissingExtra:
    """Return the error for a package that is absent; what few models need is no part of ours."""
    error = MissingExtra(package, EXTRA)
    apart = package.lower().replace("_", "-")
    if apart in _APART:
        error.hint = f"Run: pip install {apart}"
    return error


def missing_package(error: BaseException) -> str | None:
    """Return the package whose absence `error` is: diffusers says that in three ways."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return error.name.partition(".")[0]
    pattern = _REQUIRED if isinstance(error, ImportError) else _UNDEFINED
    found = pattern.search(str(error)) if isinstance(error, ImportError | NameError) else None
    return found[1] if found else None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []  # libraries that raise anew can tie a chain into a ring
    cause: BaseException | None = error
    while cause is not None and not any(cause is one for one in seen):
        yield cause
        seen.append(cause)
        cause = cause.__cause__ or cause.__context__


def _hub_fault(name: str, weights: str) -> NotConfigured | None:
    if name == "GatedRepoError":
        return NotConfigured(
            f"The weights {weights} are gated: their owner wants a licence accepted first.",
            f"Accept it at https://huggingface.co/{weights}, then run: hf auth login",
        )
    if name in ("RepositoryNotFoundError", "RevisionNotFoundError", "HFValidationError"):
        return NotConfigured(
            f"The hub has no weights {weights}, or they are private.",
            "Check `weights` in the card; for a private repository run: hf auth login",
        )
    if name in _UNREACHABLE:
        return NotConfigured(
            f"The weights {weights} are not on this machine and the hub cannot be asked.",
            f"With a network, and HF_HUB_OFFLINE unset, run: media-mcp pull {weights}",
        )
    return None


_UNREACHABLE = frozenset(
    {
        "LocalEntryNotFoundError",
        "CachedRepoTreeNotFoundError",
        "IncompleteSnapshotError",
        "OfflineModeIsEnabled",
        "ConnectError",
        "ConnectTimeout",
    }
)


def _file_fault(error: OSError, weights: str) -> MediaError | None:
    """Tell a full disk from what transformers and diffusers say with an OSError of no number."""
    if error.errno == errno.ENOSPC:
        return StorageFailed("The disk is full.", "Free some space and run the job again.")
    if error.errno is not None:
        return None
    said = str(error).strip().splitlines() or [type(error).__name__]
    return NotConfigured(
        f"The weights {weights} cannot be loaded: {said[0][:300]}",
        "Only safetensors files are read, never pickles: use weights that have them.",
    )
