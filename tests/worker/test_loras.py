"""LoRAs on a tiny FLUX: in for one job, out after it, and words for each that cannot be."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from media_mcp.errors import BadCard, NotConfigured
from media_mcp.worker.pipelines import diffusers as pipeline
from media_mcp.worker.residency import Residency
from media_mcp.worker.work import Cancelled, Product, Work

CALL = {
    "prompt": "a",
    "guidance_scale": 0.0,
    "max_sequence_length": 48,
    "width": 64,
    "height": 64,
    "num_inference_steps": 2,
}
LAYER = "single_transformer_blocks.0.attn.to_q"


@pytest.fixture(scope="session")
def style(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA of one layer of the tiny FLUX."""
    return lora(tmp_path_factory.mktemp("loras") / "ink.safetensors", f"transformer.{LAYER}")


def lora(path: Path, layer: str, seed: int = 1, width: int = 32) -> Path:
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(seed)
    halves = {"lora_A.weight": torch.randn(4, width), "lora_B.weight": torch.randn(width, 4)}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({f"{layer}.{name}": 3 * half for name, half in halves.items()}, path)
    return path


@pytest.fixture
def draw(work_of: Callable[..., Work], tiny_flux: Path) -> Callable[..., bytes]:
    """Draw with the LoRAs given as (path, scale); return the picture's bytes."""

    def drawn(*loras: tuple[Any, float], told: Any = None, **more: Any) -> bytes:
        wanted = [{"path": str(path), "scale": scale} for path, scale in loras]
        spec = {"weights": str(tiny_flux), "loras": wanted} | more
        work = work_of(spec, told=told, **CALL)
        return first(work, pipeline.run(work))

    return drawn


def first(work: Work, product: Product) -> bytes:
    return (work.folder / product.outputs[0].path).read_bytes()


def test_a_lora_changes_the_picture_of_its_job_alone(
    draw: Callable[..., bytes], style: Path, told: Any
) -> None:
    plain = draw()
    assert draw((style, 0.8), told=told) != plain
    assert told.lines[-1] == "Loading the LoRA ink.safetensors at 0.8."
    assert draw() == plain


def test_the_scale_counts(draw: Callable[..., bytes], style: Path) -> None:
    assert draw((style, 0)) == draw()
    assert draw((style, 0.3)) != draw((style, 1.0))


def test_several_loras_count_together(
    draw: Callable[..., bytes], style: Path, tmp_path: Path
) -> None:
    other = lora(tmp_path / "other.safetensors", f"transformer.{LAYER}", seed=2)
    both = draw((style, 1), (other, 1))
    assert both not in (draw((style, 1)), draw((other, 1)), draw())
    assert draw((style, 1), (other, 0)) == draw((style, 1))


def test_a_cancelled_job_leaves_no_lora_behind(
    draw: Callable[..., bytes], style: Path, told: Any
) -> None:
    plain = draw()
    told.stop_at = 1
    with pytest.raises(Cancelled):
        draw((style, 1), told=told)
    assert told.steps == [(1, 2)]
    assert draw() == plain


def test_a_failed_job_leaves_no_lora_behind(
    draw: Callable[..., bytes], style: Path, tmp_path: Path
) -> None:
    plain = draw()
    with pytest.raises(NotConfigured):
        draw((style, 1), (tmp_path / "gone.safetensors", 1))
    assert draw() == plain


def test_a_lora_for_another_model_is_an_error_and_not_ignored(
    draw: Callable[..., bytes], tmp_path: Path
) -> None:
    plain = draw()
    alien = lora(tmp_path / "alien.safetensors", "unet.down_blocks.0.attentions.0.to_q")
    with pytest.raises(BadCard) as caught:
        draw((alien, 1))
    assert caught.value.message == f"The LoRA {alien} matches no layer of FluxPipeline."
    assert caught.value.hint == "Use one that was made for this model."
    assert draw() == plain


def test_a_lora_of_another_width_is_told(draw: Callable[..., bytes], tmp_path: Path) -> None:
    plain = draw()
    wide = lora(tmp_path / "wide.safetensors", f"transformer.{LAYER}", width=48)
    with pytest.raises(NotConfigured, match=r"wide.safetensors cannot be loaded into FluxPipeline"):
        draw((wide, 1))
    assert draw() == plain


def test_a_pipeline_that_takes_no_loras_says_so(work_of: Callable[..., Work], style: Path) -> None:
    spec = {"weights": "embedded:sketch", "loras": [{"path": str(style)}]}
    with pytest.raises(BadCard, match="loras: PRXPixelPipeline takes no LoRAs") as caught:
        pipeline.run(work_of(spec, prompt="a"))
    assert "base it on a model whose pipeline takes them" in caught.value.hint


@pytest.mark.parametrize("name", ["style.bin", "style.safetensors"])
def test_a_pickle_is_never_read_whatever_it_is_called(
    draw: Callable[..., bytes], tmp_path: Path, name: str
) -> None:
    import torch

    class Thief:
        def __reduce__(self) -> tuple[Any, ...]:
            return open, (str(tmp_path / "ran"), "w")

    torch.save(Thief(), tmp_path / name)
    with pytest.raises(NotConfigured, match=r"is no .safetensors file|cannot be loaded") as caught:
        draw((tmp_path / name, 1))
    assert "pickles" in caught.value.hint or "safetensors" in caught.value.hint
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("path", ["styles/a/b", "", "./ink.safetensors"])
def test_a_path_that_is_nothing_is_the_cards_fault(draw: Callable[..., bytes], path: str) -> None:
    with pytest.raises(BadCard, match=r"is no absolute path and no ORG/NAME on the hub"):
        draw((path, 1))


@pytest.mark.parametrize("given", ["ink", {"scale": 1}, {"path": "/a", "scale": "much"}, 7])
def test_a_lora_that_is_no_mapping_is_the_cards_fault(
    work_of: Callable[..., Work], tiny_flux: Path, given: Any
) -> None:
    with pytest.raises(BadCard, match=r"^loras: .* is no {path: …, scale: number}"):
        pipeline.run(work_of({"weights": str(tiny_flux), "loras": [given]}, **CALL))


def test_a_folder_stands_for_the_one_file_in_it(
    draw: Callable[..., bytes], style: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "styles"
    lora(folder / "a.safetensors", f"transformer.{LAYER}", seed=3)
    alone = draw((folder, 1))
    lora(folder / "b.safetensors", f"transformer.{LAYER}", seed=4)
    with pytest.raises(BadCard, match=r"holds 2 .safetensors files") as caught:
        draw((folder, 1))
    assert caught.value.hint == "Give the path of the one file that is meant."
    shutil.copy(style, folder / "pytorch_lora_weights.safetensors")
    assert draw((folder, 1)) == draw((style, 1)) != alone


def test_a_repository_comes_from_the_cache(
    draw: Callable[..., bytes],
    style: Path,
    tmp_path: Path,
    told: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = tmp_path / "models--acme--style"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text("0123abc")
    (kept / "snapshots" / "0123abc").mkdir(parents=True)
    shutil.copy(style, kept / "snapshots" / "0123abc" / "ink.safetensors")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert draw(("acme/style", 1), told=told, local_files_only=True) == draw((style, 1))
    assert "Looking for the LoRA acme/style on this machine and on the hub." in told.lines
    with pytest.raises(NotConfigured) as caught:
        draw(("acme/nothing", 1), local_files_only=True)
    assert caught.value.hint.endswith("run: media-mcp pull acme/nothing")


def test_weights_that_keep_a_lora_are_loaded_again(
    work_of: Callable[..., Work],
    tiny_flux: Path,
    style: Path,
    told: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from diffusers import FluxPipeline

    def broken(self: Any) -> None:
        raise RuntimeError("stuck")

    held = Residency(10**9, lambda: None)
    plain = work_of({"weights": str(tiny_flux)}, held=held, **CALL)
    before = first(plain, pipeline.run(plain))
    styled = {"weights": str(tiny_flux), "loras": [{"path": str(style)}]}
    with monkeypatch.context() as patched:
        patched.setattr(FluxPipeline, "disable_lora", broken)
        pipeline.run(work_of(styled, held=held, told=told, **CALL))
    assert told.lines[-1] == (
        "The LoRAs cannot be taken out (stuck): the weights will be loaded again."
    )
    assert held.models == ()
    assert first(plain, pipeline.run(plain)) == before


def test_that_memory_is_full_is_no_fault_of_the_lora(
    draw: Callable[..., bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffusers import FluxPipeline

    style = lora(tmp_path / "new.safetensors", f"transformer.{LAYER}", seed=9)

    def full(self: Any, *args: Any, **kwargs: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(FluxPipeline, "load_lora_weights", full)
    with pytest.raises(MemoryError):  # which the worker sees to
        draw((style, 1))
