"""The caches of diffusers: each reuses between steps what hardly changes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from media_mcp.speed import Value, number_of, word_of
from media_mcp.worker.speed.wishes import CannotBe, denoisers, need
from media_mcp.worker.work import Work

FEWEST_STEPS = 12  # a run of fewer has too little to reuse
_SCHEDULE = 1000  # timesteps count down from here
_KEPT = "_speed_cache"


class Clock:
    """Knows the timestep that a model works on, from 1000 down to 0, as some caches must."""

    def __init__(self, model: Any) -> None:
        self.now = float(_SCHEDULE)
        self._place = list(inspect.signature(model.forward).parameters).index("timestep")
        self._hook = model.register_forward_pre_hook(self._see, with_kwargs=True)

    def _see(self, _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        given = kwargs.get("timestep", args[self._place] if len(args) > self._place else None)
        if given is not None:
            step = float(given.flatten()[0]) if hasattr(given, "flatten") else float(given)
            self.now = step * _SCHEDULE if step <= 1 else step

    def remove(self) -> None:
        self._hook.remove()


@dataclass(frozen=True, slots=True)
class Setup:
    """What a cache is made of."""

    work: Work
    pipe: Any
    model: Any
    clock: Clock | None
    value: Value
    steps: int

    def number(self, default: float) -> float:
        return number_of(self.value, default)

    def now(self) -> float:
        return self.clock.now if self.clock else float(_SCHEDULE)


def _first_block(setup: Setup) -> Any:
    from diffusers import FirstBlockCacheConfig

    return FirstBlockCacheConfig(threshold=setup.number(0.08))


def _mag(setup: Setup) -> Any:
    from diffusers import MagCacheConfig
    from diffusers.hooks.mag_cache import FLUX_MAG_RATIOS

    known = FLUX_MAG_RATIOS if type(setup.model).__name__ == "FluxTransformer2DModel" else None
    ratios = setup.work.run.spec.get("mag_ratios") or known
    need(ratios is not None, "the card says no mag_ratios, which differ from model to model")
    return MagCacheConfig(
        threshold=setup.number(0.06), mag_ratios=ratios, num_inference_steps=setup.steps
    )


def _sea(setup: Setup) -> Any:
    from diffusers import SeaCacheConfig

    return SeaCacheConfig(threshold=setup.number(0.25))


def _taylorseer(setup: Setup) -> Any:
    from diffusers import TaylorSeerCacheConfig

    return TaylorSeerCacheConfig(cache_interval=int(setup.number(3)), disable_cache_before_step=3)


def _faster(setup: Setup) -> Any:
    from diffusers import FasterCacheConfig

    formats = {5: "BCFHW", 4: "BCHW"}
    convolved = getattr(setup.model, "patch_embed", None) or getattr(setup.model, "proj_in", None)
    weight = getattr(getattr(convolved, "weight", None), "dim", lambda: 4)()
    return FasterCacheConfig(
        spatial_attention_block_skip_range=int(setup.number(2)),
        is_guidance_distilled=bool(getattr(setup.model.config, "guidance_embeds", False)),
        tensor_format=formats.get(weight, "BCHW"),
        attention_weight_callback=lambda _: 0.5,
        current_timestep_callback=setup.now,
    )


def _pab(setup: Setup) -> Any:
    from diffusers import PyramidAttentionBroadcastConfig

    return PyramidAttentionBroadcastConfig(
        spatial_attention_block_skip_range=int(setup.number(2)),
        spatial_attention_timestep_skip_range=(100, 800),
        current_timestep_callback=setup.now,
    )


def _text_kv(setup: Setup) -> Any:
    from diffusers import TextKVCacheConfig

    return TextKVCacheConfig()


CONFIGS: Mapping[str, Callable[[Setup], Any]] = {
    "first_block": _first_block,
    "mag": _mag,
    "sea": _sea,
    "taylorseer": _taylorseer,
    "faster": _faster,
    "pab": _pab,
    "text_kv": _text_kv,
}
# Caches that do nothing on other classes, and say nothing of it.
_ONLY: Mapping[str, frozenset[str]] = {
    "sea": frozenset({"WanTransformer3DModel", "Cosmos3OmniTransformer"}),
    "text_kv": frozenset({"NucleusMoEImageTransformer2DModel"}),
}
_TIMED = frozenset({"faster", "pab"})
_IN_CONTEXT = frozenset({"first_block", "mag", "sea"})  # they keep a state for each guided pass


def enable(work: Work, pipe: Any, value: Value, *, asked: bool) -> None:
    """Put a cache on the models that run at every step.

    Raises `CannotBe` for a pipeline that cannot have it and, unless it was `asked` for by name, for
    a run of few steps.
    """
    name, steps = str(word_of(value)), steps_of(work, pipe)
    able = [model for model in denoisers(pipe) if _can_have(model, name)]
    need(bool(able), f"{type(pipe).__name__} cannot have it")
    need(asked or steps >= FEWEST_STEPS, f"a run of {steps} steps is too short for a cache")
    told = name not in _IN_CONTEXT or _tells_context(pipe)
    need(told, f"{type(pipe).__name__} does not tell it the guided pass from the other")
    for model in able:
        _put_on(work, pipe, model, value, steps)


def _can_have(model: Any, name: str) -> bool:
    kinds = _ONLY.get(name)
    kind = type(model).__name__
    return hasattr(model, "enable_cache") and (kinds is None or kind in kinds)


def _put_on(work: Work, pipe: Any, model: Any, value: Value, steps: int) -> None:
    wanted = (value, steps)
    if getattr(model, _KEPT, (None,))[0] == wanted:
        model._reset_stateful_cache()  # what a run that was stopped has left
        return
    _take_off(model)
    clock = Clock(model) if word_of(value) in _TIMED else None
    setattr(model, _KEPT, (wanted, clock))
    config = CONFIGS[str(word_of(value))](Setup(work, pipe, model, clock, value, steps))
    before = _hooks(model)
    try:
        model.enable_cache(config)
        need(_hooks(model) > before, f"{type(model).__name__} has no place for it")
    except Exception as error:
        model._cache_config = config  # so that what was hooked until then is taken off
        _take_off(model)
        raise CannotBe(str(error)) from error


def _hooks(model: Any) -> int:
    found = (getattr(module, "_diffusers_hook", None) for module in model.modules())
    return sum(len(registry.hooks) for registry in found if registry is not None)


def disable(pipe: Any) -> None:
    """Take every cache off: what is drawn then is what was drawn before."""
    for model in denoisers(pipe):
        _take_off(model)


def _take_off(model: Any) -> None:
    if getattr(model, "is_cache_enabled", False):
        model.disable_cache()
    _, clock = getattr(model, _KEPT, (None, None))
    if clock is not None:
        clock.remove()
    if hasattr(model, _KEPT):
        delattr(model, _KEPT)


def steps_of(work: Work, pipe: Any) -> int:
    """Return how many steps the run takes: those of the call, else the pipeline's own."""
    name = "num_inference_steps"
    known = inspect.signature(pipe.__call__).parameters.get(name)
    default = known.default if known and isinstance(known.default, int) else 28
    return int(work.run.call.get(name) or default)


def _tells_context(pipe: Any) -> bool:
    """Tell whether the pipeline names its passes: these caches fail where it does not."""
    call = inspect.unwrap(type(pipe).__call__)
    return "cache_context" in call.__code__.co_names
