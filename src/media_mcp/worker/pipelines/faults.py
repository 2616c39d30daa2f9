"""Turns what torch, diffusers and the hub raise into errors that say what to do next."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from media_mcp.errors import MediaError, MissingExtra, NotConfigured, OutOfMemory, StorageFailed
from media_mcp.worker.device import Device
from media_mcp.worker.residency import Residency, gigabytes
from media_mcp.worker.work import Cancelled

EXTRA = "local"
_CPU_FULL = re.compile(r"can't allocate memory|not enough memory|you tried to allocate (\d+) bytes")
_REQUIRED = re.compile(r"requires the (\w+) library")
_UNDEFINED = re.compile(r"name '(\w+)' is not defined")


@contextmanager
def readable_faults(weights: str, device: Device, residency: Residency) -> Iterator[None]:
    """Let cancellations and our own errors through; explain the others where we can."""
    try:
        yield
    except (Cancelled, MediaError):
        raise
    except Exception as error:
        if explained := explain(error, weights):
            raise explained from error
        if is_out_of_memory(error):
            raise _full(device, residency) from error
        raise


def explain(error: BaseException, weights: str) -> MediaError | None:
    """Return what `error`, or one that caused it, means for the operator; None if unknown."""
    if package := missing_package(error):
        return MissingExtra(package, EXTRA)
    for cause in _chain(error):
        if fault := _hub_fault(type(cause).__name__, weights):
            return fault
    if isinstance(error, OSError):
        return _file_fault(error, weights)
    return None


def missing_package(error: BaseException) -> str | None:
    """Return the package whose absence `error` is: diffusers says that in three ways."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return error.name.partition(".")[0]
    pattern = _REQUIRED if isinstance(error, ImportError) else _UNDEFINED
    found = pattern.search(str(error)) if isinstance(error, ImportError | NameError) else None
    return found[1] if found else None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


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
            f"With a network, and HF_HUB_OFFLINE unset, run: hf download {weights}",
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


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that the device or the host is full."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and bool(_CPU_FULL.search(str(error)))


def _full(device: Device, residency: Residency) -> OutOfMemory:
    """Say how full it is, and let every pipeline go so that the next job finds room."""
    used, others = residency.used, len(residency.models) > 1
    residency.clear()
    return OutOfMemory(
        f"{device.name} ran out of memory: it has {gigabytes(device.memory)}, "
        f"of which loaded weights took {gigabytes(used)}.",
        "Ask for a smaller picture or fewer of them, or use a model with smaller weights.",
        retryable=others,
    )
