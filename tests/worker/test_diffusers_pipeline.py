"""The code that runs any diffusers pipeline, on the embedded sketch and on a tiny FLUX."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from media_mcp.errors import BadCard, BadOutput, NotConfigured, OutOfMemory
from media_mcp.worker.pipelines import diffusers as pipeline
from media_mcp.worker.pipelines.spec import dtype_name, resident_name
from media_mcp.worker.residency import Residency
from media_mcp.worker.work import Cancelled, Product, Work

SKETCH: dict[str, Any] = {
    "weights": "embedded:sketch",
    "dtype": "float32",
    "enlarge": "size",
}
PROMPT: dict[str, Any] = {
    "prompt": "a red circle on a blue background",
    "num_inference_steps": 2,
    "guidance_scale": 3.0,
    "height": 64,
    "width": 64,
    "use_resolution_binning": False,
}
FLUX = {"prompt": "a", "guidance_scale": 0.0, "max_sequence_length": 48, "width": 64, "height": 64}
TWO = {"num_images": 2}


@pytest.fixture
def flux(tiny_flux: Path) -> dict[str, Any]:
    return {"weights": str(tiny_flux)}


def pictures(work: Work, product: Product) -> list[bytes]:
    return [(work.folder / made.path).read_bytes() for made in product.outputs]


@pytest.mark.parametrize("name", ["sketch", "flux"])
def test_every_class_of_pipeline_goes_the_same_way(
    work_of: Callable[..., Work], told: Any, flux: dict[str, Any], name: str
) -> None:
    spec = SKETCH if name == "sketch" else flux
    call = PROMPT if name == "sketch" else FLUX | {"height": 48}
    work = work_of(spec, told=told, arguments=TWO, **call | {"num_inference_steps": 3})

    product = pipeline.run(work)

    assert told.steps == [(n, 6) for n in range(1, 7)]
    assert [made.path for made in product.outputs] == ["images-0.png", "images-1.png"]
    first, second = pictures(work, product)
    assert first != second
    with Image.open(work.folder / "images-0.png") as picture:
        assert picture.size == ((64, 64) if name == "sketch" else (64, 48))
        assert picture.info == {}
    assert product.facts["native_size"] == ("64x64" if name == "sketch" else "64x48")


@pytest.mark.parametrize("name", ["sketch", "flux"])
def test_a_cancellation_arrives_within_a_step_and_the_next_run_is_right(
    work_of: Callable[..., Work], told: Any, flux: dict[str, Any], name: str
) -> None:
    spec = SKETCH if name == "sketch" else flux
    call = PROMPT if name == "sketch" else FLUX | {"num_inference_steps": 2}
    work = work_of(spec, **call)
    before = pictures(work, pipeline.run(work))
    (work.folder / "images-0.png").unlink()
    told.stop_at = 2

    with pytest.raises(Cancelled):
        pipeline.run(work_of(spec, told=told, **call | {"num_inference_steps": 9}))

    assert told.steps == [(1, 9), (2, 9)]
    assert not list(work.folder.iterdir())
    assert pictures(work, pipeline.run(work)) == before


def test_the_second_picture_is_the_first_of_the_next_seed(work_of: Callable[..., Work]) -> None:
    both = work_of(SKETCH, seed=5, arguments=TWO, **PROMPT)
    second = pictures(both, pipeline.run(both))[1]
    alone = work_of(SKETCH, seed=6, **PROMPT)

    assert pictures(alone, pipeline.run(alone)) == [second]


def test_a_picture_is_enlarged_and_the_facts_say_from_what(work_of: Callable[..., Work]) -> None:
    work = work_of(SKETCH, arguments={"size": 256}, **PROMPT)

    facts = pipeline.run(work).facts

    with Image.open(work.folder / "images-0.png") as picture:
        assert picture.size == (256, 256)
    assert facts["native_size"] == "64x64"


def test_the_facts_say_what_was_done(work_of: Callable[..., Work]) -> None:
    held = Residency(10**9, lambda: None)
    first = pipeline.run(work_of(SKETCH, held=held, **PROMPT)).facts
    again = pipeline.run(work_of(SKETCH, held=held, **PROMPT)).facts

    assert first["load_seconds"] > 0
    assert again["load_seconds"] == 0
    assert again["run_seconds"] > 0
    assert again["peak_memory_bytes"] > 10**8
    assert {k: again[k] for k in ("seed", "steps", "device", "dtype")} == {
        "seed": 7,
        "steps": 2,
        "device": "cpu",
        "dtype": "float32",
    }
    assert held.models == ("tests/model",)
    json.dumps(dict(again), allow_nan=False)


def test_arguments_without_a_place_are_told_and_not_dropped_quietly(
    work_of: Callable[..., Work], told: Any
) -> None:
    extra = {"strength": 0.5, "generator": "mine"}
    product = pipeline.run(work_of(SKETCH, told=told, **PROMPT, **extra))

    assert product.facts["ignored"] == ["generator", "strength"]
    assert told.lines[-1] == "Ignored, as PRXPixelPipeline has no use for it: generator, strength."


def test_only_what_was_sent_reaches_the_pipeline(work_of: Callable[..., Work]) -> None:
    spec = SKETCH | {"map": {"steps": "num_inference_steps"}, "set": {"height": 9}}
    given = {"prompt": "not this", "steps": 9, "num_images": 1}
    plain, other = (
        pictures(work := work_of(spec, arguments=arguments, **PROMPT), pipeline.run(work))
        for arguments in ({}, given)
    )
    assert plain == other


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("FluxPipelin", "Did you mean FluxPipeline, Flux2Pipeline, FluxFillPipeline?"),
        ("AutoencoderKL", "Mend the model's card, or install a newer diffusers."),
        ("__import__", "Mend the model's card, or install a newer diffusers."),
        ("os.system", "Mend the model's card, or install a newer diffusers."),
    ],
)
def test_a_class_that_is_no_pipeline_is_the_cards_fault(
    work_of: Callable[..., Work], flux: dict[str, Any], name: str, hint: str
) -> None:
    with pytest.raises(BadCard, match=r"class: .+ is no pipeline of diffusers \d") as caught:
        pipeline.run(work_of(flux | {"class": name}, **FLUX))
    assert name in caught.value.message
    assert caught.value.hint == hint


def test_weights_have_one_name_whatever_class_runs_them() -> None:
    spec = {"weights": "a/b", "revision": "main"}
    assert resident_name(spec, "float32") == "a/b main float32"
    assert resident_name(spec | {"class": "P"}, "float32") == "a/b main float32"
    more = spec | {"components": {"controlnet": "c/d"}}
    assert resident_name(more, "float32") == "a/b main controlnet=c/d float32"


def test_a_dtype_is_the_card_s_or_what_the_device_is_best_at() -> None:
    assert dtype_name({"dtype": "float16"}, "cpu") == "float16"
    assert dtype_name({}, "cpu") == "float32"
    assert dtype_name({}, "cuda") == "bfloat16"
    with pytest.raises(BadCard, match="dtype: 'int3' is none of float32, bfloat16, float16"):
        dtype_name({"dtype": "int3"}, "cuda")


def test_weights_that_can_never_fit_are_refused_before_a_tensor_is_read(
    work_of: Callable[..., Work],
) -> None:
    with pytest.raises(OutOfMemory, match=r"embedded:sketch float32 needs \d+\.\d MB"):
        pipeline.run(work_of(SKETCH, held=Residency(10**5, lambda: None), **PROMPT))


def test_pickled_weights_are_never_loaded(
    work_of: Callable[..., Work], tiny_flux: Path, tmp_path: Path, flux: dict[str, Any]
) -> None:
    import torch

    folder = tmp_path / "pickled"
    shutil.copytree(tiny_flux, folder)
    (folder / "transformer" / "diffusion_pytorch_model.safetensors").unlink()
    torch.save({}, folder / "transformer" / "diffusion_pytorch_model.bin")

    with pytest.raises(NotConfigured, match="are pickles") as caught:
        pipeline.run(work_of(flux | {"weights": str(folder)}, **PROMPT))
    assert "safetensors" in caught.value.hint


def test_code_that_comes_with_weights_is_never_run(
    work_of: Callable[..., Work], tiny_flux: Path, tmp_path: Path, flux: dict[str, Any]
) -> None:
    folder = tmp_path / "coded"
    shutil.copytree(tiny_flux, folder)
    index = json.loads((folder / "model_index.json").read_text())
    index["_class_name"] = ["pipeline", "Stolen"]
    (folder / "model_index.json").write_text(json.dumps(index))
    (folder / "pipeline.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Stolen: ...")

    with pytest.raises(NotConfigured, match=r"weights are for .*Stolen.*which diffusers .* lacks"):
        pipeline.run(work_of(flux | {"weights": str(folder)}, **PROMPT))
    assert not (tmp_path / "ran").exists()


def test_warm_weights_are_not_looked_for_again(
    work_of: Callable[..., Work], tiny_flux: Path, tmp_path: Path, flux: dict[str, Any]
) -> None:
    folder = tmp_path / "soon-gone"
    shutil.copytree(tiny_flux, folder)
    spec = flux | {"weights": str(folder)}
    call = FLUX | {"num_inference_steps": 1}
    first = pictures(work := work_of(spec, **call), pipeline.run(work))
    shutil.rmtree(folder)

    assert pictures(work, pipeline.run(work_of(spec, **call))) == first


def test_hub_weights_that_are_not_here_are_named_with_the_command(
    work_of: Callable[..., Work], told: Any, flux: dict[str, Any], tmp_path: Path
) -> None:
    spec = flux | {"weights": "nobody/nothing-of-the-kind", "local_files_only": True}

    with pytest.raises(NotConfigured) as caught:
        pipeline.run(work_of(spec, told=told, **PROMPT))

    assert caught.value.hint.endswith("run: media-mcp pull nobody/nothing-of-the-kind")
    assert "Looking for nobody/nothing-of-the-kind" in told.lines[0]


def test_pictures_among_the_arguments_are_opened(
    work_of: Callable[..., Work], tmp_path: Path, flux: dict[str, Any]
) -> None:
    photo, uri = tmp_path / "photo.png", "media://photo.png"
    spec = flux | {"class": "FluxImg2ImgPipeline"}
    call = FLUX | {"num_inference_steps": 4, "strength": 0.5, "image": uri, "tags": [uri]}
    drawn = []
    for colour in ("red", "blue"):
        Image.new("RGBA", (64, 64), colour).save(photo)
        work = work_of(spec, inputs={uri: str(photo)}, **call)
        drawn += pictures(work, pipeline.run(work))

    assert drawn[0] != drawn[1]


def test_a_pipeline_that_returns_no_picture_is_a_bad_output(
    work_of: Callable[..., Work], monkeypatch: pytest.MonkeyPatch
) -> None:
    from types import SimpleNamespace

    from diffusers import PRXPixelPipeline

    def nothing(self: Any, prompt: str, generator: Any, output_type: str) -> SimpleNamespace:
        return SimpleNamespace(images=[])

    monkeypatch.setattr(PRXPixelPipeline, "__call__", nothing)
    with pytest.raises(BadOutput, match="PRXPixelPipeline returned no picture"):
        pipeline.run(work_of(SKETCH, **PROMPT))
