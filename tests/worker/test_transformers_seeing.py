"""Captions and answers about a picture, on tiny random models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from media_mcp.errors import BadMedia, InvalidArguments, Refused
from media_mcp.worker.work import Cancelled
from speechkit import Place

CODE = """\
import torch
from types import SimpleNamespace
from transformers import PreTrainedConfig, PreTrainedModel

open({mark!r}, "w").close()


class StarConfig(PreTrainedConfig):
    model_type = "star"


class Star(PreTrainedModel):
    config_class = StarConfig

    def __init__(self, config):
        super().__init__(config)
        self.writer = torch.nn.Linear(2, 2, bias=False)
        self.post_init()

    @property
    def model(self):
        return SimpleNamespace(processor=self.see, svg_transformer=SimpleNamespace(
            transformer=self.writer))

    def see(self, pictures, return_tensors):
        return {{"pixel_values": torch.zeros(1, 3, 4, 4)}}

    def generate_im2svg(self, batch, max_length):
        for _ in range(max_length):
            self.writer(torch.zeros(1, 2))
        height = batch["image"].shape[-1]
        return [f'text <svg viewBox="0 0 {{max_length}} {{height}}"><rect/></svg> more']
"""
BLIP, IDEFICS = "BlipForConditionalGeneration", "Idefics3ForConditionalGeneration"


@pytest.mark.parametrize("name", [BLIP, IDEFICS])
def test_every_class_that_sees_says_the_same_again(place: Place, name: str) -> None:
    picture = place.picture()
    product = place.run(name, image=picture, max_new_tokens=6)
    assert product.outputs[0].mime_type == "text/plain"
    assert place.made(product).decode().strip() == product.facts["text"] != ""
    assert place.steps == [(n, 6) for n in range(1, 7)]
    again = place.run(name, image=picture, max_new_tokens=6)
    assert again.facts["text"] == product.facts["text"]
    asked = place.run(name, image=picture, prompt="why", max_new_tokens=6)
    assert asked.facts["text"] != product.facts["text"]


def test_a_chat_is_not_repeated_in_the_answer(place: Place) -> None:
    product = place.run(IDEFICS, image=place.picture(), prompt="zzzz", max_new_tokens=4)
    assert "zzzz" not in product.facts["text"] and "user" not in product.facts["text"]


@pytest.mark.parametrize("name", [BLIP, IDEFICS])
def test_a_cancellation_arrives_within_a_token(place: Place, name: str) -> None:
    with pytest.raises(Cancelled):
        place.run(name, image=place.picture(), stop_at=2)
    assert len(place.steps) == 2


def test_what_is_no_picture_is_told(place: Place) -> None:
    with pytest.raises(BadMedia, match="image: it cannot be read as a picture"):
        place.run(BLIP, image=place.recording(1.0))
    with pytest.raises(InvalidArguments, match="image: it holds 0 pictures, not one"):
        place.run(BLIP)


@pytest.fixture
def star(tmp_path: Path) -> Path:
    """Weights that come with code, which leaves a mark when it is run and draws a square."""
    folder = tmp_path / "star"
    folder.mkdir()
    (folder / "star.py").write_text(CODE.format(mark=str(tmp_path / "ran")))
    told = {
        "model_type": "star",
        "architectures": ["Star"],
        "auto_map": {"AutoConfig": "star.StarConfig", "AutoModelForCausalLM": "star.Star"},
    }
    (folder / "config.json").write_text(json.dumps(told))
    import torch
    from safetensors.torch import save_file

    save_file({"writer.weight": torch.zeros(2, 2)}, folder / "model.safetensors", {"format": "pt"})
    return folder


def test_weights_with_code_draw_an_svg_where_the_card_says_so(
    place: Place, star: Path, tmp_path: Path
) -> None:
    spec = {"weights": str(star), "remote_code": True}
    product = place.run("AutoModelForCausalLM", spec=spec, image=place.picture(), max_length=7)
    assert (product.outputs[0].path, product.outputs[0].mime_type) == (
        "made-0.svg",
        "image/svg+xml",
    )
    assert place.made(product) == b'<svg viewBox="0 0 7 4"><rect/></svg>\n'
    assert place.steps[-1] == (7, 7)
    assert (tmp_path / "ran").exists()


def test_code_that_comes_with_weights_is_not_run_otherwise(
    place: Place, star: Path, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match="come with Python code of their own") as caught:
        place.run("AutoModelForCausalLM", spec={"weights": str(star)}, image=place.picture())
    assert "allow_remote_code" in caught.value.hint
    assert not (tmp_path / "ran").exists()
