"""Captions and answers about a picture, on tiny random models."""

from __future__ import annotations

import pytest

from media_mcp.errors import BadCard, BadMedia, InvalidArguments
from media_mcp.worker.work import Cancelled
from speechkit import Place

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


def test_weights_without_star_vector_s_code_are_the_card_s_fault(place: Place) -> None:
    spec = {"weights": str(place.weights(BLIP))}
    with pytest.raises((BadCard, ValueError)):
        place.run("AutoModelForCausalLM", spec=spec, image=place.picture())
