"""What a call may hold, said in the words of a class; and what it may not, each with its error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from media_mcp.errors import BadCard, BadMedia, InvalidArguments, NotConfigured
from media_mcp.worker.pipelines.diffusers import run
from media_mcp.worker.residency import Residency
from media_mcp.worker.work import Cancelled, Work
from tiny import save

SHORT = {"prompt": "a", "num_inference_steps": 2, "max_sequence_length": 48}
FLUX = SHORT | {"guidance_scale": 0.0}
MODULAR = {"class": "ModularPipeline"}
URI = "media://photo"


@pytest.fixture(scope="module")
def wan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save("wan_small", tmp_path_factory.mktemp("wan") / "wan_small")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.new("RGB", (64, 48), "teal").save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_a_size_that_cannot_be_is_the_nearest_that_can_and_is_told(
    work_of: Callable[..., Work], tiny_flux: Path
) -> None:
    facts = run(work_of({"weights": str(tiny_flux)}, **FLUX, width=70, height=50)).facts
    assert facts["native_size"] == "64x48"
    assert facts["changed"] == ["size 64x48 instead of 70x50"]


def test_frames_are_those_that_a_class_can_make_and_too_many_are_refused(
    work_of: Callable[..., Work], wan: Path
) -> None:
    spec = {"weights": str(wan), "map": {"duration": {"to": "num_frames"}}}
    size = {"width": 32, "height": 32}
    facts = run(work_of(spec, **SHORT, **size, num_frames=7)).facts
    assert facts["changed"] == ["9 frames instead of 7"]
    with pytest.raises(InvalidArguments) as caught:
        run(work_of(spec, **SHORT, **size, num_frames=500))
    assert caught.value.message == (
        "duration: 500 frames are too many; WanPipeline makes up to 125 (5.20833 s at 24 a second)."
    )
    with pytest.raises(InvalidArguments, match=r"makes up to 9 \("):
        run(work_of(spec | {"max_frames": 9}, **SHORT, **size, num_frames=17))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("image", b"not a picture", "photo_url: this file cannot be read as a picture"),
        ("image", b"\x89PNG\r\n\x1a\nbroken", "photo_url: this file cannot be read as a picture"),
        ("video", b"not a clip", "photo_url: this file cannot be read as a video"),
        ("src_audio", b"not sound", "photo_url: this file cannot be read as sound"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_named(
    work_of: Callable[..., Work],
    tiny_flux: Path,
    tmp_path: Path,
    name: str,
    content: bytes,
    said: str,
) -> None:
    (tmp_path / "file").write_bytes(content)
    inputs, arguments = {URI: str(tmp_path / "file")}, {"photo_url": URI}
    work = work_of(
        {"weights": str(tiny_flux)}, inputs=inputs, arguments=arguments, **FLUX, **{name: URI}
    )
    with pytest.raises(BadMedia) as caught:
        run(work)
    assert caught.value.message.startswith(said)


def test_a_mask_of_another_shape_is_refused(
    work_of: Callable[..., Work], tiny_flux: Path, tmp_path: Path, photo: Path
) -> None:
    Image.new("L", (64, 64)).save(tmp_path / "mask.png")
    inputs = {URI: str(photo), "media://mask": str(tmp_path / "mask.png")}
    spec = {"weights": str(tiny_flux), "class": "FluxInpaintPipeline"}
    with pytest.raises(BadMedia, match="mask has 64x64 pixels, what it masks 64x48"):
        run(work_of(spec, inputs=inputs, **FLUX, image=URI, mask_image="media://mask"))


def test_what_a_class_cannot_do_without_is_named(work_of: Callable[..., Work], wan: Path) -> None:
    spec = {"weights": str(wan), "class": "WanImageToVideoPipeline", "map": {"image_url": "image"}}
    with pytest.raises(InvalidArguments) as caught:
        run(work_of(spec, **SHORT, num_frames=9))
    assert caught.value.message == "image_url: WanImageToVideoPipeline cannot do without it."


def test_what_a_class_says_of_its_arguments_is_the_callers_to_mend(
    work_of: Callable[..., Work], tiny_flux: Path
) -> None:
    with pytest.raises(
        InvalidArguments, match=r"^max_sequence_length: .*cannot be greater than 512"
    ):
        run(work_of({"weights": str(tiny_flux)}, **FLUX | {"max_sequence_length": 999}))


def test_our_words_are_said_in_those_of_the_class(
    work_of: Callable[..., Work], tiny_flux: Path, photo: Path
) -> None:
    spec = {"weights": str(tiny_flux), "class": "FluxImg2ImgPipeline"}
    call = {"prompt": "a", "steps": 4, "max_sequence_length": 48, "image_urls": [URI]}
    product = run(work_of(spec, inputs={URI: str(photo)}, **call, strength=0.5, cfg_scale=1.0))
    assert product.facts["native_size"] == "64x48"
    assert "ignored" not in product.facts


def test_a_sibling_class_takes_over_what_is_loaded(
    work_of: Callable[..., Work], tiny_flux: Path, photo: Path
) -> None:
    held = Residency(10**9, lambda: None)
    spec, inputs = {"weights": str(tiny_flux)}, {URI: str(photo)}
    first = run(work_of(spec, held=held, **FLUX, width=64, height=64)).facts
    for name in ("FluxImg2ImgPipeline", "FluxPipeline"):
        work = work_of(spec | {"class": name}, held=held, inputs=inputs, **FLUX, image=URI)
        assert run(work).facts["load_seconds"] == 0
    assert first["load_seconds"] > 0


def test_a_modular_pipeline_draws_tells_its_steps_and_stops(
    work_of: Callable[..., Work], tiny_flux: Path, told: Any
) -> None:
    spec, call = {"weights": str(tiny_flux)} | MODULAR, FLUX | {"width": 64, "height": 48}
    work = work_of(spec, told=told, **call)

    product = run(work)

    assert told.steps == [(1, 2), (2, 2)]
    with Image.open(work.folder / product.outputs[0].path) as picture:
        assert picture.size == (64, 48)
    before = (work.folder / product.outputs[0].path).read_bytes()
    stopped = type(told)(stop_at=1)
    with pytest.raises(Cancelled):
        run(work_of(spec, told=stopped, **call))
    assert stopped.steps == [(1, 2)]
    again = work_of(spec, **call)
    assert (again.folder / run(again).outputs[0].path).read_bytes() == before


def test_a_workflow_that_there_is_not_is_the_cards_fault(
    work_of: Callable[..., Work], tiny_flux: Path
) -> None:
    spec = {"weights": str(tiny_flux), "workflow": "dance"} | MODULAR
    with pytest.raises(BadCard, match="workflow: 'dance' cannot be had"):
        run(work_of(spec, held=Residency(10**9, lambda: None), **FLUX))


def test_a_part_that_cannot_be_loaded_is_named(
    work_of: Callable[..., Work], tiny_flux: Path, tmp_path: Path
) -> None:
    import shutil

    folder = tmp_path / "broken"
    shutil.copytree(tiny_flux, folder)
    (folder / "transformer" / "config.json").unlink()
    with pytest.raises(NotConfigured, match="transformer"):
        run(work_of({"weights": str(folder)} | MODULAR, **FLUX))
