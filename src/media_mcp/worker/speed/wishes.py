"""What a job's speed settings come to on this device, and what was done of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from media_mcp import speed
from media_mcp.errors import BadCard, BadSettings, MediaError
from media_mcp.speed import KEYS, Value
from media_mcp.worker.pipelines.faults import is_out_of_memory
from media_mcp.worker.work import Cancelled, Work

DENOISERS = ("transformer", "transformer_2", "unet", "prior", "decoder")
FEW_STEP = "few_step"
_RECORD = "_speed_record"


class CannotBe(Exception):
    """A setting cannot be had here; the words say why."""


@dataclass(frozen=True, slots=True)
class Wish:
    """The settings that are to be on; those in `named` were asked for by name and not by bundle."""

    values: Mapping[str, Value] = field(default_factory=dict)
    named: frozenset[str] = frozenset()

    @property
    def loads(self) -> dict[str, Value]:
        """Those for which weights are loaded differently; the number format is not among them."""
        wanted = self.values.items()
        return {name: value for name, value in wanted if KEYS[name].loads and name != "dtype"}


def wish_of(spec: Mapping[str, Any], device: str) -> Wish:
    """Return what a route's spec wishes for on a kind of device (`cpu`, `cuda`, `mps`).

    Raises `BadCard` for settings that are none.
    """
    told = spec.get("speed") or {}
    try:
        choice = speed.choice({"bundle": told.get("bundle") or speed.EXACT, **told.get("keys", {})})
    except (ValueError, AttributeError, TypeError) as error:
        raise BadCard(f"speed: {error}.", "Mend the model's card.") from None
    brought = {**speed.bundled(choice.bundle, device), FEW_STEP: bool(told.get(FEW_STEP))}
    both = {**brought, **choice.keys}
    both[FEW_STEP] = brought[FEW_STEP]  # the server has put the LoRA in, or there is none
    on = {name: value for name, value in both.items() if value != KEYS[name].off}
    return Wish(on, frozenset(choice.keys))


def denoisers(pipe: Any) -> list[Any]:
    """Return the models of a pipeline that run at every step."""
    found = (getattr(pipe, name, None) for name in DENOISERS)
    return [model for model in found if callable(getattr(model, "named_modules", None))]


@dataclass(slots=True)
class Record:
    """Which settings were done, and why others were not."""

    done: dict[str, Value] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


def keep_record(pipe: Any, record: Record) -> None:
    """Remember, with the weights, what was done when they were loaded."""
    for model in denoisers(pipe):
        setattr(model, _RECORD, record)


def record_of(pipe: Any) -> Record:
    """Return what was done when the pipeline's weights were loaded."""
    for model in denoisers(pipe):
        record: Record | None = getattr(model, _RECORD, None)
        if record is not None:
            return record
    return Record()


def is_compiled(pipe: Any) -> bool:
    """Tell whether blocks of the pipeline are compiled."""
    return "compile" in record_of(pipe).done


def is_fused(pipe: Any) -> bool:
    """Tell whether the projections of attention are fused, which LoRAs do not reach."""
    return "fuse_qkv" in record_of(pipe).done


@contextmanager
def attempt(work: Work, wish: Wish, name: str, record: Record) -> Iterator[None]:
    """Do one setting and record it. If that fails, the one that a bundle brought is left out.

    Raises `BadSettings` for one that was asked for by name.
    """
    try:
        yield
        record.done[name] = wish.values[name]
    except (Cancelled, MediaError):
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        reason = reason_of(error)
        if name in wish.named:
            raise refusal(name, wish.values[name], reason) from error
        record.skipped[name] = reason
        work.log(f"Without the speed setting {name}: {reason}.")


def reason_of(error: BaseException) -> str:
    """Return the first line of an error's words."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")


def refusal(name: str, value: Value, reason: str) -> BadSettings:
    """Say that a setting asked for by name cannot be had."""
    return BadSettings(
        f"The speed setting {name} = {value} cannot be had: {reason}.",
        "Take it out of the settings or the card; a bundle leaves out what cannot be.",
    )


def need(condition: bool, words: str) -> None:
    """Raise `CannotBe` unless a condition holds."""
    if not condition:
        raise CannotBe(words)


def call_each(models: list[Any], method: str, words: str, call: Callable[[Any], object]) -> None:
    """Call something on each model that has `method`. Raises `CannotBe` if none has it."""
    able = [model for model in models if callable(getattr(model, method, None))]
    need(bool(able), words)
    for model in able:
        call(model)
