"""Control by a picture, by a clip and by sound, each told by the card's spec alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import diffusers
import numpy
import pytest
import soundfile
from PIL import Image

from media_mcp.worker.pipelines import diffusers as pipeline
from media_mcp.worker.work import Work
from tiny import pictures, quiet, save

pytestmark = [  # the libraries tell each other of what is to go, and of rounding
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Should have t[ab]:UserWarning"),
]
URI = "media://given"
PROMPT = {"prompt": "a red cube.", "num_inference_steps": 2}
SIZED = {"width": 64, "height": 64}


def flux_as(kind: Any, channels: int) -> Any:
    """A FLUX of a class that reads `channels`: the picture's own 64, and what guides it."""
    found = pictures.flux_dev().components
    config = found["transformer"].config | {"in_channels": channels, "out_channels": 64}
    found["transformer"] = diffusers.FluxTransformer2DModel(**config)
    return kind(**{name: part for name, part in found.items() if part is not None})


def flux_controlnet() -> Any:
    return diffusers.FluxControlNetModel.from_transformer(
        pictures.flux_dev().transformer,
        num_layers=1,
        num_single_layers=0,
        attention_head_dim=16,
        num_attention_heads=2,
    )


def loud(model: Any) -> Any:
    """Wake a ControlNet: what joins it to the rest begins at nought."""
    import torch

    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if "controlnet" in name and not tensor.any():
                tensor.normal_(std=0.3)
    return model


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Save what is asked for once, and return its folder."""
    import torch

    root = tmp_path_factory.mktemp("control")
    parts: dict[str, Callable[[], Any]] = {
        "sdxl_controlnet": lambda: loud(
            diffusers.ControlNetModel.from_unet(pictures.sdxl().unet, conditioning_channels=3)
        ),
        "flux_controlnet": lambda: loud(flux_controlnet()),
        "flux_control": lambda: flux_as(diffusers.FluxControlPipeline, 128),
        "flux_fill": lambda: flux_as(diffusers.FluxFillPipeline, 384),
    }

    def folder(name: str) -> str:
        place = root / name
        if not place.exists() and name in parts:
            with quiet():
                torch.manual_seed(0)
                parts[name]().save_pretrained(str(place))
        elif not place.exists():
            save(name, place)
        return str(place)

    return folder


def drawn(path: Path, colour: str) -> Path:
    picture = Image.new("RGB", (64, 64), "navy")
    picture.paste(colour, (8, 8, 40, 56))
    picture.save(path)
    return path


def filmed(path: Path, light: int, frames: int = 9) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=16)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for index in range(frames):
            pixels = numpy.full((64, 64, 3), 60, numpy.uint8)
            pixels[:, index * 4 : index * 4 + 8] = light
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode(None))
    return path


def played(path: Path, hertz: int) -> Path:
    time = numpy.arange(16000) / 8000
    soundfile.write(path, numpy.sin(2 * numpy.pi * hertz * time) * 0.5, 8000)
    return path


def made(work: Work) -> tuple[str, bytes]:
    product = pipeline.run(work)
    assert "ignored" not in product.facts
    (one,) = product.outputs
    return one.mime_type, (work.folder / one.path).read_bytes()


CONTROLLED = {
    "StableDiffusionXLControlNetPipeline": ("sdxl", "sdxl_controlnet"),
    "FluxControlNetPipeline": ("flux_dev", "flux_controlnet"),
    "FluxControlPipeline": ("flux_control", ""),
}


@pytest.mark.parametrize("name", CONTROLLED)
def test_a_picture_that_controls_changes_what_is_drawn(
    work_of: Callable[..., Work], weights: Callable[[str], str], tmp_path: Path, name: str
) -> None:
    base, net = CONTROLLED[name]
    spec: dict[str, Any] = {"class": name, "weights": weights(base), "dtype": "float32"}
    spec |= {"components": {"controlnet": weights(net)}} if net else {}
    short = {"max_sequence_length": 48} if base != "sdxl" else {}
    results = []
    for colour in ("white", "white", "orange"):
        place = drawn(tmp_path / f"{colour}.png", colour)
        call = PROMPT | SIZED | short | {"control_image_url": URI}
        results.append(made(work_of(spec, inputs={URI: str(place)}, **call)))
    assert results[0] == results[1] != results[2]
    assert results[0][0] == "image/png"


def test_what_a_mask_covers_is_filled_by_flux_fill(
    work_of: Callable[..., Work], weights: Callable[[str], str], tmp_path: Path
) -> None:
    spec = {"class": "FluxFillPipeline", "weights": weights("flux_fill"), "dtype": "float32"}
    mask = tmp_path / "mask.png"
    Image.new("L", (64, 64), 255).save(mask)
    results = []
    for cover in (255, 0):
        Image.new("L", (64, 64), cover).save(mask)
        inputs = {URI: str(drawn(tmp_path / "photo.png", "white")), "media://mask": str(mask)}
        call = PROMPT | SIZED | {"image_url": URI, "mask_url": "media://mask"}
        work = work_of(spec, inputs=inputs, max_sequence_length=48, **call)
        results.append(made(work))
    assert results[0] != results[1]


VIDEO = {
    "WanVideoToVideoPipeline": ("wan_small", {"strength": 0.5, "max_sequence_length": 48}),
    "LTXConditionPipeline": ("ltx", {"max_sequence_length": 48}),
}


@pytest.mark.parametrize("name", VIDEO)
def test_a_clip_becomes_another_of_its_size_and_length(
    work_of: Callable[..., Work], weights: Callable[[str], str], tmp_path: Path, name: str
) -> None:
    base, more = VIDEO[name]
    spec = {"class": name, "weights": weights(base), "dtype": "float32", "fps": 16}
    results = []
    for light in (250, 250, 120):
        inputs = {URI: str(filmed(tmp_path / f"{light}.mp4", light))}
        call = PROMPT | SIZED | more | {"video_url": URI}
        work = work_of(spec, inputs=inputs, **call)
        results.append(made(work))
    assert results[0] == results[1] != results[2]
    assert results[0][0] == "video/mp4"
    with av.open(str(work.folder / "images-0.mp4")) as opened:
        frames = list(opened.decode(video=0))
    assert (len(frames), frames[0].width, frames[0].height) == (9, 64, 64)


def test_a_sound_becomes_another_of_the_length_asked_for(
    work_of: Callable[..., Work], weights: Callable[[str], str], tmp_path: Path
) -> None:
    spec = {"weights": weights("stable_audio"), "dtype": "float32"}
    results = []
    for hertz in (220, 220, 440):
        inputs = {URI: str(played(tmp_path / f"{hertz}.wav", hertz))}
        work = work_of(spec, inputs=inputs, audio_url=URI, duration=1.5, **PROMPT)
        results.append(made(work))
    assert results[0] == results[1] != results[2]
    assert soundfile.info(work.folder / "images-0.wav").duration == pytest.approx(1.5, abs=0.01)
