"""Speed settings that hold for one run: put on before it, taken off after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import Any

from media_mcp.speed import lossy_names
from media_mcp.worker.speed import caches
from media_mcp.worker.speed.wishes import (
    FEW_STEP,
    Record,
    Wish,
    attempt,
    is_compiled,
    need,
    reason_of,
    record_of,
    refusal,
    wish_of,
)
from media_mcp.worker.work import Work

_BACKENDS = {
    "cudnn": "_native_cudnn",
    "math": "_native_math",
    "flash": "flash",
    "flash_3": "_flash_3_hub",
    "flash_4": "flash_4_hub",
    "xformers": "xformers",
}
Put = Callable[[Work, Any, Wish, ExitStack], None]


@contextmanager
def applied(work: Work, pipe: Any) -> Iterator[tuple[str, ...]]:
    """Have `pipe` run with the job's settings; give the names of those that change what comes out.

    The weights' lock must be held. Raises `BadSettings` for a setting that was asked for by name
    and cannot be had.
    """
    wish, loaded = wish_of(work.run.spec, work.device.kind), record_of(pipe)
    _check_loaded(wish, loaded)
    record = Record(dict(loaded.done))
    with ExitStack() as stack:
        for name, put in _SETTINGS.items():
            if name in wish.values:
                with attempt(work, wish, name, record):
                    put(work, pipe, wish, stack)
        if "cache" not in record.done:
            caches.disable(pipe)  # the one of a run before
        if FEW_STEP in wish.values:
            record.done[FEW_STEP] = True
        with _blamed(pipe, record):
            yield tuple(lossy_names(record.done))


def _check_loaded(wish: Wish, loaded: Record) -> None:
    """Refuse what was asked for by name where a bundle had the weights loaded without it."""
    for name in wish.loads.keys() & wish.named & loaded.skipped.keys():
        raise refusal(name, wish.values[name], loaded.skipped[name])


@contextmanager
def _blamed(pipe: Any, record: Record) -> Iterator[None]:
    """Name the cache where a run fails with one: not every class can be run with every cache."""
    try:
        yield
    except (IndexError, AttributeError, AssertionError, KeyError, TypeError) as error:
        if "cache" not in record.done:
            raise
        raise refusal(
            "cache",
            record.done["cache"],
            f"{type(pipe).__name__} failed with it ({type(error).__name__}: {reason_of(error)})",
        ) from error


def _attention(work: Work, pipe: Any, wish: Wish, stack: ExitStack) -> None:
    from diffusers.models.attention_dispatch import attention_backend

    name = str(wish.values["attention"])
    need(name == "math" or work.device.kind == "cuda", "it needs an NVIDIA GPU")
    stack.enter_context(attention_backend(_backend(name)))


def _backend(name: str) -> str:
    if name == "sage":
        return "sage" if find_spec("sageattention") else "sage_hub"
    return _BACKENDS[name]


def _vae(method: str) -> Put:
    def put(work: Work, pipe: Any, wish: Wish, stack: ExitStack) -> None:
        vae = getattr(pipe, "vae", None)
        words = f"the decoder of {type(pipe).__name__} cannot"
        need(callable(getattr(vae, f"enable_{method}", None)), words)
        getattr(vae, f"enable_{method}")()
        stack.callback(getattr(vae, f"disable_{method}"))

    return put


def _cache(work: Work, pipe: Any, wish: Wish, stack: ExitStack) -> None:
    """Put a cache on; a compiled model keeps it, since every change of hooks compiles it anew."""
    value = wish.values["cache"]
    caches.enable(work, pipe, value, asked="cache" in wish.named)
    if not is_compiled(pipe):
        stack.callback(caches.disable, pipe)


_SETTINGS: Mapping[str, Put] = {
    "attention": _attention,
    "vae_tiling": _vae("tiling"),
    "vae_slicing": _vae("slicing"),
    "cache": _cache,
}
