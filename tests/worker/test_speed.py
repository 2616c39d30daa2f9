"""Speed settings on a tiny FLUX: each is done, named if it changes the picture, and undone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from media_mcp import speed
from media_mcp.errors import BadCard, BadSettings
from media_mcp.worker.pipelines import diffusers as pipeline
from media_mcp.worker.residency import Residency
from media_mcp.worker.speed import loading
from media_mcp.worker.work import Cancelled, Work

CALL = {
    "prompt": "a",
    "guidance_scale": 3.5,
    "max_sequence_length": 48,
    "width": 64,
    "height": 64,
    "num_inference_steps": 14,
}


@dataclass
class Drawn:
    """A picture and what was said of it."""

    picture: bytes
    speed: Any
    lines: list[str]


@pytest.fixture
def draw(work_of: Callable[..., Work], tiny_flux: Path, told: Any) -> Callable[..., Drawn]:
    """Draw with a bundle and keys."""

    def drawn(bundle: str = "exact", *, steps: int = 14, **keys: Any) -> Drawn:
        spec = {"weights": str(tiny_flux), "speed": {"bundle": bundle, "keys": keys}}
        told.lines.clear()
        work = work_of(spec, told=told, **(CALL | {"num_inference_steps": steps}))
        product = pipeline.run(work)
        picture = (work.folder / product.outputs[0].path).read_bytes()
        return Drawn(picture, product.facts.get("speed"), list(told.lines))

    return drawn


@pytest.fixture
def plain(draw: Callable[..., Drawn]) -> bytes:
    return draw().picture


@pytest.mark.parametrize(
    "keys",
    [
        {"attention": "math"},
        {"channels_last": True},
        {"fuse_qkv": True},
        {"vae_slicing": True},
        {"compile": False},
    ],
    ids=str,
)
def test_an_exact_setting_gives_the_same_picture_and_goes_unnamed(
    draw: Callable[..., Drawn], plain: bytes, keys: dict[str, Any]
) -> None:
    drawn = draw(**keys)
    assert (drawn.picture, drawn.speed) == (plain, None)


@pytest.mark.parametrize("value", ["first_block 0.5", "mag", "taylorseer 3", "pab 2"])
def test_a_cache_changes_the_picture_is_named_and_leaves_nothing(
    draw: Callable[..., Drawn], plain: bytes, value: str
) -> None:
    cached = draw(cache=value)
    assert cached.picture != plain
    assert cached.speed == (value,)
    assert draw(cache=value).picture == cached.picture
    assert draw().picture == plain


def test_a_job_that_is_cancelled_under_a_cache_leaves_nothing(
    draw: Callable[..., Drawn], plain: bytes, told: Any
) -> None:
    told.stop_at = 5
    with pytest.raises(Cancelled):
        draw(cache="mag")
    told.stop_at = None
    assert draw().picture == plain


def test_weights_kept_in_eight_bits_are_loaded_apart(
    draw: Callable[..., Drawn], plain: bytes, residency: Residency
) -> None:
    small = draw(fp8_storage=True)
    assert small.speed == ("fp8_storage",)
    assert small.picture != plain
    assert draw().picture == plain
    assert any(name.endswith("float32 fp8_storage") for name in residency._held)


def test_a_bundle_leaves_out_what_cannot_be_and_says_so(draw: Callable[..., Drawn]) -> None:
    fast = draw("fast")
    assert fast.speed == ("first_block 0.08",)
    why = "Without the speed setting fp8_compute: it needs an NVIDIA GPU."
    assert why in fast.lines


def test_a_bundle_spares_short_runs_its_cache(draw: Callable[..., Drawn]) -> None:
    short = draw("turbo", steps=4)
    assert short.speed is None
    assert "Without the speed setting cache: a run of 4 steps is too short for a cache." in (
        short.lines
    )
    assert draw(cache="mag", steps=4).speed == ("mag",)


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"attention": "cudnn"}, "attention = cudnn cannot be had: it needs an NVIDIA GPU."),
        ({"offload": "group"}, "offload = group cannot be had: it needs a GPU to keep weights"),
        ({"cache": "sea"}, "cache = sea cannot be had: FluxPipeline cannot have it."),
        ({"cache": "faster"}, "cache = faster cannot be had: FluxPipeline failed with it"),
        ({"fp8_compute": True}, "fp8_compute = True cannot be had: it needs an NVIDIA GPU."),
    ],
    ids=str,
)
def test_what_is_asked_for_by_name_is_done_or_refused(
    draw: Callable[..., Drawn], plain: bytes, keys: dict[str, Any], why: str
) -> None:
    draw("fast")  # which loads the weights without fp8_compute, and lets that pass
    with pytest.raises(BadSettings) as caught:
        draw("fast", **keys)
    assert why in caught.value.message
    assert "a bundle leaves out what cannot be" in caught.value.hint
    assert draw().picture == plain


def test_a_class_without_caches_is_drawn_without(work_of: Callable[..., Work], told: Any) -> None:
    spec = {"weights": "embedded:sketch", "speed": {"bundle": "fast", "keys": {}}}
    call = {"height": 64, "width": 64, "use_resolution_binning": False, "num_inference_steps": 12}
    product = pipeline.run(work_of(spec, told=told, prompt="a red circle", **call))
    assert "speed" not in product.facts
    assert "Without the speed setting cache: PRXPixelPipeline cannot have it." in told.lines


def test_settings_that_are_none_are_told(work_of: Callable[..., Work], tiny_flux: Path) -> None:
    spec = {"weights": str(tiny_flux), "speed": {"keys": {"warp": 9}}}
    with pytest.raises(BadCard, match="speed: there is no key 'warp'"):
        pipeline.run(work_of(spec, **CALL))


def test_every_key_is_obeyed_somewhere() -> None:
    from media_mcp.worker.speed import running

    elsewhere = {"dtype", "few_step", "fp8_compute"}  # by the server, and while loading
    obeyed = {*loading._BEFORE, *loading._AFTER, *running._SETTINGS} | elsewhere
    assert obeyed == set(speed.KEYS)


@pytest.mark.timeout(300)
def test_compiled_blocks_draw_the_same_but_for_rounding(
    draw: Callable[..., Drawn], plain: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With torch's own tracing and no code generation, which takes a minute on a CPU."""
    import torch
    from diffusers import FluxTransformer2DModel

    def traced(self: Any) -> None:
        for module in self.modules():
            if type(module).__name__ in self._repeated_blocks:
                module.compile(backend="eager")

    monkeypatch.setattr(FluxTransformer2DModel, "compile_repeated_blocks", traced)
    compiled = draw(compile=True)
    assert compiled.picture == plain
    cached = draw(compile=True, cache="first_block 0.5")
    assert cached.picture == draw(cache="first_block 0.5").picture
    assert draw(compile=True).picture == plain
    torch.compiler.reset()
