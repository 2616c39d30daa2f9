"""Cards: what they may say, and what is said of a wrong one."""

from pathlib import Path

import pytest

from media_mcp.catalog.cards import load_card, load_folder
from media_mcp.errors import BadCard
from media_mcp.job import MediaKind

GOOD = """\
id: acme/painter
title: Painter
description: Paints.
task: text-to-image
licence: MIT
inputs:
  prompt: {type: string, required: true, description: What to paint.}
outputs:
  images: {kind: image, mime_type: image/png}
routes:
  - backend: rehearsal
    price: {amount: 0.04, unit: image}
"""


def card(folder: Path, text: str) -> Path:
    path = folder / "card.yaml"
    path.write_text(text)
    return path


def fault(folder: Path, text: str) -> BadCard:
    with pytest.raises(BadCard) as caught:
        load_card(card(folder, text))
    return caught.value


def test_a_card_becomes_a_model_with_everything_it_says(tmp_path: Path) -> None:
    (model,) = load_card(card(tmp_path, GOOD))
    assert (model.id, model.tool, model.task) == ("acme/painter", "acme_painter", "text-to-image")
    assert model.inputs[0].required
    assert model.outputs[0].kind is MediaKind.IMAGE
    assert model.routes[0].price is not None
    assert model.routes[0].price.amount == 0.04
    assert model.source.endswith("card.yaml")


def test_variants_inherit_from_the_family_and_may_take_an_input_away(tmp_path: Path) -> None:
    text = GOOD.replace("id: acme/painter\n", "") + (
        "variants:\n"
        "  - id: acme/fast\n"
        "    title: Fast painter\n"
        "  - id: acme/mute\n"
        "    inputs: {prompt: null, seed: {type: integer, description: The seed.}}\n"
    )
    fast, mute = load_card(card(tmp_path, text))
    assert (fast.title, [p.name for p in fast.inputs]) == ("Fast painter", ["prompt"])
    assert (mute.title, [p.name for p in mute.inputs]) == ("Painter", ["seed"])


def test_a_folder_that_is_not_there_holds_no_models(tmp_path: Path) -> None:
    assert list(load_folder(tmp_path / "nowhere")) == []


def test_cards_are_read_by_file_name_with_either_ending(tmp_path: Path) -> None:
    (tmp_path / "b.yml").write_text(GOOD.replace("acme/painter", "b"))
    (tmp_path / "a.yaml").write_text(GOOD.replace("acme/painter", "a"))
    assert [model.id for model in load_folder(tmp_path)] == ["a", "b"]


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("task: text-to-image", "task: Text To Image", 4, "task: String should match"),
        ("type: string", "type: text", 7, "inputs.prompt.type"),
        ("description: Paints.", "description: " + "word " * 61, 3, "61 words; the bound is 50"),
        ("licence: MIT", "license: MIT", 1, "licence: Field required"),
        ("amount: 0.04", "amount: -1", 12, "routes.0.price.amount"),
        ("required: true", "required: true, default: x", 7, "cannot have a default"),
        ("type: string", "type: array", 7, "an array needs it"),
        ("required: true", "enum: [a], default: b", 7, "'b' is not in the enum"),
        ("licence: MIT", "licence: MIT\ntool: No-Good", 6, "'No-Good' must match"),
    ],
)
def test_a_wrong_card_is_refused_with_file_line_and_reason(
    tmp_path: Path, old: str, new: str, line: int, words: str
) -> None:
    error = fault(tmp_path, GOOD.replace(old, new))
    assert error.message.startswith(f"{tmp_path}/card.yaml:{line}: ")
    assert words in error.message
    assert "CONTRIBUTING.md" in error.hint


def test_a_fault_in_a_variant_is_found_in_the_variant(tmp_path: Path) -> None:
    text = GOOD.replace("id: acme/painter\n", "") + "variants:\n  - id: a\n  - id: B B\n"
    assert f"card.yaml:{text.count(chr(10))}: id: " in fault(tmp_path, text).message


def test_an_example_may_only_use_arguments_that_there_are(tmp_path: Path) -> None:
    text = GOOD + "examples:\n  - {title: One, arguments: {colour: red}}\n"
    assert "the example 'One' uses unknown ['colour']" in fault(tmp_path, text).message


def test_broken_yaml_is_refused_with_its_line(tmp_path: Path) -> None:
    assert "card.yaml:2: " in fault(tmp_path, "id: [a\ntitle: b: c\n").message


@pytest.mark.parametrize("text", ["", "- a list\n", "just words\n"])
def test_a_card_must_be_a_mapping(tmp_path: Path, text: str) -> None:
    assert "a card is a mapping" in fault(tmp_path, text).message


def test_variants_must_be_a_list_of_mappings(tmp_path: Path) -> None:
    assert "`variants` is a list" in fault(tmp_path, GOOD + "variants: all\n").message


def test_a_card_that_cannot_be_decoded_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "card.yaml"
    path.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(BadCard, match="cannot be read"):
        load_card(path)


def test_a_card_cannot_make_python_objects(tmp_path: Path) -> None:
    assert "card.yaml:1" in fault(tmp_path, "id: !!python/object/apply:os.system ['id']\n").message
